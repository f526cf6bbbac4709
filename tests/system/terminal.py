#!/usr/bin/env python3
"""terminal.py DIR COMMAND...: the command, a shell, on a terminal: it is one inside as well, and ^C ends what runs there."""
import os
import pty
import select
import sys
import time

LONGEST = 20


def main():
    os.chdir(sys.argv[1])
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    seen = b""

    def wait_for(text):
        nonlocal seen
        end = time.monotonic() + LONGEST
        while text not in seen:
            if time.monotonic() > end:
                sys.exit(f"terminal.py: {text!r} did not come; seen: {seen!r}")
            if select.select([fd], [], [], 0.2)[0]:
                try:
                    seen += os.read(fd, 4096)
                except OSError:
                    sys.exit(f"terminal.py: it ended before {text!r}; seen: {seen!r}")

    # What the terminal shows of the typed line does not have the text that is waited for.
    os.write(fd, b"test -t 0 && test -t 1 && echo ter''minal\n")
    wait_for(b"terminal")
    os.write(fd, b"echo be''gan; sleep 1000\n")
    wait_for(b"began")
    time.sleep(0.3)
    os.write(fd, b"\x03")
    os.write(fd, b"echo af''ter $?\n")
    wait_for(b"after 130")
    os.write(fd, b"exit 5\n")
    try:
        while os.read(fd, 4096):
            pass
    except OSError:
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 5:
        sys.exit(f"terminal.py: exit status {status}, not 5; seen: {seen!r}")


main()
