"""The contract: own writes at once, others' after the push, nothing older than what was seen."""

import threading

from cases.l1 import warm
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true


@case(direct=True)
def own_writes_are_visible_at_once_from_every_connection(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    readers = [daemon.connect(), daemon.connect(unix=True), daemon.connect(proto=3)]
    with daemon.connect() as writer:
        for version in range(3000):
            key = f"v{version % 5}"
            equal(writer.cmd("SET", key, version), b"OK")
            value = readers[version % 3].cmd("GET", key)
            equal(value, b"%d" % version, "a read after the acknowledged write is older than it")
            equal(readers[(version + 1) % 3].cmd("MGET", key, "other"), [b"%d" % version, None])


@case(direct=True)
def concurrent_readers_never_go_back_in_time(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    daemon.cmd("SET", "v", 0)
    acknowledged = [0]
    problems = []
    done = threading.Event()

    def read():
        seen = 0
        with daemon.connect() as conn:
            while not done.is_set():
                floor = acknowledged[0]
                value = int(conn.cmd("GET", "v"))
                if value < floor:
                    problems.append(f"read {value} after {floor} was acknowledged")
                if value < seen:
                    problems.append(f"read {value} after {seen} had been read")
                seen = value

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    with daemon.connect() as writer:
        for version in range(1, 4000):
            writer.cmd("SET", "v", version)
            acknowledged[0] = version
    done.set()
    for thread in threads:
        thread.join()
    equal(problems[:5], [], f"{len(problems)} stale reads")


@case
def writes_made_elsewhere_never_make_a_reader_go_back(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "v", 0)
    done = threading.Event()
    problems = []

    def read():
        seen = 0
        with daemon.connect() as conn:
            while not done.is_set():
                value = int(conn.cmd("GET", "v"))
                if value < seen:
                    problems.append((seen, value))
                seen = value

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    with redis.connect() as writer, daemon.connect() as own:
        for version in range(1, 3000):
            if version % 7 == 0:
                own.cmd("SET", "v", version)
            else:
                writer.cmd("SET", "v", version)
    done.set()
    for thread in threads:
        thread.join()
    equal(problems[:5], [], f"{len(problems)} reads went back in time")
    with daemon.connect() as conn:
        eventually(lambda: conn.cmd("GET", "v") == b"2999", "the last write is seen")


@case
def a_write_made_elsewhere_is_seen_after_the_push(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn, redis.connect() as elsewhere:
        for version in range(300):
            elsewhere.cmd("SET", "k", version)
            eventually(lambda: conn.cmd("GET", "k") == b"%d" % version, f"version {version}",
                       step=0.0005)


@case
def a_pipeline_of_reads_and_writes_of_one_key_sees_program_order(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "k", "start")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        last = b"start"
        for i in range(300):
            new, newer = b"a%d" % i, b"b%d" % i
            equal(conn.pipeline(("GET", "k"), ("SET", "k", new), ("GET", "k"), ("MGET", "k", "k"),
                                ("SET", "k", newer), ("GET", "k"), ("GET", "k")),
                  [last, b"OK", new, [new, new], b"OK", newer, newer])
            last = newer


@case(direct=True)
def a_pipeline_over_many_keys_sees_program_order(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    with daemon.connect() as conn:
        model = {}
        for round_ in range(40):
            commands, expected = [], []
            for i in range(100):
                key = f"k{(i * 7 + round_) % 13}"
                step = (i + round_) % 5
                if step == 0:
                    commands.append(("SET", key, f"{round_}.{i}"))
                    model[key] = b"%d.%d" % (round_, i)
                    expected.append(b"OK")
                elif step == 1:
                    commands.append(("DEL", key))
                    expected.append(int(model.pop(key, None) is not None))
                elif step == 2:
                    commands.append(("APPEND", key, "+"))
                    model[key] = model.get(key, b"") + b"+"
                    expected.append(len(model[key]))
                elif step == 3:
                    commands.append(("MGET", key, f"k{i % 13}"))
                    expected.append([model.get(key), model.get(f"k{i % 13}")])
                else:
                    commands.append(("GET", key))
                    expected.append(model.get(key))
            equal(conn.pipeline(*commands), expected, f"round {round_}")


# Each writes "k" (and sometimes "k2") in its own way; what GET says afterwards is what Redis says.
_WRITES = [
    ("SET", "k", "new"), ("SETEX", "k", 100, "new"), ("PSETEX", "k", 100000, "new"),
    ("GETSET", "k", "new"), ("SET", "k", "new", "GET"), ("SET", "k", "new", "XX"),
    ("MSET", "k", "new", "k2", "new2"), ("APPEND", "k", "new"), ("SETRANGE", "k", 0, "new"),
    ("DEL", "k"), ("UNLINK", "k"), ("GETDEL", "k"), ("GETEX", "k", "PX", 100000),
    ("RENAME", "k2", "k"), ("RENAME", "k", "k2"), ("RENAMENX", "k", "k3"),
    ("COPY", "k2", "k", "REPLACE"), ("EXPIRE", "k", 100), ("EXPIRE", "k", -1),
    ("PEXPIREAT", "k", 1), ("PERSIST", "k"), ("MOVE", "k", 1), ("SETBIT", "k", 1, 1),
    ("BITOP", "NOT", "k", "k2"), ("INCR", "k"), ("INCRBYFLOAT", "n", "1.5"), ("DECRBY", "n", 2),
    ("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "k", "new"),
    ("FLUSHDB",), ("FLUSHALL",), ("FLUSHALL", "ASYNC"), ("SWAPDB", 0, 1),
    ("SORT", "l", "STORE", "k"), ("SUNIONSTORE", "k", "s"), ("ZUNIONSTORE", "k", 1, "z"),
    ("LMOVE", "l", "k3", "LEFT", "LEFT"), ("BITFIELD", "k", "SET", "u8", 0, 1),
    ("RESTORE", "k", 0, "rubbish"), ("SETNX", "k", "no"), ("MSETNX", "k", 1, "k9", 1),
    ("PFADD", "k", "x"), ("DEBUG", "SET-ACTIVE-EXPIRE", "1"), ("LPUSH", "k", "x"),
]
# Keys that a script does not declare are known to nobody but the server: covered by its push.
_UNDECLARED = ("EVAL", "redis.call('DEL', 'k') redis.call('SET', 'k2', 'undeclared') return 1", 0)
_KEYS = ("k", "k2", "k3", "n", "k9")


def _prepare(upstream, reader):
    """A known content, read until `reader` sees it, so that all of it is warm."""
    upstream.cmd("FLUSHALL")
    upstream.cmd("RPUSH", "l", 3, 1, 2)
    upstream.cmd("SADD", "s", 1)
    upstream.cmd("ZADD", "z", 1, "m")
    upstream.cmd("MSET", "k", "old", "k2", "old2", "n", "10")
    eventually(lambda: reader.cmd("MGET", *_KEYS) == [b"old", b"old2", None, b"10", None],
               "the prepared content is seen")
    for _ in range(2):
        for key in _KEYS:
            reader.cmd("GET", key)


@case(direct=True)
def every_kind_of_write_is_seen_at_once_by_another_connection(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    with redis.connect() as upstream, daemon.connect() as writer, daemon.connect() as reader:
        for write in _WRITES:
            _prepare(upstream, reader)
            reply = writer.cmd(*write)
            through = [reader.cmd("GET", key) for key in _KEYS]
            truth = [upstream.cmd("GET", key) for key in _KEYS]
            if any(isinstance(part, RespError) for part in truth):
                through = [repr(part) for part in through]
                truth = [repr(part) for part in truth]
            equal(through, truth, f"after {write} (answered {reply!r})")


@case
def every_kind_of_write_made_elsewhere_is_seen(env):
    redis, daemon = env.stack()
    with redis.connect() as upstream, daemon.connect() as reader:
        for write in [*_WRITES, _UNDECLARED]:
            if write[0] == "SWAPDB":
                continue  # no server pushes anything for it: only the age of an entry bounds it
            _prepare(upstream, reader)
            upstream.cmd(*write)
            truth = [repr(upstream.cmd("GET", key)) for key in _KEYS]
            eventually(lambda: [repr(reader.cmd("GET", key)) for key in _KEYS] == truth,
                       f"{write} made elsewhere is seen as {truth}")


@case(direct=True)
def a_flush_through_the_daemon_empties_what_everybody_sees(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    with daemon.connect() as one, daemon.connect() as two:
        for flush in (("FLUSHALL",), ("FLUSHDB",), ("FLUSHALL", "SYNC"), ("FLUSHDB", "ASYNC")):
            for i in range(50):
                one.cmd("SET", f"k{i}", i)
            for _ in range(2):
                for i in range(50):
                    equal(two.cmd("GET", f"k{i}"), b"%d" % i)
            equal(one.cmd(*flush), b"OK")
            for i in range(0, 50, 7):
                equal(two.cmd("GET", f"k{i}"), None, f"k{i} after {flush}")
            equal(two.cmd("MGET", *[f"k{i}" for i in range(50)]), [None] * 50)


@case
def a_failed_write_leaves_the_old_value_readable(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "k", "old")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        true(isinstance(conn.cmd("LPUSH", "k", "x"), RespError), "no error")
        equal(conn.cmd("GET", "k"), b"old")
        true(isinstance(conn.cmd("SET", "k", "v", "EX", "0"), RespError), "no error")
        equal(conn.cmd("GET", "k"), b"old")
        warm(redis, conn, "k")


@case(full=True, timeout=120)
def thousands_of_versions_through_one_daemon_and_around_it(env):
    redis, daemon = env.stack()
    other = env.daemon(redis, fills=True)
    done = threading.Event()
    problems = []

    def read(through):
        seen = [0] * 8
        with through.connect() as conn:
            while not done.is_set():
                for i, value in enumerate(conn.pipeline(*[("GET", f"v{i}") for i in range(8)])):
                    value = int(value or 0)
                    if value < seen[i]:
                        problems.append((i, seen[i], value))
                    seen[i] = value

    def write(through, base):
        with through.connect() as conn:
            for version in range(1500):
                key = f"v{base}"
                equal(conn.cmd("SET", key, version), b"OK")
                value = int(conn.cmd("GET", key))
                if value < version:
                    problems.append(("own write", key, version, value))

    readers = [threading.Thread(target=read, args=(t,)) for t in (daemon, other, daemon)]
    writers = [threading.Thread(target=write, args=(t, i))
               for i, t in enumerate((daemon, other, daemon, other, redis))]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    equal(problems[:5], [], f"{len(problems)} reads were wrong")
