"""Commands bound to a connection: transactions, watches, blocking, publish and subscribe."""

import threading

from cases.l1 import warm
from harness.registry import case
from harness.resp import Push, RespError, encode
from harness.wait import equal, eventually, true


@case(direct=True)
def a_transaction_runs_as_one_and_is_seen_by_all(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    daemon.cmd("SET", "k", "old")
    with daemon.connect() as one, daemon.connect() as two:
        equal(two.cmd("GET", "k"), b"old")
        equal(one.cmd("MULTI"), b"OK")
        equal(one.cmd("SET", "k", "new"), b"QUEUED")
        equal(one.cmd("GET", "k"), b"QUEUED")
        equal(one.cmd("INCR", "n"), b"QUEUED")
        equal(two.cmd("GET", "k"), b"old")
        equal(one.cmd("EXEC"), [b"OK", b"new", 1])
        equal(two.cmd("GET", "k"), b"new")
        equal(two.cmd("GET", "n"), b"1")
        equal(one.cmd("GET", "k"), b"new")


@case(direct=True)
def a_pipelined_transaction_between_other_commands_keeps_its_order(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    for proto in (2, 3):
        with daemon.connect(proto=proto) as conn:
            for i in range(100):
                equal(conn.pipeline(("SET", "k", i), ("MULTI",), ("GET", "k"), ("SET", "k", -i),
                                    ("GET", "k"), ("EXEC",), ("GET", "k"), ("PING",)),
                      [b"OK", b"OK", b"QUEUED", b"QUEUED", b"QUEUED",
                       [b"%d" % i, b"OK", b"%d" % -i], b"%d" % -i, b"PONG"])


@case(direct=True)
def discard_forgets_and_errors_inside_multi_abort(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    with daemon.connect() as conn:
        conn.cmd("SET", "k", "v")
        equal(conn.pipeline(("MULTI",), ("SET", "k", "x"), ("DISCARD",), ("GET", "k")),
              [b"OK", b"QUEUED", b"OK", b"v"])
        replies = conn.pipeline(("MULTI",), ("NOSUCH",), ("SET", "k", "x"), ("EXEC",), ("GET", "k"))
        true(isinstance(replies[1], RespError), replies)
        true(isinstance(replies[3], RespError) and replies[3].text.startswith("EXECABORT"), replies)
        equal(replies[4], b"v")
        for command in ("EXEC", "DISCARD"):
            reply = conn.cmd(command)
            true(isinstance(reply, RespError) and "without MULTI" in reply.text, reply)
        conn.cmd("MULTI")
        reply = conn.cmd("MULTI")
        true(isinstance(reply, RespError) and "nested" in reply.text, reply)
        reply = conn.cmd("WATCH", "k")
        true(isinstance(reply, RespError), reply)
        equal(conn.cmd("DISCARD"), b"OK")
        replies = conn.pipeline(("MULTI",), ("LPUSH", "k", "x"), ("GET", "k"), ("EXEC",))
        true(isinstance(replies[3][0], RespError), replies)
        equal(replies[3][1], b"v")


@case(direct=True)
def a_client_that_vanishes_inside_multi_changes_nothing(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    for _ in range(20):
        with daemon.connect() as conn:
            conn.pipeline(("MULTI",), ("SET", "ghost", "1"))
    with daemon.connect() as conn:
        equal(conn.cmd("EXISTS", "ghost"), 0)
        equal(conn.cmd("SET", "k", "v"), b"OK")


@case(direct=True)
def watch_and_get_never_lose_an_update(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    daemon.cmd("SET", "n", 0)
    increments, workers = 60, 3
    problems, done_by = [], []

    def count_up(through, enough):
        """Counts until `enough(done)`. WATCH, read, write: an update is lost if the read was old."""
        done = 0
        try:
            with through.connect() as conn:
                while not enough(done):
                    equal(conn.cmd("WATCH", "n"), b"OK")
                    value = int(conn.cmd("GET", "n"))
                    equal(conn.cmd("MULTI"), b"OK")
                    equal(conn.cmd("SET", "n", value + 1), b"QUEUED")
                    if conn.cmd("EXEC") is None:
                        continue
                    done += 1
                    # Let somebody else have a turn: a writer in a hurry would fail all the others.
                    while int(conn.cmd("GET", "n")) == value + 1 and not enough(done):
                        pass
        except BaseException as error:  # a thread that dies must fail the case
            problems.append(repr(error))
        done_by.append(done)

    threads = [threading.Thread(target=count_up, args=(
        daemon, lambda done: done >= increments or len(done_by) >= workers))
               for _ in range(workers)]
    # Somebody else counts around the daemon for as long as the others count through it.
    around = threading.Thread(target=count_up, args=(redis, lambda _: not any(
        thread.is_alive() for thread in threads)))
    for thread in [*threads, around]:
        thread.start()
    for thread in [*threads, around]:
        thread.join()
    equal(problems, [])
    equal(daemon.cmd("GET", "n"), b"%d" % sum(done_by), "an update was lost")


@case(direct=True)
def a_watched_key_changed_elsewhere_makes_exec_nil_and_unwatch_forgets(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    daemon.cmd("SET", "k", "1")
    for proto, nil in ((2, b"*-1\r\n"), (3, b"_\r\n")):
        with daemon.connect(proto=proto) as conn:
            conn.cmd("WATCH", "k")
            redis.cmd("SET", "k", "2")
            conn.cmd("MULTI")
            conn.cmd("SET", "k", "3")
            equal(conn.raw("EXEC"), nil)
            conn.cmd("WATCH", "k")
            redis.cmd("SET", "k", "4")
            equal(conn.cmd("UNWATCH"), b"OK")
            equal(conn.pipeline(("MULTI",), ("SET", "k", "5"), ("EXEC",))[-1], [b"OK"])
            equal(conn.cmd("GET", "k"), b"5")


@case
def a_get_under_watch_does_not_come_from_l1(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "k", "v")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        conn.cmd("WATCH", "other")
        before = redis.calls("get")
        equal(conn.cmd("GET", "k"), b"v")
        true(redis.calls("get") > before, "a read under WATCH was answered from memory")
        conn.cmd("UNWATCH")
        eventually(lambda: _local(redis, conn, "k"), "after UNWATCH it is served from L1 again")


def _local(redis, conn, key):
    before = redis.calls("get")
    conn.cmd("GET", key)
    return redis.calls("get") == before


@case(direct=True)
def a_blocking_pop_waits_and_delays_nobody(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    with daemon.connect() as waiter, daemon.connect() as other, daemon.connect(proto=3) as third:
        waiter.send_cmd("BLPOP", "q", 0)
        third.send_cmd("BRPOP", "q3", 0)
        for i in range(500):
            equal(other.cmd("SET", "k", i), b"OK")
            equal(other.cmd("GET", "k"), b"%d" % i)
        other.cmd("RPUSH", "q", "job")
        equal(waiter.read(), [b"q", b"job"])
        other.cmd("RPUSH", "q3", "job3")
        equal(third.read(), [b"q3", b"job3"])
        equal(waiter.cmd("PING"), b"PONG")


@case(direct=True)
def a_blocking_pop_times_out_with_nil_in_its_own_time(env):
    daemon = env.daemon(env.redis(), {"upstream": {"command_timeout": "300ms"}})
    daemon.wait_ready()
    for proto, nil in ((2, b"*-1\r\n"), (3, b"_\r\n")):
        with daemon.connect(proto=proto) as conn:
            # Longer than the command timeout: the command's own timeout is added to it.
            equal(conn.raw("BLPOP", "q", 1), nil)
            equal(conn.raw("BZPOPMIN", "q", 0.05), nil)
            equal(conn.cmd("PING"), b"PONG")


@case(direct=True)
def commands_behind_a_blocking_pop_are_answered_after_it_in_order(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    with daemon.connect() as conn:
        for i in range(20):
            conn.send(b"".join((encode("SET", "a", i), encode("BLPOP", "q", 0), encode("GET", "a"),
                                encode("PING", i))))
            equal(conn.read(), b"OK")
            redis.cmd("RPUSH", "q", i)
            equal([conn.read() for _ in range(3)], [[b"q", b"%d" % i], b"%d" % i, b"%d" % i])


@case(direct=True)
def a_vanished_client_pops_nothing(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    for command in (("BLPOP", "q", 0), ("BLMOVE", "q", "q2", "LEFT", "LEFT", 0),
                    ("BLMPOP", 0, 1, "q", "LEFT")):
        conns = [daemon.connect() for _ in range(5)]
        for conn in conns:
            conn.send_cmd(*command)
        eventually(lambda: int(redis.info("blocked_clients")) == 5, "five clients are blocked")
        for conn in conns:
            conn.close()
        eventually(lambda: int(redis.info("blocked_clients")) == 0, "nobody is blocked any more")
        redis.cmd("RPUSH", "q", "job")
        equal(redis.cmd("LLEN", "q"), 1)
        redis.cmd("DEL", "q")


@case(direct=True)
def a_write_by_a_blocking_command_is_seen_at_once(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    with daemon.connect() as one, daemon.connect() as two:
        for i in range(30):
            one.cmd("DEL", "src", "dst")
            equal(two.cmd("GET", "dst"), None)
            one.cmd("RPUSH", "src", "x")
            equal(one.cmd("BLMOVE", "src", "dst", "LEFT", "LEFT", 0), b"x")
            true("WRONGTYPE" in repr(two.cmd("GET", "dst")), "the moved element is not seen")


@case(direct=True)
def xread_block_waits_and_wait_is_not_swallowed(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    with daemon.connect() as reader, daemon.connect() as writer:
        reader.send_cmd("XREAD", "BLOCK", 0, "STREAMS", "x", "$")
        eventually(lambda: int(redis.info("blocked_clients")) == 1, "the reader is blocked")
        writer.cmd("XADD", "x", "1-1", "f", "v")
        equal(reader.read(), [[b"x", [[b"1-1", [b"f", b"v"]]]]])
        reply = writer.cmd("WAIT", 0, 10)  # answered, or refused in clear words: never swallowed
        true(reply == 0 or isinstance(reply, RespError), reply)


@case(direct=True)
def published_messages_reach_subscribers_in_protocol_2(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    with daemon.connect() as sub, daemon.connect() as pub:
        equal(sub.cmd("SUBSCRIBE", "news"), [b"subscribe", b"news", 1])
        sub.send_cmd("PSUBSCRIBE", "n*", "m*")
        equal(sub.read(), [b"psubscribe", b"n*", 2])
        equal(sub.read(), [b"psubscribe", b"m*", 3])
        equal(pub.cmd("PUBLISH", "news", "hello"), 2)
        equal(sub.read(), [b"message", b"news", b"hello"])
        equal(sub.read(), [b"pmessage", b"n*", b"news", b"hello"])
        equal(sub.cmd("PING"), [b"pong", b""])
        equal(sub.cmd("PING", "x"), [b"pong", b"x"])
        reply = sub.cmd("GET", "k")
        true(isinstance(reply, RespError) and "context" in reply.text, reply)
        equal(sub.cmd("UNSUBSCRIBE", "news"), [b"unsubscribe", b"news", 2])
        sub.send_cmd("PUNSUBSCRIBE")
        gone = [sub.read() for _ in range(2)]
        equal(sorted(name for _, name, _ in gone), [b"m*", b"n*"])
        equal([left for _, _, left in gone], [1, 0])
        equal(sub.cmd("PING"), b"PONG")
        sub.cmd("SET", "k", "v")
        equal(sub.cmd("GET", "k"), b"v")


@case(direct=True)
def published_messages_reach_subscribers_in_protocol_3_beside_replies(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    with daemon.connect(proto=3) as sub, daemon.connect() as pub:
        sub.send_cmd("SUBSCRIBE", "news", "more")
        equal(sub.read_any(), Push([b"subscribe", b"news", 1]))
        equal(sub.read_any(), Push([b"subscribe", b"more", 2]))
        sub.send_cmd("SET", "k", "v")
        equal(sub.read_any(), b"OK")
        for i in range(50):
            equal(pub.cmd("PUBLISH", "news", i), 1)
            equal(sub.read_any(), Push([b"message", b"news", b"%d" % i]))
            equal(sub.cmd("GET", "k"), b"v")
        sub.send_cmd("UNSUBSCRIBE")
        for _ in range(2):
            true(isinstance(sub.read_any(), Push), "not a push")
        equal(sub.cmd("PING"), b"PONG")


@case(direct=True)
def a_subscriber_that_leaves_is_forgotten_upstream(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    for proto in (2, 3):
        subs = [daemon.connect(proto=proto) for _ in range(5)]
        for sub in subs:
            sub.send_cmd("SUBSCRIBE", "gone")
            sub.read_any()
        equal(redis.cmd("PUBSUB", "NUMSUB", "gone"), [b"gone", 5])
        for sub in subs:
            sub.close()
        eventually(lambda: redis.cmd("PUBSUB", "NUMSUB", "gone") == [b"gone", 0],
                   "nobody is subscribed upstream")


@case(direct=True)
def sharded_publish_and_pubsub_introspection_work(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    with daemon.connect() as sub, daemon.connect() as pub:
        equal(sub.cmd("SSUBSCRIBE", "shard"), [b"ssubscribe", b"shard", 1])
        equal(pub.cmd("SPUBLISH", "shard", "m"), 1)
        equal(sub.read(), [b"smessage", b"shard", b"m"])
        equal(pub.cmd("PUBSUB", "SHARDCHANNELS"), [b"shard"])


@case
def monitor_and_client_tracking_work_or_are_refused_never_swallowed(env):
    redis, daemon = env.stack()
    with daemon.connect(proto=3) as conn, daemon.connect() as other:
        reply = conn.cmd("CLIENT", "TRACKING", "ON")
        if not isinstance(reply, RespError):
            other.cmd("SET", "k", "1")
            conn.cmd("GET", "k")
            other.cmd("SET", "k", "2")
            push = conn.read_any()
            true(isinstance(push, Push) and push[0] == b"invalidate", push)
    with daemon.connect() as conn:
        reply = conn.cmd("MONITOR")
        if not isinstance(reply, RespError):
            redis.cmd("ECHO", "watched")
            eventually(lambda: b"watched" in conn.read(), "MONITOR shows the command")
    with daemon.connect() as conn:
        conn.send(encode("CLIENT", "REPLY", "SKIP") + encode("SET", "k", "3") + encode("ECHO", "e"))
        first = conn.read()
        if isinstance(first, RespError):
            equal([conn.read() for _ in range(2)], [b"OK", b"e"])
        else:
            equal(first, b"e")
    with daemon.connect() as conn:
        conn.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "k", "4")
                  + encode("CLIENT", "REPLY", "ON"))
        first = conn.read()
        if isinstance(first, RespError):
            equal(conn.read(), b"OK")
            true(isinstance(conn.read(), (RespError, bytes)), "no reply")
        else:
            equal(first, b"OK")
            equal(conn.cmd("PING"), b"PONG")


@case(direct=True)
def lua_locks_and_setnx_locks_exclude(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    release = ("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) "
               "else return 0 end")
    holders, worst, problems = [0], [0], []
    mutex = threading.Lock()

    def work(name):
        try:
            with daemon.connect() as conn:
                for i in range(30):
                    token = f"{name}.{i}"
                    while conn.cmd("SET", "the-lock", token, "NX", "PX", 30_000) is None:
                        conn.cmd("GET", "the-lock")
                    with mutex:
                        holders[0] += 1
                        worst[0] = max(worst[0], holders[0])
                    equal(conn.cmd("GET", "the-lock"), token.encode())
                    with mutex:
                        holders[0] -= 1
                    equal(conn.cmd("EVAL", release, 1, "the-lock", token), 1)
        except BaseException as error:
            problems.append(repr(error))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(problems, [])
    equal(worst[0], 1, "two held the lock at once")


def frame_of(conn, command):
    """The one message, a push perhaps, that the command is answered with."""
    conn.send_cmd(*command)
    return conn.read_frame()[1]


@case(direct=True)
def what_a_transaction_subscribes_to_is_confirmed_inside_exec(env):
    """Byte for byte as the server says it, though in RESP3 that is a push inside a reply."""
    redis, daemon = env.stack()
    asked = [("MULTI",), ("SUBSCRIBE", "news"), ("SET", "k", "v"), ("SSUBSCRIBE", "s"), ("MONITOR",),
             ("EXEC",), ("GET", "k"), ("UNSUBSCRIBE", "news"), ("GET", "k"),
             ("MULTI",), ("UNSUBSCRIBE",), ("EXEC",), ("MULTI",), ("SYNC",), ("EXEC",), ("GET", "k"),
             ("MULTI",), ("PSUBSCRIBE", "n*"), ("DISCARD",), ("GET", "k")]
    for proto in (2, 3):
        sides = []
        for target in (redis, daemon):
            with target.connect(proto) as conn:
                sides.append([frame_of(conn, command) for command in asked])
        equal(sides[1], sides[0], f"protocol {proto}")
    with daemon.connect(2) as sub, daemon.connect() as pub:
        equal(sub.pipeline(("MULTI",), ("SUBSCRIBE", "news"), ("EXEC",))[-1], [[b"subscribe", b"news", 1]])
        equal(pub.cmd("PUBLISH", "news", "hot"), 1)
        equal(sub.read(), [b"message", b"news", b"hot"])
        equal(sub.cmd("PING"), [b"pong", b""])


@case(direct=True)
def what_replicas_and_developers_send_is_answered_by_the_server(env):
    redis, daemon = env.stack({}, "--enable-debug-command", "yes")
    asked = [("REPLCONF", "listening-port", "1"), ("REPLCONF", "capa", "eof"), ("REPLCONF", "nonsense", "1"),
             ("REPLCONF",), ("PSYNC",), ("SYNC", "x"), ("DEBUG",), ("DEBUG", "HELP"),
             ("DEBUG", "NONSENSE"), ("DEBUG", "OBJECT", "none"), ("DEBUG", "SLEEP", "0"),
             ("DEBUG", "STRINGMATCH-LEN", "1", "*"), ("DEBUG", "SET-ACTIVE-EXPIRE", "1"),
             ("DEBUG", "PROTOCOL", "string"), ("DEBUG", "RELOAD"), ("PING",)]
    for proto in (2, 3):
        sides = []
        for target in (redis, daemon):
            with target.connect(proto) as conn:
                sides.append([conn.raw(*command) for command in asked])
        equal(sides[1], sides[0], f"protocol {proto}")
