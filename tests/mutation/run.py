#!/usr/bin/python3
"""Mutation test of the coherence contract: each planted bug must be caught.

    tests/mutation/run.py [--seeds N] [--jobs N] [-k REGEX] [--list] [--check]

Copies the sources into build/mutation and builds there, once as they are (all must pass) and then once
for each mutant of mutants.py. A mutant names who is to catch it: a profile of the simulator, all
profiles in turn, or the unit tests of a room. Prints a table and ends with "N caught, N survived";
the exit code is 0 only when none survived and none could not be built. About 20 s a mutant on two
cores, of which most is building.
"""

import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mutants import MUTANTS  # noqa: E402

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_WORK = os.path.join(_ROOT, "build", "mutation")
_SOURCE = os.path.join(_WORK, "source")
_BUILD = os.path.join(_WORK, "out")
_PARTS = ["CMakeLists.txt", "METRICS.md", "cmake", "proto", "config", "daemon", "tests"]


def _run(argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, check=False, **options)


def _sources():
    for part in _PARTS:
        top = os.path.join(_ROOT, part)
        if os.path.isfile(top):
            yield part
        for folder, _, names in os.walk(top):
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), _ROOT)


def _copy():
    """Brings the copy up to date. What differs gets a new time, so that it is built anew, whatever
    an interrupted run left there."""
    wanted = set(_sources())
    for folder, _, names in os.walk(_SOURCE):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, _SOURCE) not in wanted:
                os.remove(path)
    for name in wanted:
        here, there = os.path.join(_ROOT, name), os.path.join(_SOURCE, name)
        if not os.path.exists(there) or not filecmp.cmp(here, there, shallow=False):
            os.makedirs(os.path.dirname(there), exist_ok=True)
            shutil.copyfile(here, there)


def _configure():
    argv = ["cmake", "-S", _SOURCE, "-B", _BUILD, "-DNEARCACHED_LTO=OFF",
            "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g0"]
    if shutil.which("ninja"):
        argv += ["-G", "Ninja"]
    if shutil.which("ccache"):
        argv.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    done = _run(argv)
    if done.returncode:
        sys.exit(f"mutation: cmake failed\n{done.stdout}{done.stderr}")


def _program(by):
    """The program that is to catch a mutant."""
    return f"nearcached_{by.removeprefix('unit/')}_test" if by.startswith("unit/") else "nearcached_sim"


def _build(by, jobs):
    done = _run(["cmake", "--build", _BUILD, "--target", _program(by), "-j", str(jobs)])
    return "" if done.returncode == 0 else done.stdout[-3000:] + done.stderr[-3000:]


def _judge(by, seeds):
    """What `by` says: None when all is as it should be, else (where it broke, what broke)."""
    program = [os.path.join(_BUILD, _program(by))]
    if not by.startswith("unit/"):
        program += ["--seeds", str(seeds), *(["--profile", by] if by else [])]
    # An endless loop is a way to be caught as well: a world takes 10 ms, of a cluster 100.
    try:
        done = _run(program, cwd=_BUILD if by.startswith("unit/") else _SOURCE, timeout=60 + seeds / 4)
    except subprocess.TimeoutExpired:
        return by, "no end"
    if done.returncode == 0:
        return None
    if found := re.search(r"FAIL seed (\d+) profile (\S+?):? (?:invariant )?(.*)", done.stdout):
        return f"{found.group(2)} {found.group(1)}", found.group(3)
    if found := re.search(r"TEST CASE: +(.*)", done.stdout):
        return by, found.group(1)
    return by, f"ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-120:]}"


def _apply(mutant):
    """Writes the mutated file; returns the original text."""
    path = os.path.join(_SOURCE, mutant.file)
    with open(path) as source:
        text = source.read()
    with open(path, "w") as out:
        out.write(text.replace(mutant.find, mutant.replace))
    return text


def _outdated():
    """What is wrong with the list of mutants, a line each: code changes under it."""
    for mutant in MUTANTS:
        with open(os.path.join(_ROOT, mutant.file)) as source:
            times = source.read().count(mutant.find)
        if times != 1:
            yield (f"mutants: {mutant.name}: its text occurs {times} times in {mutant.file}, not once; "
                   "bring tests/mutation/mutants.py up to date")


def _try(mutant, options):
    """Builds and judges one mutant. (compiler's output, verdict)"""
    original = _apply(mutant)
    try:
        problem = _build(mutant.by, options.jobs)
        return problem, None if problem else _judge(mutant.by, options.seeds)
    finally:
        with open(os.path.join(_SOURCE, mutant.file), "w") as out:
            out.write(original)


def _check_unchanged(chosen, options):
    """Who is to catch the mutants must have nothing to say about the product as it is."""
    for by in sorted({mutant.by for mutant in chosen}):
        if problem := _build(by, options.jobs):
            sys.exit(f"mutation: the sources do not build\n{problem}")
        if verdict := _judge(by, min(options.seeds, 200)):
            sys.exit(f"mutation: the unchanged product fails: {verdict[0]}: {verdict[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000, help="worlds for each mutant, at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-k", default="", metavar="REGEX", help="only mutants whose name matches")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true", help="only whether the list fits the code")
    options = parser.parse_args()
    if outdated := list(_outdated()):
        sys.exit("\n".join(outdated))
    if options.check:
        print(f"mutants: {len(MUTANTS)}, each of a text that is there once")
        return 0
    chosen = [m for m in MUTANTS if re.search(options.k, m.name)]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name:22} {mutant.by or 'all profiles':18} {mutant.rule}")
        return 0
    _copy()
    _configure()
    _check_unchanged(chosen, options)
    print(f"{'mutant':22} {'caught by':24} what it says", flush=True)
    survived, broken = [], []
    for mutant in chosen:
        began = time.monotonic()
        problem, verdict = _try(mutant, options)
        if problem:
            broken.append(mutant.name)
            print(f"{mutant.name:22} does not build\n{problem}", flush=True)
        elif verdict is None:
            survived.append(mutant.name)
            print(f"{mutant.name:22} SURVIVED {mutant.by or 'all profiles'}: {mutant.rule}", flush=True)
        else:
            where, what = verdict
            print(f"{mutant.name:22} {where:24} {what[:110]} ({time.monotonic() - began:.0f} s)",
                  flush=True)
    caught = len(chosen) - len(survived) - len(broken)
    print(f"mutation: {caught} caught, {len(survived)} survived"
          + (f", {len(broken)} not built" if broken else ""))
    return 1 if survived or broken or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
