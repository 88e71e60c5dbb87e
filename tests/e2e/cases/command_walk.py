"""Every command and subcommand of the server, direct and through the daemon: the same bytes.

The calls are made from COMMAND DOCS (harness/walk.py). Each command is walked from the same state,
first on a connection to redis-server itself and then on one to the daemon in front of it, so that a
difference is the daemon's. After every call of a warm walk all strings are read, twice: what L1 says
after a write is compared as well. Where every read is kept the other types are read in the same way.
"""

import re

from harness.registry import case
from harness.resp import parse
from harness.wait import true
from harness.walk import SEEDS, Walker, calls_of, commands_of, encode_latin

# Not walked: they end the connection or the server, change how many replies come, or hold everybody
# up. What is named in brackets looks at them: cases here, or units of Redis's own suite
# (scripts/redis-suite).
_NOT_WALKED = {
    "quit": "ends the connection (sessions)", "shutdown": "ends the server (protocol)",
    "multi": "holds the mark back (sessions, transparency)",
    "monitor": "turns the connection into a stream (sessions)",
    "sync": "a replica's own protocol",
    "psync": "a replica's own protocol",
    "replconf": "a replica's own protocol",
    "client|reply": "fewer replies than requests (sessions)",
    "client|pause": "holds every client of the server up (unit/pause)",
    "client|kill": "ends connections (unit/introspection)",
    "debug": "some of it ends the server",
    "failover": "the server's role", "replicaof": "the server's role", "slaveof": "the server's role",
    "save": "depends on a child process", "bgsave": "depends on a child process",
    "bgrewriteaof": "depends on a child process",
}


def _words(raw):
    """The text without its numbers, blanks and hexadecimal words: the names of what is reported."""
    return re.sub(rb"[-0-9.:a-f]+|nan", b"#", raw)


def _unordered(raw):
    """The lines of the reply, whatever their order."""
    return sorted(raw.split(b"\r\n"))


def _kind(raw):
    """The type of the reply alone."""
    return raw[:1]


def _elements(raw):
    """The type of the reply and how many elements it has."""
    value, _ = parse(raw)
    return raw[:1], len(value) if isinstance(value, list) else value is None


def _info_fields(raw):
    """Names of the fields, without those that come and go."""
    return sorted(name for name in re.findall(rb"^([a-z_0-9]+):", raw, re.M)
                  if not re.match(rb"(cmdstat|errorstat|latency_percentiles|db\d|slave\d|io_thread)",
                                  name))


# The justified differences: the reply depends on the time, on chance, or on the connection, and is
# the same but for that.
_JUSTIFIED = {
    "acl|genpass": ("random", lambda raw: len(raw)),
    "acl|log": ("times and the client's address", _kind),
    "client|getredir": ("client ids", _words),
    "command": ("order by the server's hash table", _unordered),
    "client|id": ("the sidecar's own ids, unique among its clients", _words),
    "client|info": ("ids, addresses, times; more fields than old servers have", _kind),
    "client|list": ("ids, addresses, times: the sidecar's clients, not the server's", _kind),
    "client|unblock": ("client ids", _words),
    "cluster|myid": ("random", _words),
    "config|get": ("order by the server's hash seed", _unordered),
    "dbsize": ("expiry", _words),
    "function|stats": ("times", _words),
    "hello": ("the client id", _words),
    "hrandfield": ("random", _elements),
    "info": ("measurements", _info_fields),
    "keys": ("order", _unordered),
    "lastsave": ("time", _words),
    "latency|doctor": ("measurements", _kind),
    "latency|graph": ("measurements", _kind),
    "latency|histogram": ("measurements", _kind),
    "latency|history": ("measurements", _kind),
    "latency|latest": ("measurements", _kind),
    "lolwut": ("random", _kind),
    "memory|doctor": ("measurements", _kind),
    "memory|malloc-stats": ("measurements", _kind),
    "memory|stats": ("measurements", _kind),
    "memory|usage": ("measurements", _kind),
    "object|freq": ("access counts", _words),
    "object|idletime": ("time", _words),
    "pexpiretime": ("time", _words),
    "pttl": ("time", _words),
    "randomkey": ("random", _kind),
    "role": ("offsets", _words),
    "scan": ("order and cursor", _kind),
    "slowlog|get": ("times", _kind),
    "slowlog|len": ("how slow it was", _kind),
    "spop": ("random", _elements),
    "srandmember": ("random", _elements),
    "sscan": ("order and cursor", _unordered),
    "time": ("time", _words),
    "ttl": ("time", _words),
    "xadd": ("ids made from the time", _words),
    "xautoclaim": ("times", _words),
    "xinfo|consumers": ("times", _words),
    "xinfo|stream": ("times", _words),
    "xpending": ("times", _words),
    "zrandmember": ("random", _elements),
}
# What is there afterwards may differ as well: what was taken is chosen at random.
_UNSTEADY = {"spop"}
_STRINGS = ["str", "int", "empty", "bin", "ttl", "long", "hll", "bits", "missing", b"key\x00\r\n", "a",
            "f", "v"]


_READ_STRINGS = [["MGET", *_STRINGS]]
# One or two reads of each shape, of keys of each type, of the wrong type and of none.
_READ_ALL = [
    ["HGETALL", "hash"], ["HGET", "hash", "f"], ["HMGET", "hash", "f", "none"], ["HKEYS", "hash"],
    ["LRANGE", "list", "0", "-1"], ["LINDEX", "list2", "-1"], ["LLEN", "list"],
    ["SMEMBERS", "set"], ["SISMEMBER", "set", "1"], ["SMISMEMBER", "set2", "2", "x"],
    ["ZRANGE", "zset", "0", "-1", "WITHSCORES"], ["ZSCORE", "zset", "a"], ["ZMSCORE", "zset2", "b", "x"],
    ["GEOPOS", "geo", "Palermo", "nobody"], ["GEODIST", "geo", "Palermo", "Catania"],
    ["STRLEN", "str"], ["GETRANGE", "long", "0", "5"], ["BITCOUNT", "bits"], ["BITPOS", "bits", "1"],
    ["TYPE", "stream"], ["EXISTS", "ttl"], ["GET", "str"], ["LLEN", "hash"],
    ["HGETALL", "missing"], ["ZRANGE", "missing", "0", "-1"], ["SMEMBERS", "missing"], ["BITPOS", "missing", "1"],
]


def _restore(redis):
    """The state that every command starts from."""
    with redis.connect() as conn:
        for command in (("CONFIG", "SET", "maxmemory", "0"), ("FLUSHALL",), ("SCRIPT", "FLUSH"),
                        ("FUNCTION", "FLUSH"), ("ACL", "DELUSER", "nobody"), ("ACL", "LOG", "RESET"),
                        ("CONFIG", "RESETSTAT"), ("SLOWLOG", "RESET"),
                        ("FUNCTION", "LOAD", "#!lua name=walklib\nredis.register_function('walked', "
                         "function(keys, args) return keys end)"), *SEEDS):
            conn.cmd(*command)


def _walk(conn, calls, single, reads):
    """What each call was answered, and in a warm walk each of the reads, twice, after it."""
    walker = Walker(conn)
    plan = [*reads, *reads]
    for call in calls:
        plan += [call, *reads, *reads]
    return plan, [walker.single(call) for call in plan] if single else walker.pipeline(plan)


def _differs(name, direct, through):
    if direct == through:
        return False
    if name not in _JUSTIFIED or direct[:1] == b"-" or through[:1] == b"-":
        return True
    canonical = _JUSTIFIED[name][1]
    return canonical(direct) != canonical(through)


def _compare(env, proto, single, reads, count):
    redis = env.redis("--activerehashing", "no")
    # PFSELFTEST takes seconds on a busy machine.
    patient = {"upstream": {"command_timeout": "60s", "health_interval": "20s"}}
    if reads == _READ_ALL:
        patient["l1"] = {"commands": "all", "ttl": "60s", "negative_ttl": "60s"}
    daemon = env.daemon(redis, patient, fills=True)
    commands = {name: docs for name, docs in commands_of(redis).items() if name not in _NOT_WALKED}
    true(len(commands) > 300, "the server lists too few commands")
    wrong, compared = [], 0
    for name, docs in commands.items():
        calls = calls_of(name, docs, count)
        sides = []
        for target in (redis, daemon):
            _restore(redis)
            with target.connect(proto) as conn:
                conn.cmd("SCRIPT", "FLUSH")  # the daemon remembers scripts that went through it
                plan, replies = _walk(conn, calls, single, reads)
                sides.append(replies)
        compared += len(plan)
        wrong += [f"{name}: {encode_latin(call)[:200]!r}: direct {a[:300]!r}, through {b[:300]!r}"
                  for call, a, b in zip(plan, *sides)
                  if _differs(name if call not in reads else "", a, b)
                  and not (name in _UNSTEADY and call in reads)]
    true(not wrong, f"{len(wrong)} of {compared} replies differ:\n" + "\n".join(wrong[:200]))
    if reads == _READ_ALL:
        kept = daemon.metrics().total("nearcached_l1_command_hits_total")
        # In a pipeline a read is behind an unanswered one of the same key most of the time, and then goes
        # to the server for the sake of their order (ARCHITECTURE.md, other reads than GET): what is in
        # memory by then is a matter of how the pieces arrive.
        least = compared // (2 if single else 50)
        true(kept > least, f"only {kept} of {compared} replies came from memory")
        env.note(f"{kept:.0f} replies came from memory")
    env.note(f"{len(commands)} commands and subcommands, {compared} replies compared")


@case(direct=True, timeout=120)
def every_command_the_server_lists_single_and_warm_in_protocol_2_is_the_same(env):
    _compare(env, 2, True, _READ_STRINGS, 4)


@case(direct=True, timeout=120)
def every_command_the_server_lists_in_pipelines_in_protocol_3_is_the_same(env):
    _compare(env, 3, False, _READ_STRINGS, 6)


@case(timeout=240)
def every_command_single_in_protocol_3_is_the_same_while_every_read_is_kept(env):
    _compare(env, 3, True, _READ_ALL, 2)


@case(full=True, timeout=600)
def every_command_in_pipelines_in_protocol_2_is_the_same_while_every_read_is_kept(env):
    _compare(env, 2, False, _READ_ALL, 4)


@case(direct=True, full=True, timeout=600)
def many_calls_of_every_command_single_and_cold_in_protocol_3_are_the_same(env):
    _compare(env, 3, True, [], 60)


@case(direct=True, full=True, timeout=600)
def many_calls_of_every_command_in_pipelines_in_protocol_2_are_the_same(env):
    _compare(env, 2, False, [], 60)


@case(direct=True, full=True, timeout=600)
def many_calls_of_every_command_single_and_warm_in_protocol_3_are_the_same(env):
    _compare(env, 3, True, _READ_STRINGS, 40)
