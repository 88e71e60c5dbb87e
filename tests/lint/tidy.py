#!/usr/bin/env python3
"""clang-tidy over the product's sources, only where something changed.

    tests/lint/tidy.py [--all] [--no-analyzer] [FILE]...

A file that was clean is not looked at again until it, a header of ours that it includes, its compile
command, .clang-tidy or the tool changes: BUILD/tidy-cache holds one empty file per clean state.
--no-analyzer leaves out clang-analyzer, which follows every path and takes two thirds of the time.
Unit tests are left out: every doctest assertion expands into branches that trip the complexity
and analyzer checks, so the findings would be about doctest; they are compiled with the same warnings.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
CACHE = BUILD / "tidy-cache"
SUBJECTS = re.compile(r"^(proto|config|daemon)/.*\.cc$")
EXCLUDED = {"tests/support/doctest_main.cc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def with_headers(path, seen):
    """`path` and every header of ours it reaches, as relative names."""
    name = path.relative_to(ROOT).as_posix()
    if name in seen or not path.is_file():
        return seen
    seen.add(name)
    for header in INCLUDE.findall(path.read_text(encoding="utf-8")):
        with_headers(ROOT / header, seen)
    return seen


def state_of(path, command, tool):
    digest = hashlib.sha256(f"{tool}\0{command}\0".encode())
    for name in [".clang-tidy", *sorted(with_headers(path, set()))]:
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes() + b"\0")
    return digest.hexdigest()


def run(tidy, path):
    done = subprocess.run([*tidy, "--quiet", "-p", str(BUILD),
                           # GCC's -ffat-lto-objects is nothing to clang
                           "--extra-arg=-Wno-ignored-optimization-argument", str(path)], capture_output=True, text=True)
    return done.returncode, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="forget what was clean")
    parser.add_argument("--no-analyzer", action="store_true", help="only the quick checks")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()

    tidy = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")
    if not tidy:
        sys.exit("tidy: no clang-tidy; scripts/deps lint")
    tool = subprocess.run([tidy, "--version"], capture_output=True, text=True, check=True).stdout
    tidy = [tidy]
    if options.no_analyzer:
        tidy.append("--checks=-clang-analyzer-*")
        tool += "without analyzer"  # such a verdict is another
    commands = {pathlib.Path(entry["file"]): entry["command"]
                for entry in json.loads((BUILD / "compile_commands.json").read_text())}
    CACHE.mkdir(exist_ok=True)

    wanted = {pathlib.Path(f).resolve() for f in options.files}
    work, clean = [], 0
    for path, command in sorted(commands.items()):
        if not path.is_relative_to(ROOT) or (wanted and path not in wanted):
            continue
        name = path.relative_to(ROOT).as_posix()
        if not SUBJECTS.match(name) or name in EXCLUDED:
            continue
        state = CACHE / state_of(path, command, tool)
        if state.exists() and not options.all:
            clean += 1
        else:
            work.append((path, state))

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=int(os.environ.get("JOBS", os.cpu_count()))) as pool:
        for (path, state), (code, output) in zip(work, pool.map(lambda w: run(tidy, w[0]), work)):
            if code == 0:
                state.touch()
            else:
                bad += 1
                print(output.replace(f"{ROOT}/", ""), end="", flush=True)
    print(f"tidy: {len(work)} files looked at, {clean} unchanged since they were clean, {bad} with findings")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
