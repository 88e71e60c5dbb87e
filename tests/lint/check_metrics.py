#!/usr/bin/env python3
"""The metrics that rules and dashboard ask for are metrics that the daemon has."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPORTED = re.compile(r'"((?:nearcached|process)_[a-z0-9_]+)"')
USED = re.compile(r"(?<![\w:/.-])((?:nearcached|process)_[a-z0-9_]+)\b")


def main():
    exported = set()
    for path in (ROOT / "daemon").rglob("*.cc"):
        exported |= set(EXPORTED.findall(path.read_text(encoding="utf-8")))
    known = exported | {f"{name}_{part}" for name in exported if name.endswith("_seconds")
                        for part in ("bucket", "sum", "count")}
    bad, uses = [], 0
    for path in [*(ROOT / "deploy/prometheus").glob("*.yml"), *(ROOT / "deploy/grafana").glob("*.json"),
                 *(ROOT / "scripts/container").iterdir()]:
        if path.is_dir():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for name in USED.findall(line):
                uses += 1
                if name not in known:
                    bad.append(f"{path.relative_to(ROOT).as_posix()}:{number}: no such metric: {name}")
    print("\n".join(bad), end="\n" if bad else "")
    print(f"metrics: {len(exported)} exported, {uses} uses, {len(bad)} unknown")
    sys.exit(bool(bad) or not uses)


if __name__ == "__main__":
    main()
