"""Forwarding to a Cluster, TLS on either side, and what idle clients cost, beside the peers that
Debian has for it: haproxy and nutcracker. (predixy, the proxy for Cluster, is not packaged.)"""

import resource
import socket
import ssl
import time

from bench_load import Work, fill, measure, warm
from bench_scenarios import FORWARD, KEEP, Result, Row, size_name
from bench_targets import Bench, encode

_SHAPES = ((64, 1, 60_000), (64, 16, 400_000), (16384, 1, 20_000))  # value bytes, pipeline, requests


class _Layout:
    """What is started for a group of scenarios: {name in the tables: target}, after `start`."""

    def __init__(self, name, clients_tls, start):
        self.name = name
        self.clients_tls = clients_tls
        self.start = start


def _tls_upstream(bench, work):
    redis = bench.redis(tls=True)
    fill(redis, work.keys, work.size)
    trust = ("tls:", f"  ca_file: {bench.certificate()[0]}")
    over_tls = f"rediss://127.0.0.1:{redis.tls_port}"
    return redis, {
        "haproxy, TLS upstream": bench.haproxy(redis, upstream_tls=True),
        "nearcached, plain upstream (forward)": bench.nearcached(redis, "plain", FORWARD),
        "nearcached, TLS upstream (forward)": bench.nearcached(redis, "tls", FORWARD, over_tls, trust),
    }


def _tls_clients(bench, work):
    redis = bench.redis(tls=True)
    fill(redis, work.keys, work.size)
    hit = bench.nearcached(redis, "hit", KEEP, tls=True)
    warm(hit, work.keys, work.size)
    return redis, {
        "redis-server": redis,
        "haproxy, TLS clients": bench.haproxy(redis),
        "nearcached, TLS clients, hit 100 %": hit,
        "nearcached, TLS clients (forward)": bench.nearcached(redis, "forward", FORWARD, tls=True),
    }


def _cluster(bench, work):
    nodes = bench.redis_cluster(3)
    alone = [bench.redis(f"alone {number}") for number in range(3)]
    for redis in alone:
        fill(redis, work.keys, work.size)
    url = "redis-cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    forward = bench.nearcached(None, "cluster", FORWARD, url)
    fill(forward, work.keys, work.size)
    hit = bench.nearcached(None, "hit", KEEP, url)
    warm(hit, work.keys, work.size)
    return alone[0], {
        "nutcracker, 3 servers": bench.nutcracker(*alone),
        "nearcached, 1 server (forward)": bench.nearcached(alone[0], "single", FORWARD),
        "nearcached, Cluster of 3 (forward)": forward,
        "nearcached, Cluster of 3, hit 100 %": hit,
    }


_LAYOUTS = (_Layout("TLS upstream", False, _tls_upstream), _Layout("TLS clients", True, _tls_clients),
            _Layout("Cluster", False, _cluster))


def topology_scenarios(scale):
    """(name, layout, Work) of each."""
    return [(f"{layout.name}: GET {size_name(size)}, 50 connections, pipeline {pipeline}", layout,
             Work("get", size, 50, pipeline, 10_000 if size < 1024 else 1000,
                  max(1000, int(requests * scale)), layout.clients_tls))
            for layout in _LAYOUTS for size, pipeline, requests in _SHAPES]


def run_topology(name, layout, work, rounds, placement):
    """As bench_scenarios.run_scenario; the rows are called what the tables call them."""
    bench = Bench(placement)
    try:
        redis, targets = layout.start(bench, work)
        order = list(targets.items())
        samples = {row: [] for row in targets}
        for number in range(rounds):
            for at in range(len(order)):
                row, target = order[(at + number) % len(order)]
                samples[row].append(measure(target, redis, work, bench.placement))
        return Result(name, [Row(row, samples[row]) for row in targets])
    finally:
        bench.close()


def topology_table(result):
    lines = [f"### {result.scenario}", "",
             "| process | CPU µs/request | / the first | requests/s | p50 ms | p99 ms | peak RSS MB |",
             "|---|---|---|---|---|---|---|"]
    for row in result.rows:
        s = row.sample
        lines.append(f"| {row.target} | {s.cpu_us:.2f} | {result.ratio(row.target, result.rows[0].target).median:.2f} "
                     f"| {s.rps:,.0f} | {s.p50_ms:.3f} | {s.p99_ms:.3f} | {s.peak_rss / 1e6:.1f} |")
    return "\n".join(lines) + "\n"


# ---- idle clients -------------------------------------------------------------------------------

def _connect(port, context):
    raw = socket.create_connection(("127.0.0.1", port), timeout=60)
    conn = raw if context is None else context.wrap_socket(raw)
    conn.sendall(encode("GET", "key:000000000000"))
    reply = b""
    while not reply.endswith(b"x\r\n"):
        reply += conn.recv(4096)
    return conn


def _growth(target, port, context, count):
    """Bytes of RSS that each of `count` clients costs which have read one value and are silent since."""
    first = [_connect(port, context) for _ in range(100)]  # what the process takes once is not theirs
    before = target.memory()
    idle = [_connect(port, context) for _ in range(count)]
    time.sleep(3)
    grown = target.memory() - before
    for conn in first + idle:
        conn.close()
    return grown / count


def idle_clients(count, placement):
    """[(process, bytes a plain client, bytes a client over TLS or None)]"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    bench = Bench(placement)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        redis = bench.redis(tls=True)
        fill(redis, 100, 64)
        targets = (("redis-server", redis), ("nutcracker", bench.nutcracker(redis)),
                   ("haproxy", bench.haproxy(redis)), ("nearcached", bench.nearcached(redis, tls=True)))
        found = []
        for name, target in targets:
            if name == "haproxy":
                count = min(count, 8000)  # two descriptors a client, of which a process has 20,000 at times
            plain = _growth(target, target.port, None, count)
            tls = _growth(target, target.tls_port, context, count) if target.tls_port else None
            found.append((name, plain, tls))
        return found
    finally:
        bench.close()


def idle_table(count, found):
    lines = [f"### Idle clients: {count:,} connections that have read one value each", "",
             "| process | KiB of RSS for each | over TLS |", "|---|---|---|"]
    for name, plain, tls in found:
        lines.append(f"| {name} | {plain / 1024:.1f} | {'-' if tls is None else f'{tls / 1024:.1f}'} |")
    return "\n".join(lines) + "\n"
