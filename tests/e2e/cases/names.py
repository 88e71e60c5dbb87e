"""Where the upstream is, by name and by address of either family."""

import socket

from harness.processes import free_port
from harness.registry import case
from harness.wait import equal, true


def _need_ipv6(env):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        env.need(False, "this machine has no IPv6 loopback")


@case
def ipv6_upstreams_and_listeners_work_as_written(env):
    _need_ipv6(env)
    redis = env.redis("--bind", "127.0.0.1", "::1")
    port = free_port()
    daemon = env.daemon(redis, {"upstream": {"url": f"redis://[::1]:{redis.port}"},
                                "listeners": [{"address": f"127.0.0.1:{free_port()}"},
                                              {"address": f"[::1]:{port}"}]}, fills=True)
    with socket.create_connection(("::1", port)) as raw:
        raw.sendall(b"PING\r\n")
        equal(raw.recv(64), b"+PONG\r\n")
    true(any(row["addr"].startswith("[::1]:") for row in redis.clients()), "the links are not on ::1")
    equal(daemon.cmd("SET", "k", "v"), b"OK")


@case
def a_name_is_looked_up_and_its_answer_kept_for_a_moment(env):
    redis = env.redis()
    daemon = env.daemon(redis, {"upstream": {"url": f"redis://localhost:{redis.port}",
                                             "dns_ttl": "10m"}}, fills=True)
    with daemon.connect() as conn:
        for _ in range(5):  # an exclusive link each time it is lent to somebody new
            equal(conn.cmd("MULTI"), b"OK")
            equal(conn.cmd("EXEC"), [])
    metrics = daemon.metrics()
    true(metrics.total("nearcached_dns_lookups_total", result="cached") > 0, "no answer was kept")
    true(metrics.total("nearcached_dns_lookups_total", result="ok") > 0, "nothing was asked")
