"""Byte for byte: the corpus of commands direct and through the daemon, in every way of asking."""

from harness.corpus import corpus
from harness.registry import case
from harness.resp import encode
from harness.wait import equal, true

_REPEATABLE = {b"GET", b"MGET", b"STRLEN", b"HGETALL", b"LRANGE", b"SMEMBERS", b"ZRANGE", b"TYPE",
               b"EXISTS", b"HGET", b"ZSCORE", b"GETRANGE"}


def _walk(conn, commands, chunk):
    replies = []
    for at in range(0, len(commands), chunk):
        part = commands[at:at + chunk]
        conn.send(b"".join(encode(*command) for command in part))
        replies += [conn.read_raw() for _ in part]
    return replies


def _compare(env, proto, chunk, repeat, unix=False):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    commands = [command for command in corpus()
                for _ in range(repeat if command[0].upper() in _REPEATABLE else 1)]
    true(len(commands) >= 300, "the corpus is too small to mean anything")
    with redis.connect(proto) as conn:
        direct = _walk(conn, commands, chunk)
    redis.cmd("FLUSHALL")
    redis.cmd("SCRIPT", "FLUSH")
    with daemon.connect(proto, unix=unix) as conn:
        through = _walk(conn, commands, chunk)
    wrong = [f"{command}: direct {a!r}, through {b!r}"
             for command, a, b in zip(commands, direct, through) if a != b]
    equal(wrong, [], f"{len(wrong)} of {len(commands)} replies differ")
    env.note(f"{len(commands)} replies compared")


@case(direct=True)
def every_command_single_in_protocol_2_is_byte_for_byte_the_same(env):
    _compare(env, 2, 1, 1)


@case(direct=True)
def every_command_single_in_protocol_3_is_byte_for_byte_the_same(env):
    _compare(env, 3, 1, 1, unix=True)


@case(direct=True)
def every_read_cold_and_warm_in_protocol_2_is_byte_for_byte_the_same(env):
    _compare(env, 2, 1, 3)


@case(direct=True)
def every_read_cold_and_warm_in_protocol_3_is_byte_for_byte_the_same(env):
    _compare(env, 3, 1, 3)


@case(direct=True)
def every_command_in_pipelines_of_seven_is_byte_for_byte_the_same(env):
    _compare(env, 2, 7, 2)


@case(direct=True)
def every_command_in_one_pipeline_in_protocol_2_is_byte_for_byte_the_same(env):
    _compare(env, 2, 10_000, 1)


@case(direct=True)
def every_command_in_one_pipeline_in_protocol_3_is_byte_for_byte_the_same(env):
    _compare(env, 3, 10_000, 2)
