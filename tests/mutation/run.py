#!/usr/bin/python3
"""Mutation test of the coherence contract: each planted bug must be caught by the simulator.

    tests/mutation/run.py [--seeds N] [--jobs N] [-k REGEX] [--list]

Copies the sources into build/mutation, builds the simulator there once as it is (it must pass), and
then once for each mutant of mutants.py (it must fail). Prints a table and ends with
"N caught, N survived"; the exit code is 0 only when none survived and none could not be built.
About 15 s a mutant.
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
_PARTS = ["CMakeLists.txt", "cmake", "proto", "config", "daemon", "tests"]


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


def _build(jobs):
    done = _run(["cmake", "--build", _BUILD, "--target", "nearcached_sim", "-j", str(jobs)])
    return "" if done.returncode == 0 else done.stdout[-3000:] + done.stderr[-3000:]


def _simulate(seeds):
    """The simulator's verdict: None when all worlds passed, else (seed, profile, what broke)."""
    # An endless loop is a way to be caught as well: a world takes 10 ms.
    try:
        done = _run([os.path.join(_BUILD, "nearcached_sim"), "--seeds", str(seeds)], cwd=_SOURCE,
                    timeout=60 + seeds / 5)
    except subprocess.TimeoutExpired:
        return "-", "-", "no end"
    if done.returncode == 0:
        return None
    found = re.search(r"FAIL seed (\d+) profile (\S+?):? (?:invariant )?(.*)", done.stdout)
    if not found:
        return "-", "-", f"ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-120:]}"
    return found.group(1), found.group(2), found.group(3)


def _apply(mutant):
    """Writes the mutated file; returns the original text."""
    path = os.path.join(_SOURCE, mutant.file)
    with open(path) as source:
        text = source.read()
    if text.count(mutant.find) != 1:
        sys.exit(f"mutation: {mutant.name}: its text occurs {text.count(mutant.find)} times in "
                 f"{mutant.file}, not once; bring tests/mutation/mutants.py up to date")
    with open(path, "w") as out:
        out.write(text.replace(mutant.find, mutant.replace))
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3000, help="worlds for each mutant, at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-k", default="", metavar="REGEX", help="only mutants whose name matches")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if re.search(options.k, m.name)]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name:22} {mutant.rule}")
        return 0
    _copy()
    _configure()
    if problem := _build(options.jobs):
        sys.exit(f"mutation: the sources do not build\n{problem}")
    if verdict := _simulate(options.seeds):
        sys.exit(f"mutation: the unchanged product fails: seed {verdict[0]}, {verdict[2]}")
    print(f"{'mutant':22} {'caught by':28} what the simulator says", flush=True)
    survived, broken = [], []
    for mutant in chosen:
        began = time.monotonic()
        original = _apply(mutant)
        problem = _build(options.jobs)
        verdict = None if problem else _simulate(options.seeds)
        with open(os.path.join(_SOURCE, mutant.file), "w") as out:
            out.write(original)
        if problem:
            broken.append(mutant.name)
            print(f"{mutant.name:22} does not build\n{problem}", flush=True)
        elif verdict is None:
            survived.append(mutant.name)
            print(f"{mutant.name:22} SURVIVED {options.seeds} worlds: {mutant.rule}", flush=True)
        else:
            seed, profile, what = verdict
            print(f"{mutant.name:22} {'seed ' + seed + ' ' + profile:28} {what[:110]} "
                  f"({time.monotonic() - began:.0f} s)", flush=True)
    caught = len(chosen) - len(survived) - len(broken)
    print(f"mutation: {caught} caught, {len(survived)} survived"
          + (f", {len(broken)} not built" if broken else ""))
    return 1 if survived or broken or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
