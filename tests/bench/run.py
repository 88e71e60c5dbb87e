#!/usr/bin/python3
"""nearcached beside redis-server, nutcracker and haproxy, interleaved in one run, as Markdown.

    tests/bench/run.py [--quick] [--only REGEX] [--rounds N] [--sched both|batch|other] [--cpu N]
                       [--scale X] [--output FILE]

A report, not a test: it prints whether each bar holds and ends with 0 whenever it could measure.
README.md says how the figures come about. The daemon is $NEARCACHED_BIN or build/nearcached;
without one the peers are measured alone.
"""

import argparse
import datetime
import os
import platform
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench_scenarios as scenarios  # noqa: E402
import bench_topologies as topologies  # noqa: E402
import bench_tracking as tracking  # noqa: E402
from bench_targets import BINARY, Placement  # noqa: E402

_NAMES = {"floor": "floor (epoll, recv, send)", "redis": "redis-server", "nutcracker": "nutcracker", "hit 100 %": "nearcached, hit 100 %",
          "hit 50 %": "nearcached, hit 50 %", "hit 0 %": "nearcached, L1 off (forward)",
          "fill": "nearcached, miss and fill", "set": "nearcached"}


_IDLE = 10_000  # clients
_POLICY = {"batch": "SCHED_BATCH", "other": "SCHED_OTHER (the default policy)"}


def _first_policy(options):
    """The one that the tables are measured under."""
    return "batch" if options.sched == "both" else options.sched


def _first_line(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError:
        return "?"
    return (done.stdout + done.stderr).strip().split("\n")[0]


def _machine():
    with open("/proc/cpuinfo") as info:
        model = re.search(r"model name\s*:\s*(.*)", info.read())
    return (f"{model.group(1) if model else 'unknown CPU'}, {os.cpu_count()} CPUs, Linux "
            f"{platform.release()}, load {os.getloadavg()[0]:.1f} at the start")


def _head(options):
    here = os.path.dirname(os.path.abspath(__file__))
    redis = re.search(r"v=(\S+)", _first_line("redis-server", "--version"))
    daemon = _first_line(BINARY, "--version") if os.access(BINARY, os.X_OK) else "not built"
    return "\n".join([
        "# Benchmark", "",
        f"- date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"- command: `{' '.join(['tests/bench/run.py', *sys.argv[1:]])}`",
        f"- machine: {_machine()}",
        f"- nearcached: {daemon}, commit {_first_line('git', '-C', here, 'rev-parse', '--short', 'HEAD')}",
        f"- peers: redis-server {redis.group(1) if redis else '?'}, {_first_line('nutcracker', '-V').removeprefix('This is ')}, "
        + " ".join(_first_line("haproxy", "-v").split()[:3]),
        f"- medians of {options.rounds} interleaved rounds; CPU is that of the process under test; "
        + f"everything pinned to CPU {options.cpu} under {_POLICY[_first_policy(options)]} unless a "
        "table says otherwise", ""])


def _table(result):
    lines = [f"### {result.scenario}", "",
             "| process | CPU µs/request | / redis | / nutcracker | requests/s | p50 ms | p99 ms | peak RSS MB "
             "| upstream reads/request |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in result.rows:
        if row.failure:
            lines.append(f"| {_NAMES[row.target]} | FAILED: {row.failure} |" + " - |" * 7)
            continue
        s = row.sample
        ratios = [result.ratio(row.target, peer) for peer in ("redis", "nutcracker")]
        against = ["-" if ratio is None else f"{ratio.median:.2f}" for ratio in ratios]
        lines.append(f"| {_NAMES[row.target]} | {s.cpu_us:.2f} | {against[0]} | {against[1]} "
                     f"| {s.rps:,.0f} | {s.p50_ms:.3f} | {s.p99_ms:.3f} | {s.peak_rss / 1e6:.1f} "
                     f"| {s.upstream:.2f} |")
    return "\n".join(lines) + "\n"


def _memory_table(memory):
    lines = ["### Memory of 1M entries of 64 B (keys of 16 B)", "",
             "| process | bytes of RSS per entry beyond key and value |", "|---|---|"]
    for name in ("redis-server", "nearcached"):
        if name in memory:
            lines.append(f"| {name} | {memory[name]:.1f} |")
    reads = memory.get("upstream reads per read afterwards")
    if reads is not None:
        lines += ["", f"{reads:.4f} upstream reads per read afterwards: all the entries are there "
                  "when this is next to nothing."]
    return "\n".join(lines) + "\n"


def _figure(spread, bar):
    """(median with its spread, whether the median holds)"""
    if spread is None:
        return "not measured", "-"
    digits = 1 if bar > 10 else 3
    shown = f"{spread.median:.{digits}f}"
    if spread.low != spread.high:
        shown += f" ({spread.low:.{digits}f} … {spread.high:.{digits}f})"
    return shown, "yes" if spread.median <= bar else "NO"


def _bars(by_policy, memory):
    """`by_policy`: the results under each policy, that of the verdict first."""
    head = ["what", "bar"]
    for policy in by_policy:
        head += [_POLICY[policy], "holds"]
    lines = ["### The bars", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    columns = [scenarios.bars(results, memory) for results in by_policy.values()]
    for rows in zip(*columns):
        what, bar, _ = rows[0]
        cells = [what, f"<= {bar:g}"]
        for row in rows:
            cells += _figure(row[2], bar)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _run(todo, rounds, placement):
    results = []
    for number, scenario in enumerate(todo, 1):
        results.append(scenarios.run_scenario(
            scenario, rounds, placement,
            lambda name, n=number: print(f"bench: {placement.sched} {n}/{len(todo)} {name}",
                                         file=sys.stderr)))
    return results


def _run_topologies(wanted, options, scale, placement):
    """The tables of what is forwarded to a Cluster and over TLS, and of idle clients."""
    parts = []
    for name, layout, work in topologies.topology_scenarios(scale):
        if wanted.search(name):
            parts.append(topologies.topology_table(
                topologies.run_topology(name, layout, work, options.rounds, placement)))
            print(f"bench: {placement.sched} {name}", file=sys.stderr)
    if wanted.search("idle clients"):
        parts.append(topologies.idle_table(_IDLE, topologies.idle_clients(_IDLE, placement)))
    return parts


def _run_tracking(wanted, options, scale, placement):
    parts = []
    for pipeline in (1, 16):
        name = tracking.name_of(pipeline)
        if wanted.search(name):
            parts.append(tracking.tracking_table(
                name, tracking.run_tracking(pipeline, options.rounds, scale, placement)))
            print(f"bench: {placement.sched} {name}", file=sys.stderr)
    return parts


def main():
    parser = argparse.ArgumentParser(description="Benchmark nearcached against its peers.")
    parser.add_argument("--quick", action="store_true", help="only what the bars are about, shorter")
    parser.add_argument("--only", metavar="REGEX", help="only scenarios whose name matches; "
                        "'memory' and 'idle clients' are two too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sched", choices=("both", "batch", "other"), default="both",
                        help="scheduling policy of all processes; both: the tables and the verdict "
                        "under SCHED_BATCH, the bars under the default policy too")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the requests of a run")
    parser.add_argument("--output", metavar="FILE", help="write the report there too")
    options = parser.parse_args()
    missing = [tool for tool in ("redis-server", "redis-benchmark", "nutcracker", "haproxy", "taskset", "chrt",
                                  "openssl")
               if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing:
        print(f"bench: {', '.join(missing)} not found", file=sys.stderr)
        return 1
    os.environ["PATH"] += ":/usr/sbin"

    scale = options.scale * (0.5 if options.quick else 1)
    todo = scenarios.bar_scenarios(scale)
    if not options.quick:
        todo += scenarios.matrix_scenarios(scale) + scenarios.unpinned_scenarios(scale)
    wanted = re.compile(options.only or "", re.I)
    todo = [scenario for scenario in todo if wanted.search(scenario.name)]

    parts = [_head(options)]
    first = Placement(options.cpu, _first_policy(options))
    by_policy = {first.sched: _run(todo, options.rounds, first)}
    parts += [_table(result) for result in by_policy[first.sched]]
    memory = None
    if wanted.search("memory"):
        memory = scenarios.entry_overhead(1_000_000, first)
        parts.append(_memory_table(memory))
    if not options.quick and os.access(BINARY, os.X_OK):
        parts += _run_topologies(wanted, options, scale, first)
        parts += _run_tracking(wanted, options, scale, first)
    if options.sched == "both":
        again = [scenario for scenario in scenarios.bar_scenarios(scale)
                 if wanted.search(scenario.name)]
        by_policy["other"] = _run(again, options.rounds, Placement(options.cpu, "other"))
    parts.append(_bars(by_policy, memory))
    parts.append(f"Load of the machine at the end: {os.getloadavg()[0]:.1f}.\n")
    report = "\n".join(parts)
    print(report)
    if options.output:
        with open(options.output, "w") as out:
            out.write(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
