#!/usr/bin/python3
"""Runs the end-to-end cases: a real redis-server, the real daemon, real clients.

    tests/e2e/run.py [--quick] [-k PATTERN] [--jobs N] [--target daemon|direct] [--second-look N] [--list]

Each case runs in a process and a process group of its own with a deadline, so that a hang or a
crash costs one case and leaves nothing behind. The daemon is $NEARCACHED_BIN or build/nearcached.
`--target direct` runs the cases that must be true of redis-server alone against it: the check of
the checks. E2E_TIMEOUT_SCALE multiplies every deadline (sanitizer builds).

`--second-look N` (E2E_SECOND_LOOK) is for a gate on a machine that others use as well: up to N cases
that failed run once more at the end, with nothing beside them. One that then passes is counted as
passed and named in the summary, after its first failure was shown whole. What a case of _NEVER_TWICE
says is wrong was a wrong answer, whatever the load: those have one chance.
"""

import argparse
import collections
import importlib
import json
import os
import pkgutil
import re
import resource
import select
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cases  # noqa: E402
from harness.env import Env  # noqa: E402
from harness.registry import CASES, Skip  # noqa: E402
from harness.wait import SCALE  # noqa: E402


# Groups that look for answers the contract forbids (ARCHITECTURE.md): the clock is no excuse for one.
_NEVER_TWICE = ("coherence", "identity", "own_writes", "own_writes_reads", "tracking_methods", "under_fire",
                "verify")


def load_cases():
    for module in sorted(info.name for info in pkgutil.iter_modules(cases.__path__)):
        importlib.import_module(f"cases.{module}")


def chosen(options):
    pattern = re.compile(options.k or "", re.I)
    return [case for case in CASES
            if pattern.search(case.name) and not (options.quick and case.full)
            and (options.target == "daemon" or case.direct)]


def run_case(case, direct):
    """In the child: runs one case, returns {status, detail, notes}."""
    env = Env(direct)
    result = {"status": "passed", "detail": "", "notes": []}
    try:
        case.run(env)
    except Skip as skip:
        result.update(status="skipped", detail=str(skip))
    except BaseException:  # a case may fail with anything, and its servers must still be stopped
        result.update(status="failed", detail=traceback.format_exc())
    problems, logs = env.close(result["status"] != "passed")
    if problems and result["status"] == "passed":
        result.update(status="failed", detail="\n".join(problems))
    if result["status"] == "failed":
        for name, log in logs:
            tail = log[-6000:]
            result["detail"] += f"\n--- {name} log (last {len(tail)} bytes)\n{tail}"
    result["notes"] = env.notes
    return result


class Running:
    """A case in its child process."""

    def __init__(self, case, direct):
        self.case = case
        self.started = time.monotonic()
        self.deadline = self.started + case.timeout * SCALE
        self.output = b""
        self.pipe, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            os.close(self.pipe)
            with os.fdopen(write_end, "w") as out:
                json.dump(run_case(case, direct), out)
                out.flush()
                os._exit(0)
        os.setpgid(self.pid, self.pid)
        os.close(write_end)

    def finish(self):
        os.close(self.pipe)
        try:
            os.killpg(self.pid, signal.SIGKILL)  # whatever it started and left
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        try:
            result = json.loads(self.output)
        except ValueError:
            late = time.monotonic() > self.deadline
            result = {"status": "failed", "notes": [],
                      "detail": "not finished in time" if late else "the case's process died"}
        result["seconds"] = time.monotonic() - self.started
        return result


def run_all(todo, jobs, direct, report):
    waiting = collections.deque(todo)
    running = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            child = Running(waiting.popleft(), direct)
            running[child.pipe] = child
        wait = min(child.deadline for child in running.values()) - time.monotonic()
        readable, _, _ = select.select(list(running), [], [], max(0, wait))
        now = time.monotonic()
        for pipe, child in list(running.items()):
            ended = False
            if pipe in readable:
                data = os.read(pipe, 1 << 16)
                child.output += data
                ended = not data
            if ended or now > child.deadline:
                del running[pipe]
                report(child.case, child.finish())


class Report:
    """Prints each case as it ends and keeps count; `second_looks` failures are kept to be run again."""

    _WORDS = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}

    def __init__(self, second_looks):
        self.counts = collections.Counter()
        self.again = []
        self.unsteady = []
        self._looks = second_looks

    def first(self, case, result):
        looks = (result["status"] == "failed" and len(self.again) < self._looks
                 and case.name.partition(":")[0] not in _NEVER_TWICE)
        if looks:
            self.again.append(case)
        else:
            self.counts[result["status"]] += 1
        self._print(case, result, "  (to be run again, alone)" if looks else "")

    def second(self, case, result):
        self.counts[result["status"]] += 1
        if result["status"] != "failed":
            self.unsteady.append(case.name)
        self._print(case, result, "  (second run)")

    def _print(self, case, result, remark):
        if result["status"] == "skipped":
            remark += f"  [{result['detail']}]"
        notes = "".join(f"\n       {note}" for note in result["notes"])
        print(f"{self._WORDS[result['status']]} {case.name} ({result['seconds']:.2f} s){remark}{notes}")
        if result["status"] == "failed":
            print("    " + result["detail"].replace("\n", "\n    "))
        sys.stdout.flush()

    def close(self):
        """The last line, and the exit code."""
        counts = self.counts
        for name in self.unsteady:
            print(f"e2e: UNSTEADY, failed once and then passed: {name}")
        print(f"e2e: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
              + (f", {len(self.unsteady)} of them only when run again" if self.unsteady else ""))
        return 1 if counts["failed"] or not counts["passed"] else 0


def main():
    parser = argparse.ArgumentParser(description="End-to-end cases of nearcached.")
    parser.add_argument("--quick", action="store_true", help="leave out the long cases")
    parser.add_argument("-k", metavar="PATTERN", help="only cases whose name matches")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--target", choices=("daemon", "direct"), default="daemon")
    parser.add_argument("--second-look", metavar="N", type=int,
                        default=int(os.environ.get("E2E_SECOND_LOOK", "0")),
                        help="run up to N cases that failed once more, alone")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args()

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load_cases()
    todo = chosen(options)
    if options.list:
        for case in todo:
            print(case.name)
        return 0

    report = Report(options.second_look)
    started = time.monotonic()
    direct = options.target == "direct"
    run_all(todo, max(1, options.jobs), direct, report.first)
    run_all(report.again, 1, direct, report.second)
    print(f"e2e: {len(todo)} cases in {time.monotonic() - started:.0f} s, target {options.target}")
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
