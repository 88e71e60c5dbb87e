"""Metrics, probes, and what an operator may ask."""

import os
import re

from cases.l1 import warm
from harness.env import sanitized
from harness.metrics import http_get
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true


@case
def the_exposition_is_valid_and_every_family_is_described(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn:
        conn.cmd("SET", "k", "v")
        warm(redis, conn, "k")
        conn.cmd("NOSUCH")
        metrics = daemon.metrics()
    true(len(metrics.types) >= 30, f"only {len(metrics.types)} families")
    for name in metrics.names():
        family = metrics.family(name)
        true(family, f"{name} has no TYPE")
        true(metrics.helps.get(family), f"{family} has no HELP")
        true(name.startswith(("nearcached_", "process_")), f"{name} has a foreign prefix")
    for family, kind in metrics.types.items():
        if kind == "counter":
            true(family.endswith("_total"), f"the counter {family} does not end in _total")
        if kind == "histogram":
            _check_histogram(metrics, family)


@case
def the_reference_page_lists_exactly_what_is_served(env):
    _, daemon = env.stack(fills=False)
    with open(os.path.join(env.root, "METRICS.md"), encoding="utf-8") as page:
        lines = [line for line in page if "; only where " not in line]
        listed = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", "".join(lines), re.M))
    served = dict(daemon.metrics().types)
    if sanitized():  # they bring their own allocator, which tells nothing
        listed.pop("nearcached_allocator_bytes")
    equal(sorted(served.items() ^ listed.items()), [], "served or listed, not both")


def _check_histogram(metrics, family):
    series = {}
    for (name, labels), value in metrics.samples.items():
        rest = tuple(pair for pair in labels if pair[0] != "le")
        if name == f"{family}_bucket":
            series.setdefault(rest, []).append((float(dict(labels)["le"].replace("+Inf", "inf")), value))
    true(series, f"the histogram {family} has no buckets")
    for rest, buckets in series.items():
        buckets.sort()
        true(buckets[-1][0] == float("inf"), f"{family}{rest} has no +Inf bucket")
        counts = [count for _, count in buckets]
        equal(counts, sorted(counts), f"the buckets of {family}{rest} are not cumulative")
        equal(metrics.samples[(f"{family}_count", rest)], counts[-1], f"the count of {family}{rest}")
        true(family.endswith(("_seconds", "_bytes")) or "seconds" not in family, family)


@case
def no_key_and_no_value_is_ever_in_the_metrics_or_the_log(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn:
        for i in range(200):
            conn.cmd("SET", f"visible-key-{i}", "visible-value")
            conn.cmd("GET", f"visible-key-{i}")
        conn.cmd("visible-command", "visible-argument")
        conn.cmd("CLIENT", "SETNAME", "visible-name")
    text = daemon.metrics().text
    true("visible" not in text, re.findall(r".*visible.*", text)[:3])
    true("visible" not in daemon.log(), "a key, a value or a name is in the log")


@case
def the_number_of_series_does_not_grow_with_what_clients_send(env):
    redis, daemon = env.stack()
    daemon.cmd("SET", "k", "v")
    before = len(daemon.metrics().samples)
    with daemon.connect() as conn:
        for i in range(500):
            conn.cmd(f"NOSUCH{i}", f"key{i}")
            conn.cmd("GET", f"key{i}")
    grown = len(daemon.metrics().samples) - before
    true(grown < 40, f"{grown} new series after 500 unknown commands")


@case
def counters_move_with_what_happens(env):
    redis, daemon = env.stack()
    before = daemon.metrics()
    with daemon.connect() as conn:
        conn.cmd("SET", "k", "v")
        warm(redis, conn, "k")
        for _ in range(100):
            conn.cmd("GET", "k")
        conn.cmd("GET", "absent")
        redis.cmd("SET", "k", "w")
        eventually(lambda: conn.cmd("GET", "k") == b"w", "the push arrives")
        after = daemon.metrics()
    moved = {key for key, value in after.samples.items() if value > before.samples.get(key, 0)}
    names = {name for name, _ in moved}
    for what, pattern in (("hits", r"hit"), ("misses", r"miss"), ("commands", r"command"),
                          ("invalidations", r"invalidat"), ("connections", r"connection|client"),
                          ("bytes in or out", r"bytes")):
        true(any(re.search(pattern, name) for name in names), f"nothing that counts {what} moved: "
             f"{sorted(names)}")
    hits = sum(after.samples[key] - before.samples.get(key, 0) for key in moved
               if "hit" in key[0] and key[0].endswith("_total"))
    true(hits >= 100, f"100 reads from memory were counted as {hits} hits")
    for key, value in before.samples.items():
        family = after.family(key[0])
        if after.types[family] == "counter":
            true(after.samples[key] >= value, f"the counter {key} went back")


@case
def bad_input_and_refusals_are_counted(env):
    redis, daemon = env.stack({"limits": {"clients_max": 50}})
    before = daemon.metrics()
    for data in (b"*x\r\n", b"*1\r\n$x\r\n", b"*1\r\nPING\r\n"):
        with daemon.connect() as conn:
            conn.send(data)
            conn.read_to_end()
    after = daemon.metrics()
    moved = sorted(f"{name} {labels}" for (name, labels), value in after.samples.items()
                   if value > before.samples.get((name, labels), 0) and name.endswith("_total"))
    true(any("protocol" in series for series in moved), f"no counter of protocol errors: {moved}")


@case
def the_process_and_the_loop_are_measured(env):
    redis, daemon = env.stack()
    names = "\n".join(sorted(daemon.metrics().names()))
    for pattern in (r"resident|rss", r"cpu", r"(open_)?fds", r"loop", r"l1.*bytes", r"l1.*entries",
                    r"tracking", r"upstream", r"coalesc", r"start"):
        true(re.search(pattern, names), f"nothing like {pattern} among\n{names}")


@case
def probes_answer_and_unknown_paths_do_not(env):
    redis, daemon = env.stack()
    for path in ("/startup", "/liveness", "/readiness"):
        eventually(lambda: daemon.probe(path) == 200, f"{path} is 200")
    equal(daemon.probe("/nosuch"), 404)
    equal(daemon.probe("/metrics"), 200)


@case
def probes_hold_while_the_upstream_is_away_and_say_so(env):
    redis, daemon = env.stack()

    def readiness():
        return http_get(daemon.metrics_port, "/readiness")

    eventually(lambda: "upstream up" in readiness()[1], "readiness says that the upstream is there")
    redis.kill()
    # It still serves what L1 may serve and answers the rest: taking it out of service helps nobody.
    eventually(lambda: "upstream down" in readiness()[1], "readiness says that the upstream is away")
    equal(readiness()[0], 200)
    equal(daemon.probe("/liveness"), 200)
    equal(daemon.probe("/startup"), 200)
    redis.start()
    eventually(lambda: "upstream up" in readiness()[1], "the upstream is back")


@case
def the_metrics_port_survives_odd_http(env):
    import socket
    redis, daemon = env.stack()
    for data in (b"GARBAGE\r\n\r\n", b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
                 b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n", b"POST /metrics HTTP/1.1\r\n"
                 b"Content-Length: -5\r\n\r\n", b"\x00" * 5000, b"PING\r\n",
                 b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", b"TRACE / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", daemon.metrics_port), timeout=10) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                answer = b""
                while chunk := sock.recv(65536):
                    answer += chunk
                true(b"root:" not in answer, "a file was served")
            except OSError:
                pass  # the server hung up first
        equal(daemon.probe("/liveness"), 200)
    equal(daemon.cmd("PING"), b"PONG")


@case
def many_scrapes_at_once_disturb_no_client(env):
    import threading
    redis, daemon = env.stack()
    problems = []

    def scrape():
        try:
            for _ in range(15):
                status, body = http_get(daemon.metrics_port, "/metrics")
                if status != 200 or "nearcached_" not in body:
                    problems.append(status)
        except BaseException as error:
            problems.append(repr(error))

    threads = [threading.Thread(target=scrape) for _ in range(6)]
    for thread in threads:
        thread.start()
    with daemon.connect() as conn:
        for i in range(1000):
            equal(conn.cmd("SET", "k", i), b"OK")
            equal(conn.cmd("GET", "k"), b"%d" % i)
    for thread in threads:
        thread.join()
    equal(problems, [])


@case
def nearcache_stats_and_config_answer_in_both_protocols(env):
    redis, daemon = env.stack()
    for proto in (2, 3):
        with daemon.connect(proto=proto) as conn:
            for sub in ("STATS", "CONFIG", "stats", "config"):
                reply = conn.cmd("NEARCACHE", sub)
                true(reply and not isinstance(reply, RespError), f"{sub}: {reply!r}")
            text = repr(conn.cmd("NEARCACHE", "CONFIG"))
            for key in ("l1.bytes", "upstream.url", "l1.ttl"):
                true(key in text, f"{key} is not in CONFIG: {text[:400]}")


@case
def nearcache_refuses_what_it_does_not_know(env):
    redis, daemon = env.stack(fills=False)
    with daemon.connect() as conn:
        for command in (("NEARCACHE",), ("NEARCACHE", "NOSUCH"), ("NEARCACHE", "EXPLAIN"),
                        ("NEARCACHE", "FLUSH", "a", "b"), ("NEARCACHE", "ENABLE", "now")):
            reply = conn.cmd(*command)
            true(isinstance(reply, RespError), f"{command}: {reply!r}")
        equal(conn.cmd("PING"), b"PONG")


@case
def nearcache_flush_drops_all_or_a_prefix(env):
    redis, daemon = env.stack()
    redis.cmd("MSET", "a:1", "x", "a:2", "x", "b:1", "x")
    with daemon.connect() as conn:
        warm(redis, conn, "a:1", "a:2", "b:1")
        reply = conn.cmd("NEARCACHE", "FLUSH", "a:")
        true(not isinstance(reply, RespError), reply)
        before = redis.calls("get")
        conn.cmd("GET", "b:1")
        equal(redis.calls("get"), before, "another prefix was flushed too")
        conn.cmd("GET", "a:1")
        true(redis.calls("get") > before, "the prefix was not flushed")
        warm(redis, conn, "a:1", "a:2", "b:1")
        true(not isinstance(conn.cmd("NEARCACHE", "FLUSH"), RespError), "FLUSH failed")
        for key in ("a:1", "a:2", "b:1"):
            before = redis.calls("get")
            conn.cmd("GET", key)
            true(redis.calls("get") > before, f"{key} was not flushed")
    equal(redis.cmd("DBSIZE"), 3, "FLUSH reached the upstream")


@case
def nearcache_disable_forwards_everything_and_enable_caches_again(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "k", "1")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        true(not isinstance(conn.cmd("NEARCACHE", "DISABLE"), RespError), "DISABLE failed")
        before = redis.calls("get")
        for _ in range(5):
            equal(conn.cmd("GET", "k"), b"1")
        equal(redis.calls("get") - before, 5)
        redis.cmd("SET", "k", "2")
        equal(conn.cmd("GET", "k"), b"2")
        true(not isinstance(conn.cmd("NEARCACHE", "ENABLE"), RespError), "ENABLE failed")
        for _ in range(3):
            equal(conn.cmd("GET", "k"), b"2", "a value of before DISABLE came back")
        warm(redis, conn, "k")


@case
def the_admin_command_has_a_listener_of_its_own_when_one_is_set(env):
    from harness.processes import free_port
    from harness.resp import Conn
    redis = env.redis()
    port = free_port()
    daemon = env.daemon(redis, {"admin": {"address": f"127.0.0.1:{port}"}})
    daemon.wait_ready()
    with daemon.connect() as conn:
        true(isinstance(conn.cmd("NEARCACHE", "STATS"), RespError), "answered on a client listener")
    with Conn(port) as conn:
        reply = conn.cmd("NEARCACHE", "STATS")
        true(reply and not isinstance(reply, RespError), reply)
