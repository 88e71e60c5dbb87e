"""What tracking costs redis-server, mode by mode: its CPU for a read that misses, and for a write that
somebody else makes of a key that was read. Each mode has a server and a sidecar of its own, since one
server that tracks for several would pay for all of them at every write."""

import dataclasses
import time

from bench_load import Work, fill, measure, warm
from bench_scenarios import FILL, FORWARD, Spread
from bench_targets import Bench, Resp

_KEYS = 100_000
_SETTLE = 0.2  # seconds, for what the preparation has set off to be over
_RULE = ["rules:", "  - prefix: \"key:\"", "    ttl: 1h"]  # BCAST and TTL-only cache nothing without


@dataclasses.dataclass(frozen=True)
class Mode:
    """One way to hear of changes."""

    name: str
    armed: str | None  # what NEARCACHE TRACKING must say of it; None: nothing is cached
    lines: tuple = ()  # of the configuration


FORWARDED = Mode("caching off: a plain forward", None)
_MODES = (
    FORWARDED,
    Mode("TTL only", "off", ("tracking:", "  mode: off")),
    Mode("default, on the fill link", "armed", ("tracking:", "  method: default")),
    Mode("redirect to a tracking link", "armed (redirect)", ("tracking:", "  method: redirect")),
    Mode("BCAST, one prefix", "armed (bcast)", ("tracking:", "  method: bcast")),
)


@dataclasses.dataclass
class Costs:
    """CPU in µs, one figure a round."""

    server_read: list = dataclasses.field(default_factory=list)
    sidecar_read: list = dataclasses.field(default_factory=list)
    server_write: list = dataclasses.field(default_factory=list)
    sidecar_write: list = dataclasses.field(default_factory=list)


class _Pair:
    """A server and the sidecar in front of it, which hears of changes in one way."""

    def __init__(self, bench, mode, number):
        self.mode = mode
        self.costs = Costs()
        self._placement = bench.placement
        self._redis = bench.redis(f"redis-server {number}")
        lines = FORWARD if mode.armed is None else [*FILL, *_RULE, *mode.lines]
        self._sidecar = bench.nearcached(self._redis, f"nearcached {number}", lines)
        self._check_mode()

    def _check_mode(self):
        """A figure of one mode must not be another's, which the sidecar has fallen back to."""
        if self.mode.armed is None:
            return
        client = Resp(self._sidecar.port)
        deadline = time.monotonic() + 10
        while True:
            client.cmd("GET", "key:absent")  # asks for the link for fills, which takes its time to stand
            said = client.cmd("NEARCACHE", "TRACKING")
            if f"b'{self.mode.armed}'" in str(said):
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.mode.name}: the sidecar says {said}")
            time.sleep(0.05)
        client.close()

    def measure_reads(self, pipeline, requests):
        """Of keys that the server has yet to remember, the dearest there are for it. All but a few miss; a
        hit costs the server nothing, so its share is by what it was asked, the sidecar's by request."""
        fill(self._redis, _KEYS, 64)  # begins with FLUSHALL, which empties the server's table
        time.sleep(_SETTLE)
        work = Work("get", 64, 50, pipeline, _KEYS, requests)
        before = self._redis.cpu_seconds()
        sample = measure(self._sidecar, self._redis, work, self._placement)
        used = self._redis.cpu_seconds() - before
        self.costs.server_read.append(used / (sample.upstream * requests) * 1e6)
        self.costs.sidecar_read.append(sample.cpu_us)

    def measure_writes(self, pipeline):
        """Straight to the server, of keys all of which the sidecar has read before. Fewer than there are
        keys, because the server announces the first write after a read and no other."""
        warm(self._sidecar, _KEYS, 64)
        time.sleep(_SETTLE)
        work = Work("set", 64, 50, pipeline, _KEYS, _KEYS // 10)
        before = self._sidecar.cpu_seconds()
        sample = measure(self._redis, self._redis, work, self._placement)
        self.costs.server_write.append(sample.cpu_us)
        self.costs.sidecar_write.append((self._sidecar.cpu_seconds() - before) / work.requests * 1e6)


def name_of(pipeline):
    return f"tracking: CPU of redis-server per miss, GET 64 B, 50 connections, pipeline {pipeline}"


def run_tracking(pipeline, rounds, scale, placement):
    """[(Mode, Costs)], the plain forward first; the modes take turns in each round."""
    bench = Bench(placement)
    requests = max(pipeline * 200, int(scale * _KEYS / 2))  # seldom a key twice
    try:
        pairs = [_Pair(bench, mode, number) for number, mode in enumerate(_MODES)]
        for number in range(rounds):
            for at in range(len(pairs)):
                pair = pairs[(at + number) % len(pairs)]
                pair.measure_reads(pipeline, requests)
                pair.measure_writes(pipeline)
        return [(pair.mode, pair.costs) for pair in pairs]
    finally:
        bench.close()


def _cells(figures, plain):
    """The median in µs, and the median of the rounds' quotients by a plain forward, with its spread."""
    ratio = Spread.of([mine / theirs for mine, theirs in zip(figures, plain)])
    return [f"{Spread.of(figures).median:.2f}", f"{ratio.median:.2f} ({ratio.low:.2f} … {ratio.high:.2f})"]


def tracking_table(name, measured):
    lines = [f"### {name}", "",
             "| mode | server µs/miss | / forward | sidecar µs/read | / forward | server µs/write elsewhere "
             "| / forward | sidecar µs/write elsewhere |", "|---" * 8 + "|"]
    plain = measured[0][1]
    for mode, costs in measured:
        cells = [mode.name, *_cells(costs.server_read, plain.server_read),
                 *_cells(costs.sidecar_read, plain.sidecar_read),
                 *_cells(costs.server_write, plain.server_write),
                 f"{Spread.of(costs.sidecar_write).median:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
