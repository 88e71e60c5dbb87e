"""What is compared: the scenarios, the order of their runs, and the bars."""

import dataclasses
import os
import statistics
import subprocess

from bench_load import Work, fill, median, measure, warm
from bench_targets import BINARY, Bench, Placement

_LONG = ["l1:", "  ttl: 1h", "  ttl_jitter: 0", "  negative_ttl: 1h"]
_LARGE = ["  bytes: 1gb", "  entry_bytes_max: 4mb"]
# More YAML: an L1 that keeps all there is; one that can hold next to nothing of the key space, so that
# nearly every read misses and fills; and none.
KEEP = _LONG + _LARGE
FILL = _LONG + ["  bytes: 1mb"]
FORWARD = ["l1:", "  enabled: false"]


def half_of(keys):
    """Rules that keep the upper half of the key space of `keys` (a power of ten) out of L1."""
    digits = len(str(keys - 1))
    head = "key:" + "0" * (12 - digits)
    return ["rules:"] + [f"  - prefix: \"{head}{digit}\"\n    cache: false" for digit in range(5, 10)]


@dataclasses.dataclass(frozen=True)
class Spread:
    """A figure measured several times."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures):
        return cls(statistics.median(figures), min(figures), max(figures))


@dataclasses.dataclass
class Row:
    target: str
    samples: list  # one a round
    failure: str = ""  # why there are not as many as rounds

    @property
    def sample(self):
        return median(self.samples)


@dataclasses.dataclass
class Result:
    scenario: str
    rows: list

    def ratio(self, target, against, field="cpu_us"):
        """The Spread over the rounds of their quotients, or None where one was not measured.

        Round by round, because neighbours in time share the noise of the machine.
        """
        ours, theirs = self._of(target), self._of(against)
        if not ours or not theirs or ours.failure or theirs.failure or not all(getattr(s, field) for s in theirs.samples):
            return None
        return Spread.of([getattr(a, field) / getattr(b, field)
                          for a, b in zip(ours.samples, theirs.samples)])

    def _of(self, target):
        return next((row for row in self.rows if row.target == target), None)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    work: Work
    targets: tuple       # of "floor", "redis", "nutcracker", "hit 100 %", "hit 50 %", "hit 0 %", "fill", "set"
    delay_us: int = 0    # each way between everything and the upstream
    pinned: bool = True


def size_name(size):
    return f"{size} B" if size < 1024 else f"{size >> 10} KiB" if size < 1 << 20 else f"{size >> 20} MiB"


def _requests(size, connections, pipeline, scale):
    base = {64: 60_000, 1024: 50_000, 16384: 20_000, 1 << 20: 400}[size]
    if connections == 1 and pipeline == 1:
        base //= 2 if size < 1 << 20 else 1
    if pipeline > 1:
        base *= {64: 8, 1024: 5, 16384: 1, 1 << 20: 1}[size]
    return max(pipeline * connections * 4, int(base * scale))


def _work(command, size, connections, pipeline, scale, keys=None):
    keys = keys or {64: 10_000, 1024: 10_000, 16384: 1000, 1 << 20: 100}[size]
    return Work(command, size, connections, pipeline, keys,
                _requests(size, connections, pipeline, scale))


def bar_scenarios(scale):
    """Those that the bars are about."""
    all_ = ("redis", "nutcracker", "hit 100 %", "hit 0 %")
    with_floor = ("floor", *all_)
    return [
        Scenario("GET 64 B, 50 connections, pipeline 1, 10k keys",
                 _work("get", 64, 50, 1, scale), with_floor),
        Scenario("GET 64 B, 50 connections, pipeline 16, 10k keys",
                 _work("get", 64, 50, 16, scale), with_floor),
        Scenario("GET 64 B, 50 connections, pipeline 16, 1M keys",
                 _work("get", 64, 50, 16, scale, 1_000_000), (*all_, "fill")),
        Scenario("GET 64 B, 50 connections, pipeline 1, 1M keys",
                 _work("get", 64, 50, 1, scale, 1_000_000), ("hit 0 %", "fill")),
        Scenario("GET 1 MiB, 1 connection, pipeline 1", _work("get", 1 << 20, 1, 1, scale), all_),
        Scenario("GET 1 MiB, 50 connections, pipeline 1", _work("get", 1 << 20, 50, 1, scale), all_),
        Scenario("GET 64 B, 1 connection, upstream 0.5 ms away",
                 Work("get", 64, 1, 1, 10_000, max(500, int(2000 * scale))),
                 ("redis", "nutcracker", "hit 100 %", "hit 50 %", "hit 0 %"), delay_us=250),
    ]


def matrix_scenarios(scale):
    """GET and SET over sizes, connections, pipelines and hit ratios."""
    found = []
    for command in ("get", "set"):
        for size in (64, 1024, 16384, 1 << 20):
            for connections in (1, 50):
                for pipeline in (1, 16):
                    targets = ("redis", "nutcracker", "hit 100 %", "hit 50 %", "hit 0 %", "fill") \
                        if command == "get" else ("redis", "nutcracker", "set")
                    found.append(Scenario(
                        f"{command.upper()} {size_name(size)}, {connections} "
                        f"connection{'s' if connections > 1 else ''}, pipeline {pipeline}",
                        _work(command, size, connections, pipeline, scale), targets))
    return found


def unpinned_scenarios(scale):
    return [dataclasses.replace(scenario, name=scenario.name + ", not pinned", pinned=False)
            for scenario in bar_scenarios(scale)[:4]]


def run_scenario(scenario, rounds, placement, progress):
    """Starts the processes, interleaves `rounds` runs of each, returns the medians."""
    # Not pinned means: as on anybody's machine, so under the default policy too.
    bench = Bench(placement if scenario.pinned else Placement(None, "other"))
    work = scenario.work
    try:
        redis = bench.redis()
        fill(redis, work.keys, work.size)
        upstream = bench.relay(redis, scenario.delay_us) if scenario.delay_us else redis
        targets = []
        for kind in scenario.targets:
            target = _start(bench, kind, redis, upstream, work)
            if target is not None:
                targets.append((kind, target))
        for kind, target in targets:
            if kind in ("hit 100 %", "hit 50 %"):
                warm(target, work.keys, work.size)
        samples = {kind: [] for kind, _ in targets}
        failures = {}
        for number in range(rounds):
            for at in range(len(targets)):
                kind, target = targets[(at + number) % len(targets)]
                port_owner = upstream if kind == "redis" and scenario.delay_us else target
                if kind in failures:
                    continue
                try:
                    samples[kind].append(_measure(target, port_owner, redis, work, bench.placement))
                except (subprocess.SubprocessError, RuntimeError) as why:
                    failures[kind] = _said(why)
        progress(scenario.name)
        return Result(scenario.name, [Row(kind, samples[kind], failures.get(kind, ""))
                                       for kind, _ in targets])
    finally:
        bench.close()


def _said(why):
    """One line that a table can hold."""
    if isinstance(why, subprocess.TimeoutExpired):
        return f"not done after {why.timeout:.0f} s"
    text = (getattr(why, "stderr", "") or "") or str(why)
    return " ".join(text.split())[:200].replace("|", "/")


def _measure(target, port_owner, redis, work, placement):
    own_port, target.port = target.port, port_owner.port
    try:
        return measure(target, redis, work, placement)
    finally:
        target.port = own_port


def _start(bench, kind, redis, upstream, work):
    if kind == "redis":
        return redis
    if kind == "floor":
        return bench.floor(work.size)
    if kind == "nutcracker":
        return bench.nutcracker(upstream)
    if not os.access(BINARY, os.X_OK):
        return None
    lines = {
        "hit 100 %": KEEP,
        "hit 50 %": KEEP + half_of(work.keys),
        "hit 0 %": FORWARD,
        "fill": FILL,
        "set": KEEP,
    }[kind]
    return bench.nearcached(upstream, f"nearcached {kind}".replace(" %", ""), lines)


def entry_overhead(count, placement):
    """(bytes of RSS per entry beyond key and value, entries) for `count` entries of 64 B values."""
    bench = Bench(placement)
    try:
        redis = bench.redis()
        before = redis.memory()
        fill(redis, count, 64)
        payload = 16 + 64
        found = {"redis-server": (redis.memory() - before) / count - payload}
        if os.access(BINARY, os.X_OK):
            target = bench.nearcached(redis, lines=KEEP)
            warm(target, 1000, 64)
            before = target.memory()
            warm(target, count, 64)
            found["nearcached"] = (target.memory() - before) / (count - 1000) - payload
            check = Work("get", 64, 50, 16, count, 200_000)
            found["upstream reads per read afterwards"] = measure(target, redis, check, placement).upstream
        return found
    finally:
        bench.close()


def bars(results, memory):
    """(what, bar, Spread or None) for each bar; None where the results say nothing about it."""
    by_name = {result.scenario: result for result in results}

    def ratio(scenario, kind, against, field="cpu_us"):
        result = by_name.get(scenario)
        return result.ratio(kind, against, field) if result else None

    get = "GET 64 B, 50 connections, pipeline"
    return [
        ("hit, no pipeline, 10k keys: CPU / redis-server's", 0.85,
         ratio(f"{get} 1, 10k keys", "hit 100 %", "redis")),
        ("hit, pipeline 16, 10k keys: CPU / redis-server's", 0.50,
         ratio(f"{get} 16, 10k keys", "hit 100 %", "redis")),
        ("hit, pipeline 16, 1M keys: CPU / redis-server's", 0.42,
         ratio(f"{get} 16, 1M keys", "hit 100 %", "redis")),
        ("forward, no pipeline: CPU / nutcracker's", 0.90,
         ratio(f"{get} 1, 10k keys", "hit 0 %", "nutcracker")),
        ("forward, pipeline 16: CPU / nutcracker's", 0.30,
         ratio(f"{get} 16, 10k keys", "hit 0 %", "nutcracker")),
        ("forward 1 MiB: CPU / nutcracker's", 1.0,
         ratio("GET 1 MiB, 1 connection, pipeline 1", "hit 0 %", "nutcracker")),
        ("fill, no pipeline: CPU / a forward's", 1.35,
         ratio(f"{get} 1, 1M keys", "fill", "hit 0 %")),
        ("fill, pipeline 16: CPU / a forward's", 1.35,
         ratio(f"{get} 16, 1M keys", "fill", "hit 0 %")),
        ("hit, upstream 0.5 ms away: p50 / direct", 0.10,
         ratio("GET 64 B, 1 connection, upstream 0.5 ms away", "hit 100 %", "redis", "p50_ms")),
        ("L1 bytes per entry beyond key and value, 64 B, 1M entries", 72,
         Spread.of([memory["nearcached"]]) if memory and "nearcached" in memory else None),
    ]
