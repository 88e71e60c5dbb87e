"""Own writes act on every reply that is kept of a key, not on GET's alone, before the push.

As own_writes.py, with `l1.commands: all`: each form of write, and those that concern keys GET cannot
read, is carried out while every read of the key that can be kept is warm in L1 in both protocols and
no invalidation reaches the daemon.
"""

from cases.own_writes import _CHANGES, _LIFETIMES, _Stage
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

_ALL = {"l1": {"commands": "all", "ttl": "60s", "negative_ttl": "60s"}}

# Reads of any key; those that its type refuses are not kept, and are compared all the same.
_READS = [
    ("GET",), ("STRLEN",), ("GETRANGE", 0, 2), ("GETBIT", 1), ("BITCOUNT",), ("EXISTS",), ("TYPE",),
    ("HGETALL",), ("hget", "f"), ("HMGET", "f", "none"), ("HLEN",), ("HEXISTS", "f"), ("HKEYS",), ("HVALS",),
    ("HSTRLEN", "f"), ("LRANGE", 0, -1), ("LINDEX", 0), ("LLEN",), ("SMEMBERS",), ("SCARD",),
    ("SISMEMBER", "a"), ("SMISMEMBER", "a", "b"), ("ZRANGE", 0, -1), ("ZRANGE", 0, -1, "WITHSCORES"),
    ("ZRANGEBYSCORE", "-inf", "+inf", "WITHSCORES"), ("ZREVRANGE", 0, 0), ("ZSCORE", "m"),
    ("ZMSCORE", "m", "none"), ("ZRANK", "m"), ("ZCARD",), ("ZCOUNT", "-inf", "+inf"),
    ("GEOPOS", "a"), ("GEODIST", "a", "b"),
]

# What GET cannot see: changes of collections.
_OF_COLLECTIONS = [
    (("HSET", "h", "f", 2), "h"), (("HSET", "h", "g", 2), "h"), (("HDEL", "h", "f"), "h"),
    (("HINCRBY", "h", "f", 5), "h"), (("HINCRBYFLOAT", "h", "f", "0.5"), "h"), (("HSETNX", "h", "g", 1), "h"),
    (("HMSET", "h", "f", 9), "h"),
    (("LPUSH", "l", 0), "l"), (("RPUSH", "l", 9), "l"), (("LPUSHX", "l", 0), "l"), (("RPUSHX", "l", 9), "l"),
    (("LPOP", "l"), "l"), (("RPOP", "l", 2), "l"), (("LSET", "l", 0, "x"), "l"),
    (("LINSERT", "l", "BEFORE", 1, "x"), "l"), (("LREM", "l", 0, 1), "l"), (("LTRIM", "l", 1, 1), "l"),
    (("LMPOP", 1, "l", "LEFT"), "l"), (("BLPOP", "l", 5), "l"), (("BRPOP", "l", 5), "l"),
    (("BLMPOP", 5, 1, "l", "LEFT"), "l"), (("LMOVE", "l", "new", "LEFT", "LEFT"), "l new"),
    (("SADD", "s", "c"), "s"), (("SREM", "s", "a"), "s"), (("SPOP", "s", 2), "s"),
    (("SMOVE", "s", "s2", "a"), "s s2"), (("SUNIONSTORE", "s", "s", "s2"), "s"),
    (("ZADD", "z", 5, "m"), "z"), (("ZADD", "z", 5, "o"), "z"), (("ZREM", "z", "m"), "z"),
    (("ZINCRBY", "z", 1, "m"), "z"), (("ZPOPMIN", "z"), "z"), (("ZPOPMAX", "z"), "z"),
    (("ZMPOP", 1, "z", "MIN"), "z"), (("BZPOPMIN", "z", 5), "z"), (("BZPOPMAX", "z", 5), "z"),
    (("BZMPOP", 5, 1, "z", "MIN"), "z"), (("ZREMRANGEBYRANK", "z", 0, 0), "z"),
    (("ZREMRANGEBYSCORE", "z", 1, 1), "z"), (("ZREMRANGEBYLEX", "z", "-", "[m"), "z"),
    (("GEOADD", "g", 13, 38, "a"), "g"), (("DEL", "h", "l", "s", "z"), "h l s z"),
    (("RENAME", "h", "l"), "h l"), (("EXPIRE", "h", 0), "h"), (("COPY", "l", "h", "REPLACE"), "h"),
    (("EVAL", "return redis.call('HSET', KEYS[1], 'f', 'by script')", 1, "h"), "h"),
    (("FLUSHDB",), "h l s z"),
]


def _said(replies):
    """Replies that can be compared: an error by its words."""
    return [f"error {reply}" if isinstance(reply, RespError) else reply for reply in replies]


class _ReadStage(_Stage):
    """Every read of each key is warm, on a client of each protocol."""

    def __init__(self, env):
        super().__init__(env, _ALL)
        self.direct3 = self.redis.connect(proto=3)

    def reads(self, keys):
        return [(read[0], key, *read[1:]) for key in keys for read in _READS]

    def prepare(self, keys, given=()):
        self.relay.release()
        super().prepare([], given)  # known contents
        reads = self.reads(keys)
        names = {read[0].lower() for read in reads}
        values = _said(self.direct.pipeline(*reads))
        kept = [read for read, value in zip(reads, values) if not str(value).startswith("error ")]

        def warm():
            self.writer.pipeline(*kept)
            self.other.pipeline(*kept)
            before = self.redis.calls(*names)
            seen = self.writer.pipeline(*kept)
            self.other.pipeline(*kept)
            return self.redis.calls(*names) == before and seen == [
                value for value in values if not str(value).startswith("error ")]

        self.relay.release()
        eventually(warm, f"every read of {keys} is served from L1")
        self.relay.hold()
        return values

    def try_form(self, command, keys, changes=True):
        before = self.prepare(keys)
        reads = self.reads(keys)
        replies = self.writer.pipeline(command, *reads)
        true(not isinstance(replies[0], RespError), f"{command} was refused: {replies[0]}")
        truth = _said(self.direct.pipeline(*reads))
        if changes:
            true(before != truth, f"{command} changes nothing of {keys}")
        self._compare(command, reads, _said(replies[1:]), truth, "in the same pipeline")
        self._compare(command, reads, _said(self.writer.pipeline(*reads)), truth, "afterwards")
        self._compare(command, reads, _said(self.other.pipeline(*reads)),
                      _said(self.direct3.pipeline(*reads)), "in the other protocol")

    @staticmethod
    def _compare(command, reads, got, truth, where):
        for read, a, b in zip(reads, got, truth):
            equal(a, b, f"{read} {where} after {command}")

    def close(self):
        self.direct3.close()
        super().close()


@case(timeout=120)
def every_form_of_write_acts_on_every_kept_reply_before_its_push(env):
    stage = _ReadStage(env)
    for command, keys in [*_CHANGES, *_OF_COLLECTIONS]:
        stage.try_form(command, keys.split())
    for command, keys in _LIFETIMES:
        stage.try_form(command, keys.split(), changes=False)
    env.note(f"{len(_CHANGES) + len(_OF_COLLECTIONS) + len(_LIFETIMES)} forms, {len(_READS)} reads of each key")
    stage.close()


@case
def a_push_drops_every_kept_reply_of_the_key_and_of_no_other(env):
    stage = _ReadStage(env)
    stage.prepare(["h", "z"])
    stage.direct.cmd("HSET", "h", "f", "elsewhere")
    eventually(lambda: stage.relay.held > 0, "the push is held")
    equal(stage.writer.cmd("HGET", "h", "f"), b"1", "served from L1 while the push is held")
    stage.relay.release()
    eventually(lambda: stage.writer.cmd("HGET", "h", "f") == b"elsewhere", "the push acts once released")
    truth = _said(stage.direct.pipeline(*stage.reads(["h"])))
    equal(_said(stage.writer.pipeline(*stage.reads(["h"]))), truth)
    before = stage.redis.calls("zrange")
    equal(stage.writer.cmd("ZRANGE", "z", 0, -1), [b"m", b"n"])
    equal(stage.redis.calls("zrange"), before, "another key's replies stay")
    stage.close()
