#!/usr/bin/env python3
"""No test is forgotten: the test cases written in tests/unit are the ones the built programs have.

Also: every program is known to ctest, and a skipped test says until when.
"""

import collections
import glob
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
CASE = re.compile(r"^\s*(TEST_CASE|TEST_CASE_FIXTURE|TEST_CASE_TEMPLATE|SCENARIO)\s*\(", re.M)
SKIP = re.compile(r"doctest::(skip|may_fail|should_fail)\b(?!.*until \d{4}-\d{2}-\d{2})")


def written():
    """file -> (number of test cases, whether some are templates)."""
    out = {}
    for path in sorted((ROOT / "tests/unit").rglob("*_test.cc")):
        kinds = CASE.findall(path.read_text(encoding="utf-8"))
        out[path.relative_to(ROOT).as_posix()] = (len(kinds), "TEST_CASE_TEMPLATE" in kinds)
    return out


def built():
    """file -> number of test cases, over all test programs."""
    out, programs = collections.Counter(), sorted(glob.glob(str(BUILD / "nearcached_*_test")))
    for program in programs:
        listing = subprocess.run([program, "--list-test-cases", "--no-skip=true", "--reporters=xml"],
                                 capture_output=True, text=True, timeout=60, check=True).stdout
        for case in ElementTree.fromstring(listing).iter("TestCase"):
            name = case.get("filename").replace("\\", "/")
            out[name[name.index("tests/unit/"):]] += 1
    return out, programs


def main():
    bad = []
    cases = written()
    for path in (ROOT / "tests").rglob("*.cc"):
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if SKIP.search(line):
                bad.append(f"{name}:{number}: a disabled test says until when: // until YYYY-MM-DD, why")
        if name.startswith("tests/unit/") and not name.endswith("_test.cc"):
            bad.append(f"{name}: is not named *_test.cc, so nothing builds it")
    found, programs = built()
    if not programs:
        sys.exit(f"tests: no test programs in {BUILD}; make all-targets")
    for name, (count, templates) in cases.items():
        if count == 0:
            bad.append(f"{name}: holds no test case")
        elif found[name] != count and not (templates and found[name] > count):
            bad.append(f"{name}: {count} test cases written, {found[name]} built")
    listed = subprocess.run(["ctest", "-N"], cwd=BUILD, capture_output=True, text=True, check=True).stdout
    for program in programs:
        room = re.fullmatch(r"nearcached_(\w+)_test", os.path.basename(program)).group(1)
        if not re.search(rf"\bunit\.{room}$", listed, re.M):
            bad.append(f"unit.{room}: not known to ctest")
    print("\n".join(bad), end="\n" if bad else "")
    print(f"tests: {sum(c for c, _ in cases.values())} test cases in {len(cases)} files, {len(bad)} problems")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
