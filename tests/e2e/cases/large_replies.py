"""Large replies, many of them at once: each arrives, and nobody is kept from what is due."""

import threading

from harness.registry import case
from harness.resp import encode
from harness.wait import equal

_MIB = 1 << 20
_KEYS = 20


def _value(number):
    return (b"%06d|" % number) * (_MIB // 7)


def _fill(redis):
    with redis.connect() as direct:
        for number in range(_KEYS):
            direct.cmd("SET", f"big:{number}", _value(number))


def _pipelined(daemon, numbers, errors):
    with daemon.connect(timeout=60) as conn:
        conn.send(b"".join(encode("GET", f"big:{number}") for number in numbers))
        for number in numbers:
            reply = conn.read()
            if reply != _value(number):
                errors.append(f"big:{number}: {reply if len(str(reply)) < 200 else len(reply)}")
                return


def _at_once(daemon, pipelines):
    errors = []
    threads = [threading.Thread(target=_pipelined, args=(daemon, numbers, errors))
               for numbers in pipelines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(errors, [])


@case(timeout=25)
def many_clients_pipeline_reads_of_large_values(env):
    redis, daemon = env.stack({"upstream": {"command_timeout": "4s"}})
    _fill(redis)
    daemon.wait_filling(redis)
    _at_once(daemon, [[(client + i * 3) % _KEYS for i in range(16)] for client in range(20)])


@case(timeout=25)
def one_client_pipelines_reads_of_more_than_it_may_have_waiting(env):
    redis, daemon = env.stack({"upstream": {"command_timeout": "4s"}})
    _fill(redis)
    daemon.wait_filling(redis)
    _at_once(daemon, [[i * 7 % _KEYS for i in range(150)]])
    equal(daemon.metrics().total("nearcached_clients_closed_total", reason="output_limit"), 0)


@case(timeout=25)
def one_client_that_reads_nothing_delays_the_others_for_a_moment_only(env):
    redis, daemon = env.stack({"upstream": {"command_timeout": "4s", "links": 1}}, fills=False)
    _fill(redis)
    daemon.wait_ready()
    with daemon.connect(rcvbuf=4096) as deaf, daemon.connect(timeout=60) as other:
        deaf.send(b"".join(encode("GETRANGE", f"big:{i % _KEYS}", 0, -1) for i in range(40)))
        for _ in range(10):
            equal(other.cmd("STRLEN", "big:1"), len(_value(1)))
    equal(daemon.metrics().total("nearcached_upstream_failures_total", reason="timeout"), 0)
