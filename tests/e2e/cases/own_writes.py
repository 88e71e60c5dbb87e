"""Own writes act without the push: every form of write the server knows, with all pushes held back.

Each form is a list of commands and the keys to look at. Before it every one of these keys is warm in
L1, missing ones included; then no invalidation reaches the daemon any more; then a client carries the
form out and reads. Whatever it reads must be what the server holds, on its own connection (in the
same pipeline and afterwards) and on another.
"""

from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

_GIVEN = [
    ("FLUSHALL",), ("MSET", "k", "old", "k2", "old2", "n", "10"), ("RPUSH", "l", 3, 1, 2),
    ("SADD", "s", "a", "b"), ("SADD", "s2", "b", "c"), ("ZADD", "z", 1, "m", 2, "n"),
    ("ZADD", "z2", 1, "m"), ("HSET", "h", "f", 1), ("PFADD", "p1", "a", "b"), ("PFADD", "p2", "c"),
    ("GEOADD", "g", "13.361389", "38.115556", "a", "15.087269", "37.502669", "b"),
]

# What changes the answer of GET for one of the keys: a single command each. "new" does not exist.
_CHANGES = [
    (("SET", "k", "new"), "k"), (("SET", "k", "new", "XX"), "k"), (("SET", "new", "v", "NX"), "new"),
    (("SET", "k", "new", "GET"), "k"), (("SET", "k", "new", "EX", 100), "k"),
    (("SET", "k", "new", "XX", "PXAT", 99999999999999), "k"),
    (("SET", "k", "new", "KEEPTTL"), "k"), (("SETEX", "k", 100, "new"), "k"),
    (("PSETEX", "k", 100000, "new"), "k"), (("SETNX", "new", "v"), "new"),
    (("GETSET", "k", "new"), "k"), (("GETDEL", "k"), "k"), (("GETEX", "k", "PXAT", 1), "k"),
    (("APPEND", "k", "+"), "k"), (("APPEND", "new", "+"), "new"), (("SETRANGE", "k", 1, "X"), "k"),
    (("INCR", "n"), "n"), (("INCRBY", "n", 5), "n"), (("INCRBYFLOAT", "n", "1.5"), "n"),
    (("DECR", "n"), "n"), (("DECRBY", "n", 5), "n"), (("INCR", "new"), "new"),
    (("MSET", "k", "1", "new", "2", "k2", "3"), "k new k2"),
    (("MSETNX", "new", "1", "new2", "2"), "new new2"),
    (("SETBIT", "k", 1, 0), "k"), (("BITFIELD", "k", "SET", "u8", 0, 65), "k"),
    (("BITFIELD", "k", "INCRBY", "u8", "#1", 1), "k"), (("BITOP", "NOT", "k", "k2"), "k"),
    (("BITOP", "OR", "new", "k", "k2"), "new"),
    (("DEL", "k"), "k"), (("DEL", "k", "k2", "n"), "k k2 n"), (("UNLINK", "k2", "k"), "k k2"),
    (("EXPIRE", "k", 0), "k"), (("EXPIRE", "k", -1), "k"), (("PEXPIRE", "k", 0), "k"),
    (("EXPIREAT", "k", 1), "k"), (("PEXPIREAT", "k", 1, "NX"), "k"),
    (("RENAME", "k", "k2"), "k k2"), (("RENAME", "k", "new"), "k new"), (("RENAME", "l", "k"), "k"),
    (("RENAMENX", "k", "new"), "k new"), (("COPY", "k2", "k", "REPLACE"), "k"),
    (("COPY", "k", "new"), "new"), (("COPY", "h", "k", "DB", 0, "REPLACE"), "k"),
    (("MOVE", "k", 1), "k"),
    (("SORT", "l", "STORE", "k"), "k"), (("SORT", "l", "BY", "w_*", "LIMIT", 0, 2, "STORE", "new"), "new"),
    (("LPUSH", "new", "x"), "new"), (("RPUSH", "new", "x"), "new"),
    (("LMOVE", "l", "new", "LEFT", "RIGHT"), "new"), (("RPOPLPUSH", "l", "new"), "new"),
    (("BLMOVE", "l", "new", "LEFT", "LEFT", 5), "new"), (("BRPOPLPUSH", "l", "new", 5), "new"),
    (("SADD", "new", "a"), "new"), (("SMOVE", "s", "new", "a"), "new"),
    (("SUNIONSTORE", "k", "s", "s2"), "k"), (("SINTERSTORE", "k", "s", "s2"), "k"),
    (("SDIFFSTORE", "k", "s", "s2"), "k"), (("SDIFFSTORE", "k", "s", "s"), "k"),
    (("ZADD", "new", 1, "m"), "new"), (("ZINCRBY", "new", 1, "m"), "new"),
    (("ZUNIONSTORE", "k", 2, "z", "z2"), "k"), (("ZINTERSTORE", "k", 2, "z", "z2", "WEIGHTS", 1, 2), "k"),
    (("ZDIFFSTORE", "k", 2, "z", "z2"), "k"), (("ZRANGESTORE", "k", "z", 0, -1), "k"),
    (("ZRANGESTORE", "k", "z", 5, 6), "k"),
    (("HSET", "new", "f", "v"), "new"), (("HMSET", "new", "f", "v"), "new"),
    (("HSETNX", "new", "f", "v"), "new"), (("HINCRBY", "new", "f", 1), "new"),
    (("HINCRBYFLOAT", "new", "f", "1.5"), "new"),
    (("XADD", "new", "*", "f", "v"), "new"), (("XADD", "new", "MAXLEN", "~", 5, "*", "f", "v"), "new"),
    (("XGROUP", "CREATE", "new", "group", "$", "MKSTREAM"), "new"),
    (("GEOADD", "new", 13, 38, "a"), "new"),
    (("GEORADIUS", "g", 15, 37, 200, "km", "STORE", "k"), "k"),
    (("GEORADIUS", "g", 15, 37, 200, "km", "STOREDIST", "k"), "k"),
    (("GEORADIUSBYMEMBER", "g", "a", 300, "km", "STORE", "k"), "k"),
    (("GEOSEARCHSTORE", "k", "g", "FROMMEMBER", "a", "BYRADIUS", 300, "km"), "k"),
    (("PFADD", "new", "a"), "new"), (("PFADD", "p1", "z"), "p1"), (("PFMERGE", "new", "p1", "p2"), "new"),
    (("PFMERGE", "p1", "p2"), "p1"), (("PFCOUNT", "p1"), "p1"),
    (("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "k", "new"), "k"),
    (("EVAL", "redis.call('DEL', KEYS[2]) return redis.call('INCR', KEYS[1])", 2, "n", "k"), "n k"),
    (("FLUSHDB",), "k k2 n"), (("FLUSHALL",), "k k2 n"), (("FLUSHALL", "ASYNC"), "k k2 n"),
    (("SWAPDB", 0, 1), "k k2 n"),
]

# The same over several commands.
_CONVERSATIONS = [
    ([("MULTI",), ("SET", "k", "new"), ("EXEC",)], "k"),
    ([("MULTI",), ("INCR", "n"), ("DEL", "k"), ("RENAME", "k2", "new"), ("EXEC",)], "n k k2 new"),
    ([("MULTI",), ("EVAL", "return redis.call('DEL', KEYS[1])", 1, "k"), ("EXEC",)], "k"),
    ([("MULTI",), ("FLUSHDB",), ("SET", "k", "after"), ("EXEC",)], "k k2"),
    ([("WATCH", "k"), ("MULTI",), ("APPEND", "k", "+"), ("EXEC",)], "k"),
    ([("WATCH", "k"), ("GET", "k"), ("SET", "k2", "new"), ("MULTI",), ("SET", "k", "new"), ("EXEC",)],
     "k k2"),
    ([("MULTI",), ("LMOVE", "l", "new", "LEFT", "LEFT"), ("EXEC",)], "new"),
    ([("SET", "k", "1"), ("INCR", "k"), ("COPY", "k", "new")], "k new"),
    ([("DEL", "k"), ("LPUSH", "k", "x")], "k"),
]

# What GET answers stays as it is, only for how long does not: the entry must go all the same.
_LIFETIMES = [
    (("EXPIRE", "k", 100), "k"), (("PEXPIRE", "k", 100000), "k"), (("EXPIREAT", "k", 99999999999), "k"),
    (("PEXPIREAT", "k", 99999999999999), "k"), (("GETEX", "k", "EX", 100), "k"),
    (("GETEX", "k", "PERSIST"), "k"), (("PERSIST", "k"), "k"), (("SET", "k", "old", "KEEPTTL"), "k"),
]

# They need a key of a type that GET refuses to read, which is never cached, and make none; or they
# concern no keys.
_NEVER_WARM = set(
    "blmpop blpop brpop bzmpop bzpopmax bzpopmin function|delete function|flush function|load "
    "function|restore hdel linsert lmpop lpop lpushx lrem lset ltrim pfdebug rpop rpushx spop srem "
    "xack xautoclaim xclaim xdel xgroup|createconsumer xgroup|delconsumer xgroup|destroy "
    "xgroup|setid xreadgroup xsetid xtrim zmpop zpopmax zpopmin zrem zremrangebylex "
    "zremrangebyrank zremrangebyscore".split())


# Nothing is ever pushed, and the rule asks for caching all the same.
_TTL_ONLY = {"tracking": {"mode": "off"}, "rules": [{"prefix": "", "ttl": "60s"}]}


class _Stage:
    """A server, a relay and a daemon, and how one form is tried out."""

    def __init__(self, env, config=None):
        self.silent = config == _TTL_ONLY
        self.redis = env.redis()
        self.relay = env.relay(self.redis)
        self.daemon = env.daemon(self.relay, config)
        self.daemon.wait_filling(self.redis)
        self.direct = self.redis.connect()
        self.writer = self.daemon.connect()
        self.other = self.daemon.connect(proto=3)

    def prepare(self, keys, given=()):
        """Known contents; `keys` are warm; from here on nothing is pushed. Returns their values."""
        self.relay.release()
        for command in [*_GIVEN, *given]:
            reply = self.direct.cmd(*command)
            true(not isinstance(reply, RespError), f"{command}: {reply}")
        if self.silent:  # nobody but the operator can tell the daemon of all that
            self.writer.cmd("NEARCACHE", "FLUSH")
        values = [self.direct.cmd("GET", key) for key in keys]

        def warm():
            for key in keys:
                self.other.cmd("GET", key)
            before = self.redis.calls("get")
            seen = [self.writer.cmd("GET", key) for key in keys]
            return seen == values and self.redis.calls("get") == before

        eventually(warm, f"{keys} are served from L1 as {values}")
        self.relay.hold()
        return values

    def truth(self, keys):
        return [self.direct.cmd("GET", key) for key in keys]

    def try_out(self, commands, keys, changes=True, given=()):
        before = self.prepare(keys, given)
        replies = self.writer.pipeline(*commands, *[("GET", key) for key in keys])
        self.check(commands, keys, before, replies[:len(commands)], replies[len(commands):],
                   "in the same pipeline", changes)

        before = self.prepare(keys, given)
        replies = [self.writer.cmd(*command) for command in commands]
        reads = self.redis.calls("get")
        elsewhere = [self.other.cmd("GET", key) for key in keys]
        true(changes or self.redis.calls("get") > reads, f"{commands}: the old entry is still served")
        own = [self.writer.cmd("GET", key) for key in keys]
        self.check(commands, keys, before, replies, elsewhere, "on another connection", changes)
        self.check(commands, keys, before, replies, own, "afterwards", changes)

    def check(self, commands, keys, before, replies, got, where, changes):
        said = [reply for reply in replies if isinstance(reply, RespError)]
        equal(said, [], f"{commands} was refused")
        truth = self.truth(keys)
        if changes:
            true(all(a != b for a, b in zip(before, truth)), f"{commands} changes not all of {keys}")
        equal(got, truth, f"{keys} {where} after {commands}")

    def close(self):
        self.relay.release()
        for conn in (self.direct, self.writer, self.other):
            conn.close()


def _name(command):
    name = str(command[0]).lower()
    return f"{name}|{command[1].lower()}" if name in ("xgroup", "function") else name


@case
def the_relay_holds_pushes_back_and_nothing_else(env):
    stage = _Stage(env)
    stage.prepare(["k"])
    stage.direct.cmd("SET", "k", "elsewhere")
    eventually(lambda: stage.relay.held > 0, "the push is held")
    for _ in range(20):
        equal(stage.writer.cmd("GET", "k"), b"old", "served from L1 while the push is held")
    equal(stage.writer.cmd("GET", "k2"), b"old2")
    stage.relay.release()
    eventually(lambda: stage.writer.cmd("GET", "k") == b"elsewhere", "the push acts once released")
    stage.close()


def _every_form(env, stage):
    dump = stage.direct.cmd("SET", "d", "restored") and stage.direct.cmd("DUMP", "d")
    forms = [*_CHANGES, (("RESTORE", "k", 0, dump, "REPLACE"), "k"), (("RESTORE", "new", 0, dump), "new"),
             (("RESTORE-ASKING", "new", 0, dump), "new")]
    for command, keys in forms:
        stage.try_out([command], keys.split())
    for command, keys in _LIFETIMES:
        stage.try_out([command], keys.split(), changes=False)
    env.note(f"{len(forms)} forms, {len(_LIFETIMES)} of lifetimes")

    known = {_name(command) for command, _ in [*forms, *_LIFETIMES]} | _NEVER_WARM | {"migrate"}
    writes = {name.decode() for name in stage.direct.cmd("COMMAND", "LIST", "FILTERBY", "ACLCAT", "write")}
    missing = sorted(writes - known)
    if stage.redis.info("redis_version", "server").startswith("7.0."):
        equal(missing, [], "commands that write and are tried in no form")
    elif missing:
        env.note(f"not tried: {' '.join(missing)}")
    stage.close()


@case(timeout=120)
def every_form_of_write_acts_before_its_push(env):
    _every_form(env, _Stage(env))


@case(timeout=120)
def every_form_of_write_acts_where_nothing_is_ever_pushed(env):
    stage = _Stage(env, _TTL_ONLY)
    _every_form(env, stage)
    equal(stage.daemon.metrics().total("nearcached_invalidation_messages_total"), 0)


@case(timeout=120)
def transactions_scripts_and_functions_act_before_their_pushes(env):
    stage = _Stage(env)
    for commands, keys in _CONVERSATIONS:
        stage.try_out(commands, keys.split())
    sha = stage.direct.cmd("SCRIPT", "LOAD", "return redis.call('SET', KEYS[1], 'by script')")
    stage.try_out([("EVALSHA", sha, 1, "k")], ["k"])
    stage.direct.cmd("FUNCTION", "LOAD", "#!lua name=e2e\nredis.register_function('put', "
                     "function(keys, args) return redis.call('SET', keys[1], args[1]) end)")
    stage.try_out([("FCALL", "put", 1, "k", "by function")], ["k"])
    stage.try_out([("MULTI",), ("FCALL", "put", 1, "k", "both"), ("EXEC",)], ["k"])
    stage.close()


@case
def a_write_into_another_database_acts_there_before_its_push(env):
    stage = _Stage(env)
    with stage.daemon.connect() as there, stage.redis.connect() as direct:
        for conn in (there, direct):
            equal(conn.cmd("SELECT", 1), b"OK")
        for command in (("COPY", "k", "new", "DB", 1), ("COPY", "k", "k2", "DB", 1, "REPLACE"),
                        ("MOVE", "k", 1)):
            key = command[2] if command[0] == "COPY" else "k"
            stage.prepare(["k"])
            stage.relay.release()
            direct.cmd("SET", "k2", "of 1")

            def warm():
                before = stage.redis.calls("get")
                there.cmd("GET", key)
                return stage.redis.calls("get") == before

            eventually(warm, f"{key} of database 1 is served from L1")
            stage.relay.hold()
            equal(stage.writer.cmd(*command), 1)
            equal(there.cmd("GET", key), b"old", f"{key} in database 1 after {command}")
            equal(stage.writer.cmd("GET", "k"), stage.direct.cmd("GET", "k"), f"k after {command}")
    stage.close()


@case
def a_key_that_migrates_is_gone_before_its_push(env):
    stage = _Stage(env)
    other = env.redis()
    for command, keys in ((("MIGRATE", "127.0.0.1", other.port, "k", 0, 5000), ["k"]),
                          (("MIGRATE", "127.0.0.1", other.port, "", 0, 5000, "REPLACE", "KEYS", "k", "k2"),
                           ["k", "k2"])):
        for pipelined in (True, False):
            other.cmd("FLUSHALL")
            stage.prepare(keys)
            reads = [("GET", key) for key in keys]
            if pipelined:
                got = stage.writer.pipeline(command, *reads)
            else:
                got = [stage.writer.cmd(*part) for part in (command, *reads)]
            equal(got, [b"OK", *[None for _ in keys]], f"{command}")
    stage.close()
