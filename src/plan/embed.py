#!/usr/bin/env python3
"""Writes files as constants of C: embed.py OUT NAME=FILE..."""
import sys

with open(sys.argv[1], "w", encoding="ascii") as out:
    out.write('#include "plan/haproxy_lua.h"\n\n')
    for argument in sys.argv[2:]:
        name, path = argument.split("=", 1)
        with open(path, "rb") as source:
            data = source.read()
        rows = [", ".join(str(byte) for byte in data[at:at + 32]) for at in range(0, len(data), 32)]
        out.write(f"const char {name}[] = {{\n\t" + ",\n\t".join(rows) + f"\n}};\nconst size_t {name}_size = sizeof {name};\n")
