"""One run of one mode, and what is said about it."""

import asyncio
import dataclasses
import math
import time

from .cluster_stand import ClusterStand
from .faults import Faults
from .history import Judge
from .load import Load
from .stand import SILENCE, SIDECARS, Stand

_HITS_MIN = 0.15  # of what was read; with less the cache has not been on trial


@dataclasses.dataclass
class Outcome:
    """What a run has shown. `problems` is empty when all is as it must be."""
    mode: object
    seconds: float
    judge: Judge
    load: Load
    faults: dict
    hits: float
    problems: list

    def staler_than(self, bound):
        return sum(delay > bound for delay in self.judge.delays)

    def delay(self, share):
        """A quantile, in seconds, of the staleness of those reads that were stale at all."""
        delays = sorted(self.judge.delays)
        return delays[min(len(delays) - 1, math.ceil(share * len(delays)) - 1)] if delays else 0.0


def _problems(mode, judge, hits, faults):
    found = [f"{count} breaches: {kind}" for kind, count in judge.breaches.items() if count]
    if hits < _HITS_MIN * judge.reads:
        found.append(f"only {hits:.0f} hits in {judge.reads} reads: the cache was hardly on trial")
    if not mode.pushes and not any(delay > SILENCE for delay in judge.delays):
        found.append("nobody pushes, and yet nothing stale was seen: the checker is blind")
    if not faults:
        found.append("nothing went wrong: there was no trial")
    return found


def make_stand(env, mode):
    """What a run of `mode` runs against, not started yet."""
    return (ClusterStand if mode.topology == "cluster" else Stand)(env, mode)


async def _run(env, mode, seconds, seed, rate):
    stand = await make_stand(env, mode).start()
    judge = Judge(mode.bound, mode.ttl, mode.pushes)
    load = Load(judge, SIDECARS, stand.port_of, seed, rate)
    load.start()
    faults = Faults(stand, load, seed)
    hits_before = await asyncio.to_thread(stand.hits)
    begun = time.monotonic()
    playing = asyncio.ensure_future(faults.run())
    await asyncio.wait([playing], timeout=seconds)
    faults.stop()
    await playing  # a fault that fails by itself is a bug of the checker
    await load.stop()
    hits = await asyncio.to_thread(stand.hits) - hits_before
    problems = _problems(mode, judge, hits, faults.counts)
    if not await asyncio.to_thread(stand.as_planned):
        problems.append("a primary was replaced that this run had not killed, which loses writes: on a "
                        "machine as busy as this the run says nothing")
    stand.close()
    return Outcome(mode, time.monotonic() - begun, judge, load, dict(faults.counts), hits, problems)


def run_mode(env, mode, seconds, seed, rate=1.0):
    """Runs one mode for that long; `env` is an Env of the end-to-end harness."""
    return asyncio.run(_run(env, mode, seconds, seed, rate))


_HEAD = ("mode", "s", "reads", "hits", "writes", "unknown", "faults", "own", "conn", "order", "life",
         "wrong", "stale", "older", "p50 ms", "p99 ms", "max ms", "bound ms", "verdict")


def table(outcomes):
    """The outcomes as lines of a table. "stale" counts reads beyond the bound; "older" is the share
    of reads that showed an older value than was acknowledged somewhere when they were sent, and the
    quantiles are theirs."""
    rows = [_HEAD]
    for out in outcomes:
        judge, breaches = out.judge, out.judge.breaches
        rows.append((
            out.mode.name, f"{out.seconds:.0f}", judge.reads, f"{out.hits / max(judge.reads, 1):.0%}",
            out.load.writes, out.load.unknown, sum(out.faults.values()), breaches["own"],
            breaches["connection"], breaches["order"], breaches["life"], breaches["wrong"],
            breaches["stale"], f"{len(judge.delays) / max(judge.reads, 1):.2%}",
            *(f"{out.delay(share) * 1000:.1f}" for share in (0.5, 0.99, 1.0)),
            f"{out.mode.bound * 1000:.0f}", "FAILED" if out.problems else "ok"))
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(_HEAD))]
    return ["  ".join(str(cell).rjust(width) for cell, width in zip(row, widths)) for row in rows]
