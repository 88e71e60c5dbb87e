#!/usr/bin/python3
"""Runs the coherence checker: rising versions, two sidecars, a real Redis, faults, a judge.

    tests/coherence/run.py [--minutes N] [--seed N] [--rate X] [MODE]...     (default: all modes)

The schedule of faults and the traffic follow from the seed, which is printed; what the machine makes
of them does not. The daemon is $NEARCACHED_BIN, by default build/nearcached. The table at the end is
explained in README.md; the exit code is 0 only when every mode is as it must be.
"""

import argparse
import os
import random
import sys

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _TESTS
sys.path.insert(1, os.path.join(_TESTS, "e2e"))

from coherence.selftest import check_the_judge  # noqa: E402
from coherence.stand import MODES, SILENCE  # noqa: E402
from coherence.verdict import run_mode, table  # noqa: E402
from harness.env import Env  # noqa: E402


def run_one(mode, options, seed):
    env = Env()
    failed = True
    try:
        outcome = run_mode(env, mode, options.minutes * 60, seed, options.rate)
        failed = bool(outcome.problems)
    finally:
        problems, logs = env.close(failed)
        for name, log in logs:
            print(f"--- {name} log (its end)\n{log[-3000:]}")
    outcome.problems += problems
    faults = ", ".join(f"{name} {count}" for name, count in sorted(outcome.faults.items()))
    print(f"{mode.name} ({mode.what}), seed {seed}: {faults}")
    if not mode.pushes:
        print(f"  {outcome.staler_than(SILENCE)} reads were older than a server that pushes allows "
              f"({SILENCE:.3f} s): this is what the checker has to see")
    for line in outcome.problems + outcome.judge.examples:
        print(f"  {line}")
    print("\n".join(table([outcome])), flush=True)
    return outcome


def main():
    parser = argparse.ArgumentParser(description="The coherence contract under fire.")
    parser.add_argument("modes", nargs="*", metavar="MODE", help=", ".join(MODES))
    parser.add_argument("--minutes", type=float, default=1.0, help="for each mode")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--rate", type=float, default=1.0, help="of all traffic; 1 is a third of a core")
    options = parser.parse_args()
    unknown = [name for name in options.modes if name not in MODES]
    if unknown:
        parser.error(f"no such mode: {', '.join(unknown)}; there are {', '.join(MODES)}")
    os.nice(10)
    check_the_judge()
    outcomes = [run_one(MODES[name], options, options.seed) for name in options.modes or MODES]
    print(f"\ncoherence: seed {options.seed}, {options.minutes:g} minutes for each mode")
    print("\n".join(table(outcomes)))
    return 1 if any(outcome.problems for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
