"""NEARCACHE: what there is, and the verbs PgBouncer has."""

import threading

from harness.registry import case
from harness.resp import Closed, RespError
from harness.wait import equal, eventually, true


def _rows(conn, what):
    return [dict(zip(row[::2], row[1::2])) for row in conn.cmd("NEARCACHE", what)]


@case()
def a_server_is_restarted_under_pause_and_no_client_sees_an_error(env):
    redis, daemon = env.stack({}, "--save", "", "--appendonly", "yes")
    problems, done, counts = [], threading.Event(), [0] * 4

    def work(n):
        with daemon.connect() as conn:
            while not done.is_set():
                counts[n] += 1
                reply = conn.cmd("INCR", f"n{n}")
                if reply != counts[n]:
                    problems.append((n, counts[n], reply))
                    return

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(counts))]
    for thread in threads:
        thread.start()
    admin = daemon.connect()
    eventually(lambda: min(counts) > 20, "traffic")
    equal(admin.cmd("NEARCACHE", "PAUSE"), b"OK")
    state = admin.cmd("NEARCACHE", "STATE")
    equal(dict(zip(state[::2], state[1::2]))[b"state"], b"paused")
    links = daemon.metrics().total("nearcached_upstream_links")
    redis.kill()
    eventually(lambda: daemon.metrics().total("nearcached_upstream_links") == 0, "all links lost")
    redis.start()
    eventually(lambda: daemon.metrics().total("nearcached_upstream_links") >= links,
               "the links stand again")
    before = list(counts)
    equal(admin.cmd("NEARCACHE", "RESUME"), b"OK")
    eventually(lambda: all(now > then + 20 for now, then in zip(counts, before)) or problems,
               "traffic again")
    done.set()
    for thread in threads:
        thread.join()
    equal(problems, [])


@case()
def reconnect_replaces_every_link_under_traffic_and_loses_nothing(env):
    redis, daemon = env.stack()
    admin = daemon.connect()
    ids = {line.split()[0] for line in redis.cmd("CLIENT", "LIST").decode().split("\n") if line}
    problems, done = [], threading.Event()

    def work(n):
        i = 0
        with daemon.connect() as conn:
            while not done.is_set():
                i += 1
                replies = conn.pipeline(("SET", f"k{n}", i), ("GET", f"k{n}"), ("MULTI",),
                                        ("INCR", f"c{n}"), ("EXEC",), ("GET", "shared"))
                if replies[:5] != [b"OK", b"%d" % i, b"OK", b"QUEUED", [i]]:
                    problems.append(replies)
                    return

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        equal(admin.cmd("NEARCACHE", "RECONNECT"), b"OK")
        true(not problems, problems)
    done.set()
    for thread in threads:
        thread.join()
    equal(problems, [])
    true(daemon.metrics().total("nearcached_upstream_closed_total", reason="reconnect") >= 2,
         "links were replaced")
    now = redis.cmd("CLIENT", "LIST").decode()
    equal([line for line in now.split("\n") if "name=" in line and line.split()[0] in ids
           and "cmd=client" not in line], [], "no connection from before is left")


@case()
def clients_are_shown_and_killed(env):
    redis, daemon = env.stack()
    admin, victim = daemon.connect(), daemon.connect()
    victim.cmd("CLIENT", "SETNAME", "victim")
    equal(victim.cmd("MULTI"), b"OK")
    rows = _rows(admin, "CLIENTS")
    (row,) = [row for row in rows if row[b"name"] == b"victim"]
    equal(row[b"flags"], b"x")
    equal(admin.cmd("NEARCACHE", "KILL", row[b"id"]), b"OK")
    try:
        reply = victim.cmd("PING")
    except (Closed, ConnectionError):
        reply = None
    equal(reply, None)
    eventually(lambda: _rows(admin, "POOLS")[0][b"active"] == 0, "its link has come back")
    true(isinstance(admin.cmd("NEARCACHE", "KILL", row[b"id"]), RespError), "killed twice")


@case()
def reload_and_shutdown_do_what_the_signals_do(env):
    redis, daemon = env.stack()
    admin = daemon.connect()
    equal(admin.cmd("NEARCACHE", "RELOAD"), b"OK")
    eventually(lambda: daemon.metrics().total("nearcached_config_reloads_total", result="ok") == 1,
               "reloaded")
    for what in ("POOLS", "UPSTREAMS", "TRACKING"):
        true(_rows(admin, what), what)
    daemon.may_be_gone = True
    equal(admin.cmd("NEARCACHE", "SHUTDOWN"), b"OK")
    admin.close()
    equal(daemon.wait_exit(), 0)


@case()
def the_verbs_are_answered_on_admin_listeners_only(env):
    redis = env.redis()
    daemon = env.daemon(redis, {"admin": {"address": "unix:" + env.folder + "/admin.sock"}})
    with daemon.connect() as conn:
        for verb in ("PAUSE", "RESUME", "RECONNECT", "RELOAD", "SHUTDOWN", "POOLS", "CLIENTS"):
            reply = conn.cmd("NEARCACHE", verb)
            true(isinstance(reply, RespError) and "admin.address" in reply.text, reply)
        equal(conn.cmd("PING"), b"PONG")
