"""Puts a typed transcript into a document, or compares it with the one that is there: what differs from run to run put aside.

usage: transcript.py TRANSCRIPT DOCUMENT write|compare
"""
import re
import sys

BEGIN, END = "<!-- transcript: written by tests/system/seed_by_hand.bats -->\n```console\n", "```\n<!-- end of transcript -->\n"
ASIDE = [
    (r"[0-9a-f]{64}", "<id>"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "<date>"),
    (r"\b(curl|nginx)/[0-9.]+", r"\1/<version>"),
    (r"after \d+ ms", "after <n> ms"),
    (r"\(#\d+\)", "(#<n>)"),
]
# How curl and the origin agree on TLS, and when the certificate ends.
LEFT_OUT = re.compile(r"\* +(TLSv|ALPN|CA(file|path):|SSL connection using|using HTTP|start date|expire date|old SSL session|Mark bundle|allocate connect buffer)")


def plain(text):
    lines = [line.rstrip() for line in text.splitlines() if not LEFT_OUT.match(line)]
    text = "\n".join(lines)
    for pattern, word in ASIDE:
        text = re.sub(pattern, word, text)
    return text.splitlines()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        typed = "".join(line.rstrip() + "\n" for line in file)
    with open(sys.argv[2], encoding="utf-8") as file:
        document = file.read()
    at, end = document.index(BEGIN) + len(BEGIN), document.index(END)
    if sys.argv[3] == "write":
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            file.write(document[:at] + typed + document[end:])
        return 0
    there, now = plain(document[at:end]), plain(typed)
    if there == now:
        return 0
    import difflib
    sys.stdout.write("\n".join(difflib.unified_diff(there, now, sys.argv[2], "typed now", lineterm="")) + "\n")
    return 1


sys.exit(main())
