#!/usr/bin/env python3
"""docs/http-conformance.md from the case files: every form with what becomes of it, and every reason with the cases that provoke it.

conformance.py [--check]      writes the document; --check: fails when it differs from what is there."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/cases/gate"
DOC = ROOT / "docs/http-conformance.md"
PARTS = ["Request line and target", "Host", "Fields", "Body framing of requests", "Chunked bodies", "Connection, Upgrade, Expect", "Replies", "CONNECT",
         "TLS in a CONNECT to port 443", "HTTP in a CONNECT to port 80", "SOCKS", "Captured connections"]
ALERT = r"\x15\x03\x03\x00\x02\x021"
NO_METHOD = r'client< "\x05\xff"'


class Case:
    def __init__(self, path):
        self.name = path.stem
        self.keys = {}
        self.logs = []
        lines = path.read_text().splitlines()
        for line in lines:
            key = re.match(r"(form|rfc|part): (.*)", line)
            if key:
                self.keys[key[1]] = key[2]
            log = re.match(r"log (open )?(allowed|denied) (\S+)(.*)", line)
            if log:
                words = dict(w.split("=", 1) for w in re.sub(r' detail=".*', "", log[4]).split())
                self.logs.append((log[2], log[3], words))
        self.alert = any(ALERT in line for line in lines)
        self.reset = any(line == "client< reset" for line in lines)
        answers = [m[1] for m in (re.match(r"client\d*< answer(?:-head)? (\d+)", line) for line in lines) if m]
        self.answer = answers[-1] if answers else None
        replies = [m[1] for m in (re.search(r"^client\d*< .*socks-reply\(([1-9])\)", line) for line in lines) if m]
        self.socks = f"reply {replies[-1]}" if replies else "method 255" if any(line == NO_METHOD for line in lines) else None

    def outcome(self):
        """The decision that the row is about: what was refused, else the first."""
        if not self.logs:
            sys.exit(f"{self.name}: a form without a line of the log")
        return next((log for log in self.logs if log[0] == "denied"), self.logs[0])

    def status(self):
        verdict, _, words = self.outcome()
        if verdict == "denied" and not self.answer:
            return self.socks or ("TLS alert" if self.alert else "reset" if self.reset else "–")
        return self.answer or words.get("status", "tunnel")

    def row(self):
        verdict, reason, _ = self.outcome()
        rfc = self.keys.get("rfc", "–")
        rfc = re.sub(r"^(\d+) (\S+)$", r"RFC \1, \2", rfc)
        form = self.keys["form"].replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
        return f"| {form} | {'allowed' if verdict == 'allowed' else 'refused'} | {self.status()} | {'–' if verdict == 'allowed' else reason} | {rfc} | {self.name} |"


def reasons():
    return re.findall(r'X\([A-Z_]+, "([a-z-]+)",', (ROOT / "src/policy/reason.h").read_text())


def adapters():
    return re.findall(r'X\([A-Z_]+, "([a-z-]+)"\)', (ROOT / "src/gate/audit.h").read_text())


def reason_table(cases):
    found = {}
    for case in cases:
        for _, reason, words in case.logs:
            if "adapter" in words:
                found.setdefault((reason, words["adapter"]), case.name)
    missing = [r for r in reasons() if not any((r, a) in found for a in adapters())]
    if missing:
        sys.exit("no case provokes: " + ", ".join(missing))
    yield "| reason | " + " | ".join(adapters()) + " |"
    yield "| --- |" + " --- |" * len(adapters())
    for reason in reasons():
        yield f"| {reason} | " + " | ".join(found.get((reason, a), "–") for a in adapters()) + " |"


def document(cases):
    forms = [c for c in cases if "form" in c.keys]
    unknown = {c.keys.get("part") for c in forms} - set(PARTS)
    if unknown:
        sys.exit(f"unknown parts: {unknown}")
    yield "# HTTP, TLS and SOCKS conformance"
    yield ""
    yield "Made from tests/cases/gate by tests/replay/conformance.py; do not edit. Each row is a case file that says byte by byte what the"
    yield "client sends, what arrives at the origin (for a refused form: nothing, unless the case says what) and what the client gets, and"
    yield "`meson test gate-replay` runs it. The rule behind the table: whatever two parsers could read differently is refused, never repaired."
    yield ""
    yield f"{len(forms)} forms, {sum(c.outcome()[0] == 'denied' for c in forms)} of them refused; {len(cases) - len(forms)} further cases are about states and events."
    for part in PARTS:
        yield f"\n## {part}\n"
        yield "| form | verdict | status | reason | where | case |"
        yield "| --- | --- | --- | --- | --- | --- |"
        yield from (c.row() for c in forms if c.keys["part"] == part)
    yield "\n## Reasons by adapter\n"
    yield "The first case, by name, in which an adapter gives a reason. Where there is none the adapter cannot meet it."
    yield ""
    yield from reason_table(cases)


def main():
    text = "\n".join(document([Case(p) for p in sorted(CASES.glob("*.case"))])) + "\n"
    if sys.argv[1:] == ["--check"]:
        if not DOC.exists() or DOC.read_text() != text:
            sys.exit("docs/http-conformance.md is not what the cases say: run tests/replay/conformance.py")
        return
    DOC.write_text(text)


main()
