#!/usr/bin/python3
"""A soak: many connections that come and go for a long time, and a daemon that must not grow.

    tests/soak/run.py [--minutes 30] [--connections 2000] [--cpu-share 0.25]

A real redis-server, the real daemon ($NEARCACHED_BIN or build/nearcached) with L1 on, and the clients of
churn.py. Every ten seconds the daemon's resident memory and descriptors are read. Verdict: what
`judge` says of the second half of the run, no reply that must not be, and, when all clients have gone,
as few descriptors as before the first came, no client and no lent link by the daemon's own gauges.
"""

import argparse
import asyncio
import os
import resource
import statistics
import sys
import time

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(_TESTS, "e2e"))

from churn import Churn  # noqa: E402
from harness.env import Env  # noqa: E402
from harness.wait import TimedOut, eventually  # noqa: E402

SAMPLE_SECONDS = 10.0
# What counts as flat. Resident memory goes up and down with the large values that are under way, so
# what is judged is the least of each minute: what is kept, not what is in flight. The line through
# these (Theil-Sen, which a few outliers do not turn) may rise by a tenth over the second half.
# L1 is kept so small that it is full long before.
MINUTE_SAMPLES = 6
RSS_RISE_MAX = 0.10
FDS_RISE_MAX = 0.02  # of the connections
# Timeouts that a busy machine does not reach: what stalls here is the machine, and a connection given up
# would be counted against the daemon.
CONFIG = {
    "l1": {"bytes": "16mb", "ttl": "30s", "negative_ttl": "2s"},
    "upstream": {"connect_timeout": "30s", "command_timeout": "50s",
                 "pool": {"max_active": 1024, "max_wait": "30s"}},
    "limits": {"clients_max": 20000},
}


def descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def rise(values):
    """How much the Theil-Sen line through evenly spaced `values` rises from first to last."""
    slopes = [(later - earlier) / (j - i) for i, earlier in enumerate(values)
              for j, later in enumerate(values[i + 1:], i + 1)]
    return statistics.median(slopes) * (len(values) - 1)


def judge(samples, connections):
    """What is wrong with the second half of (rss, fds): a list of sentences."""
    half = samples[len(samples) // 2:]
    rss = [min(sample[0] for sample in half[i:i + MINUTE_SAMPLES])
           for i in range(0, len(half) - MINUTE_SAMPLES + 1, MINUTE_SAMPLES)]
    fds = [sample[1] for sample in half]
    rss_rise, fds_rise = rise(rss), rise(fds)
    print(f"soak: second half, {len(half)} samples: RSS, least of each minute: median "
          f"{statistics.median(rss) / 2**20:.1f} MiB, rises {rss_rise / 2**20:+.2f} MiB "
          f"({rss_rise / statistics.median(rss):+.1%}; bar {RSS_RISE_MAX:.0%}); descriptors median {statistics.median(fds):.0f}, rise {fds_rise:+.0f} "
          f"(bar {FDS_RISE_MAX * connections:.0f})")
    problems = []
    if rss_rise > RSS_RISE_MAX * statistics.median(rss):
        problems.append(f"memory grows: {rss_rise / 2**20:+.2f} MiB in the second half")
    if fds_rise > FDS_RISE_MAX * connections:
        problems.append(f"descriptors grow: {fds_rise:+.0f} in the second half")
    return problems


async def watch(daemon, churn, samples):
    started = time.monotonic()
    while True:
        await asyncio.sleep(SAMPLE_SECONDS)
        samples.append((daemon.rss_bytes(), descriptors(daemon)))
        rss, fds = samples[-1]
        print(f"{time.monotonic() - started:6.0f} s  RSS {rss / 2**20:7.1f} MiB  fds {fds:5d}  "
              f"clients {churn.open:5d}  lives {churn.lives:7d}  steps {churn.steps:8d}  "
              f"failures {churn.failures.total()}", flush=True)


async def drive(daemon, churn, seconds):
    samples = []
    watcher = asyncio.get_running_loop().create_task(watch(daemon, churn, samples))
    await churn.run(seconds)
    watcher.cancel()
    return samples


def nothing_is_left(daemon, fds_before, idle_links):
    """Once all clients have gone: a list of sentences about what stayed."""
    try:
        eventually(lambda: daemon.metrics().total("nearcached_clients") == 0, "no client is left")
        eventually(lambda: daemon.metrics().total("nearcached_clients_pinned") == 0,
                   "no link is lent")
        # Links stay for the next client: lanes and fill links of each database and protocol, and the
        # idle ones of the pool.
        eventually(lambda: descriptors(daemon) <= fds_before + idle_links,
                   f"at most {idle_links} descriptors more than before")
    except TimedOut as late:
        return [str(late)]
    return []


def soak(env, options):
    _, daemon = env.stack(CONFIG)
    fds_before = descriptors(daemon)
    print(f"soak: {options.connections} connections for {options.minutes:g} minutes; before: RSS "
          f"{daemon.rss_bytes() / 2**20:.1f} MiB, {fds_before} descriptors", flush=True)
    churn = Churn(daemon.port, options.connections, options.cpu_share)
    samples = asyncio.run(drive(daemon, churn, options.minutes * 60))
    problems = judge(samples, options.connections)
    # Two databases, two protocols: two lanes each, a fill link per database, eight idle in the pool.
    problems += nothing_is_left(daemon, fds_before, idle_links=2 * 2 * 2 + 2 + 2 * 2 * 8)
    print(f"soak: after the last client: RSS {daemon.rss_bytes() / 2**20:.1f} MiB, "
          f"{descriptors(daemon)} descriptors; {churn.lives} connections and {churn.steps} steps in all")
    problems += [f"{count} times: {text}" for text, count in churn.failures.items()]
    return problems


def main():
    parser = argparse.ArgumentParser(description="Many connections for a long time.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--cpu-share", type=float, default=0.25,
                        help="of one CPU, for the clients; they pause as long as it takes")
    options = parser.parse_args()
    if options.minutes < 8:
        parser.error("at least eight minutes: the verdict is about a slope")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    env = Env()
    failed = True
    try:
        problems = soak(env, options)
        failed = False
    finally:
        left, logs = env.close(failed)
        for name, log in logs:
            print(f"--- {name} log\n{log[-6000:]}")
    problems += left
    for problem in problems:
        print(f"soak: FAILED: {problem}")
    print("soak: " + ("failed" if problems else "flat"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
