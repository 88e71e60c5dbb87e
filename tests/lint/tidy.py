#!/usr/bin/env python3
"""clang-tidy over the product's sources, only where something changed.

    tests/lint/tidy.py [--all] [--no-analyzer] [FILE]...

What was clean is not looked at again until it, a header of ours that it includes, its compile
command, .clang-tidy or the tool changes: BUILD/tidy-cache holds one empty file per clean state.
--no-analyzer leaves out clang-analyzer, which follows every path, and then reads the files of a room as
one: nearly all of the rest of the time went to the headers that they share. Thereby a name at file scope
may be there once in a room; what two files need has one home. (The analyzer needs each file alone,
because it looks at no function of an included one.)
Unit tests are left out: every doctest assertion expands into branches that trip the complexity
and analyzer checks, so the findings would be about doctest; they are compiled with the same warnings.
"""

import argparse
import concurrent.futures
import hashlib
import itertools
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


class Unit:
    """What one run of clang-tidy looks at: a file, or a room's files as one."""

    def __init__(self, paths, commands, tool):
        self.paths = paths
        self.states = [state_of(path, commands[path], tool) for path in paths]
        self.database, self.subject = BUILD, paths[0]
        digest = hashlib.sha256("".join(self.states).encode()).hexdigest()
        self.state = CACHE / (digest if len(paths) > 1 else self.states[0])

    def merge(self, entry):
        """Makes one source of all, in a compilation database of its own."""
        folder = CACHE / "rooms" / self.paths[0].parent.relative_to(ROOT).as_posix().replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        self.database, self.subject = folder, folder / "room.cc"
        self.subject.write_text("".join(
            f'#include "{path}"  // NOLINT(bugprone-suspicious-include)\n' for path in self.paths))
        command = entry["command"].replace(entry["file"], str(self.subject))
        (folder / "compile_commands.json").write_text(json.dumps(
            [{"directory": entry["directory"], "file": str(self.subject), "command": command}]))


def run(tidy, unit):
    done = subprocess.run([*tidy, "--quiet", f"--config-file={ROOT}/.clang-tidy", "-p", str(unit.database),
                           # GCC's -ffat-lto-objects is nothing to clang
                           "--extra-arg=-Wno-ignored-optimization-argument", str(unit.subject)], capture_output=True, text=True)
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
    entries = {pathlib.Path(entry["file"]): entry
               for entry in json.loads((BUILD / "compile_commands.json").read_text())}
    commands = {path: entry["command"] for path, entry in entries.items()}
    CACHE.mkdir(exist_ok=True)

    wanted = {pathlib.Path(f).resolve() for f in options.files}
    subjects = [path for path in sorted(commands, key=lambda path: (path.parent, path))
                if path.is_relative_to(ROOT) and SUBJECTS.match(path.relative_to(ROOT).as_posix())
                and (not wanted or path in wanted)]
    together = options.no_analyzer and not wanted
    units = [Unit(list(paths), commands, tool)
             for _, paths in itertools.groupby(subjects, key=lambda path: path.parent if together else path)]
    work = [unit for unit in units if options.all or not unit.state.exists()]
    work.sort(key=lambda unit: -len(unit.paths))  # the largest first, so that no processor waits for it
    for unit in work:
        if len(unit.paths) > 1:
            unit.merge(entries[unit.paths[0]])

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=int(os.environ.get("JOBS", os.cpu_count()))) as pool:
        for unit, (code, output) in zip(work, pool.map(lambda unit: run(tidy, unit), work)):
            if code == 0:
                unit.state.touch()
            else:
                bad += 1
                print(output.replace(f"{ROOT}/", ""), end="", flush=True)
    looked_at = sum(len(unit.paths) for unit in work)
    print(f"tidy: {looked_at} files looked at, {len(subjects) - looked_at} unchanged since they were clean, "
          f"{bad} {'rooms' if together else 'files'} with findings")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
