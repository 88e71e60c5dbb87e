"""Commands that operators have given names of their own, as rename-command in redis.conf does."""

from harness.registry import case
from harness.resp import RespError, encode
from harness.wait import equal, eventually, true

_SERVER = ["--rename-command", "FLUSHALL", "x-9f", "--rename-command", "CONFIG", "b840fc02d524045429941cc15f59e41cb7be6c52",
           "--rename-command", "CLIENT", "x-client", "--rename-command", "SCRIPT", "x-script",
           "--rename-command", "GET", "x-get", "--rename-command", "PTTL", "x-pttl"]
_RENAME = ["flushall=x-9f", "config=b840fc02d524045429941cc15f59e41cb7be6c52", "client=x-client",
           "script=x-script", "get=x-get", "pttl=x-pttl", "wipe=unlink"]


def _stack(env, **commands):
    redis = env.redis(*_SERVER)
    return redis, env.daemon(redis, {"commands": dict({"rename": _RENAME}, **commands)}, fills=False)


@case
def clients_go_on_saying_what_they_always_said(env):
    redis, daemon = _stack(env)
    for proto in (2, 3):
        with daemon.connect(proto) as conn:
            equal(conn.cmd("SET", "k", "v"), b"OK")
            equal(conn.pipeline(["get", "k"], ["WIPE", "k"], ["GET", "k"], ["FLUSHALL"], ["DBSIZE"]),
                  [b"v", 1, None, b"OK", 0])
            reply = conn.cmd("CONFIG", "GET", "maxmemory-policy")
            equal(reply if proto == 3 else {reply[0]: reply[1]}, {b"maxmemory-policy": b"noeviction"})
            replies = conn.pipeline(["MULTI"], ["SET", "t", "1"], ["GET", "t"], ["EXEC"])
            equal(replies[-1], [b"OK", b"1"])
            conn.cmd("CLIENT", "SETNAME", "me")
            equal(conn.cmd("CLIENT", "GETNAME"), b"me")
    equal(redis.cmd("x-get", "t"), b"1")
    true(isinstance(redis.cmd("FLUSHALL"), RespError), "the server knows the old name; then this shows nothing")


@case
def a_command_does_to_the_cache_what_it_does_by_either_name(env):
    redis, daemon = _stack(env)
    with daemon.connect() as conn, daemon.connect() as other:
        for flush in ("FLUSHALL", "X-9F"):
            conn.cmd("SET", "k", "v")
            before = daemon.metrics().total("nearcached_l1_hits_total")
            eventually(lambda: other.cmd("GET", "k") == b"v"
                       and daemon.metrics().total("nearcached_l1_hits_total") > before,
                       "it is answered from the cache: tracking is asked for as x-client, fills as x-get")
            equal(conn.cmd(flush), b"OK")
            equal(other.cmd("GET", "k"), None)


@case
def scripts_are_told_to_the_server_under_its_name_for_that(env):
    redis, daemon = _stack(env)
    with daemon.connect() as conn:
        sha = conn.cmd("SCRIPT", "LOAD", "return 7")
        redis.cmd("x-script", "FLUSH")
        equal(conn.cmd("EVALSHA", sha, 0), 7)


@case
def what_command_says_is_what_a_server_without_renames_says(env):
    plain = env.redis()
    _, daemon = _stack(env)
    for question in (["COMMAND", "INFO", "get", "FLUSHALL", "pttl"], ["COMMAND", "GETKEYS", "GET", "k"],
                     ["COMMAND", "COUNT"], ["COMMAND", "DOCS", "FlushAll"]):
        with plain.connect() as direct, daemon.connect() as through:
            equal(str(through.cmd(*question))[:300], str(direct.cmd(*question))[:300], " ".join(question))


@case
def denied_is_denied_by_either_name(env):
    _, daemon = _stack(env, deny=["flushall", "x-script", "config|set"])
    with daemon.connect() as conn:
        conn.cmd("SET", "k", "v")
        for refused in (["FLUSHALL"], ["x-9f"], ["SCRIPT", "FLUSH"], ["x-script", "flush"], ["CONFIG", "SET", "a", "b"],
                        ["b840fc02d524045429941cc15f59e41cb7be6c52", "set", "a", "b"]):
            reply = conn.cmd(*refused)
            true(isinstance(reply, RespError) and "commands.deny" in str(reply.text), f"{refused}: {reply!r}")
        equal(conn.cmd("GET", "k"), b"v")


@case
def requests_of_any_size_and_shape_get_through_a_rename(env):
    _, daemon = _stack(env)
    with daemon.connect() as conn:
        conn.cmd("SET", "k", b"x" * 300_000)
        conn.send(b"get k\r\n" + encode("GET", "k") * 3)
        equal([len(conn.read()) for _ in range(4)], [300_000] * 4)
        true(isinstance(conn.cmd("GET"), RespError), "an argument is missing")


@case
def one_command_cannot_be_made_out_of_another(env):
    text = "commands:\n  rename: [\"flushall=x-flush\", \"get=set\"]\n"
    code, _, err = env.run_daemon("--check-config", config_text=text)
    equal(code, 2)
    true(":2" in err and "\"get=set\" makes one command out of another" in err, err)
