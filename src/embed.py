#!/usr/bin/env python3
"""Writes files into a source of C that includes HEADER.

embed.py OUT HEADER NAME=FILE...             as constants: NAME and NAME_size
embed.py OUT HEADER --entries PATH=FILE...   as init's table (src/cmd/init_seed.h): a directory before what is in it
"""
import os
import sys


def constant(name, path):
    with open(path, "rb") as source:
        data = source.read()
    rows = [", ".join(str(byte) for byte in data[at:at + 32]) for at in range(0, len(data), 32)]
    return f"const char {name}[] = {{\n\t" + ",\n\t".join(rows) + "\n};\n"


def constants(pairs):
    return [constant(name, path) + f"const size_t {name}_size = sizeof {name};\n" for name, path in pairs]


def entries(pairs):
    made, rows, parts = [], [], []
    for number, (name, path) in enumerate(pairs):
        folder = os.path.dirname(name)
        if folder and folder not in made:
            made.append(folder)
            rows.append(f'{{ "{folder}", 0, 0, 0755 }}')
        parts.append("static " + constant(f"text_{number}", path))
        rows.append(f'{{ "{name}", text_{number}, sizeof text_{number}, {"0755" if name.endswith(".sh") else "0644"} }}')
    parts.append("const struct init_entry init_seed_entries[] = {\n\t" + ",\n\t".join(rows) + "\n};\n")
    parts.append(f"const size_t init_seed_count = {len(rows)};\n")
    return parts


def main():
    target, header, *arguments = sys.argv[1:]
    table = arguments[0] == "--entries"
    pairs = [argument.split("=", 1) for argument in arguments[table:]]
    with open(target, "w", encoding="ascii") as out:
        out.write(f'#include "{header}"\n\n' + "".join(entries(pairs) if table else constants(pairs)))


main()
