#!/usr/bin/env python3
"""Rules about text that no compiler knows.

- TODO(now) means: not to be merged. Other TODOs carry a kind: TODO(perf|test|security|cleanup|someday).
- No paths of a developer's machine, no package mirrors or registries by name.
- Clocks, randomness and the environment are read in one place each, so that a simulated run is
  repeatable (consistency.md R5, rules 41 and 42 of the style guide).
- Plumbing scripts are executable and start with a #! line.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SELF = pathlib.Path(__file__).resolve()
SKIP_FOLDERS = re.compile(r"^(\.git|build.*|node_modules|__pycache__|\.run|corpus)$")

EVERYWHERE = [
    (re.compile(r"TODO\(now\)"), "TODO(now) is not to be merged"),
    (re.compile(r"\bTODO\b(?!\((now|perf|test|security|cleanup|someday)\))|\bFIXME\b|\bXXX\b"),
     "a TODO names its kind: TODO(perf|test|security|cleanup|someday): text"),
    (re.compile(r"(?<![\w.])/(work|home/\w+|root|Users)/"), "a path of somebody's machine"),
    (re.compile(r"(deb\.debian|security\.debian|archive\.ubuntu|registry\.npmjs|files\.pythonhosted)\.org|"
                r"archive\.ubuntu\.com|\"resolved\": *\"http"), "a package mirror or registry by name"),
    (re.compile(r"^(<{7}|>{7}) "), "a merge conflict marker"),
]

# (what, pattern, files that may)
REACHES = [
    ("reads a clock", re.compile(r"(steady|system|high_resolution)_clock::now|\bclock_gettime\s*\(|\buv_hrtime\s*\(|[^\w.]time\(nullptr\)"),
     re.compile(r"^daemon/(net/|base/log\.cc|admin/|[^/]+\.cc)")),
    ("uses randomness", re.compile(r"random_device|\brand\s*\(|mt19937|getrandom|arc4random|uv_random"),
     re.compile(r"^daemon/(net/|[^/]+\.cc)")),
    ("reads the environment", re.compile(r"\b(secure_)?getenv\s*\(|\benviron\b"), re.compile(r"^(config/|daemon/[^/]+\.cc)")),
    ("throws or catches", re.compile(r"\bthrow\b(?!s| away| it)|\bcatch\s*\("),
     re.compile(r"^(config/|daemon/admin/)")),
]


def files():
    for folder, names, found in os.walk(ROOT):
        names[:] = sorted(n for n in names if not SKIP_FOLDERS.match(n))
        for name in sorted(found):
            path = pathlib.Path(folder, name)
            # (In a linked worktree .git is a file.)
            if path != SELF and name != ".git" and not path.is_symlink():
                yield path


def code_only(line):
    """Without string literals and line comments: words in prose reach for nothing."""
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return line.split("//", 1)[0]


def main():
    bad, count = [], 0
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        count += 1
        name = path.relative_to(ROOT).as_posix()
        product = re.match(r"^(proto|config|daemon)/.*\.(h|cc)$", name)
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, why in EVERYWHERE:
                if pattern.search(line):
                    bad.append(f"{name}:{number}: {why}")
            if product:
                code = code_only(line)
                for what, pattern, may in REACHES:
                    if pattern.search(code) and not may.match(name):
                        bad.append(f"{name}:{number}: {what}, which this file may not")
        if text.startswith("#!") and not os.access(path, os.X_OK):
            bad.append(f"{name}: has a #! line but is not executable")
        if product and name.endswith(".h") and "#pragma once" not in text:
            bad.append(f"{name}: no #pragma once")
    print("\n".join(bad), end="\n" if bad else "")
    print(f"text: {count} files, {len(bad)} breaches")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
