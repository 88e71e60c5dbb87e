"""Unmodified clients, as applications use them."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import threading
import time

from harness.registry import Skip, case
from harness.wait import SCALE, equal, eventually, true


def _cli(daemon, *argv, stdin=None):
    done = subprocess.run(["redis-cli", "-p", str(daemon.port), *argv], input=stdin, text=True,
                          capture_output=True, timeout=30 * SCALE)
    equal(done.stderr, "", f"redis-cli {argv}")
    return done.stdout


@case(direct=True)
def redis_cli_in_all_its_ways(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    equal(_cli(daemon, "SET", "k", "v"), "OK\n")
    for _ in range(3):
        equal(_cli(daemon, "GET", "k"), "v\n")
        equal(_cli(daemon, "-3", "GET", "k"), "v\n")
    equal(_cli(daemon, "-3", "--no-raw", "HSET", "h", "f", "v"), "(integer) 1\n")
    equal(_cli(daemon, "-3", "--no-raw", "HGETALL", "h"), '1# "f" => "v"\n')
    equal(_cli(daemon, "--no-raw", "HGETALL", "h"), '1) "f"\n2) "v"\n')
    equal(_cli(daemon, "-n", "3", "DBSIZE"), "0\n")
    equal(_cli(daemon, stdin="SET a 1\nINCR a\nGET a\nMULTI\nGET a\nEXEC\n"),
          "OK\n2\n2\nOK\nQUEUED\n2\n")
    equal(_cli(daemon, "-r", "3", "INCR", "n"), "1\n2\n3\n")
    true("redis_version" in _cli(daemon, "INFO", "server"), "no INFO")
    lines = "".join(f"SET pipe{i} {i}\r\n" for i in range(2000))
    true("errors: 0, replies: 2000" in _cli(daemon, "--pipe", stdin=lines), "--pipe failed")
    equal(_cli(daemon, "EVAL", "return {1,'two'}", "0"), "1\ntwo\n")
    true(len(_cli(daemon, "--scan", "--pattern", "pipe1*").split()) > 1000, "--scan")
    done = subprocess.run(["redis-cli", "-s", daemon.unix, "GET", "k"], text=True,
                          capture_output=True, timeout=30 * SCALE)
    equal(done.stdout, "v\n")


@case(direct=True)
def redis_benchmark_runs_clean(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    for extra in ((), ("-P", "16"), ("-3",)):
        done = subprocess.run(
            ["redis-benchmark", "-p", str(daemon.port), "-n", "3000", "-c", "20", "-r", "100",
             "-q", "-t", "ping,set,get,incr,lpush,rpop,sadd,hset,zadd,mset", *extra],
            text=True, capture_output=True, timeout=50 * SCALE)
        equal(done.returncode, 0, done.stderr)
        true("rror" not in done.stdout + done.stderr, done.stdout + done.stderr)


def _python_clients(env):
    try:
        import redis
    except ImportError as missing:
        raise Skip("python3-redis is not installed") from missing
    return redis


def _parsers(redis):
    found = [redis.connection.PythonParser]
    if redis.connection.HIREDIS_AVAILABLE:
        found.append(redis.connection.HiredisParser)
    return found


@case(direct=True)
def python_redis_with_both_parsers(env):
    redis = _python_clients(env)
    server = env.redis()
    daemon = env.daemon(server, fills=True)
    parsers = _parsers(redis)
    env.note("parsers: " + ", ".join(parser.__name__ for parser in parsers))
    for parser in parsers:
        for connection in (
                redis.ConnectionPool(host="127.0.0.1", port=daemon.port, parser_class=parser),
                redis.ConnectionPool(connection_class=redis.UnixDomainSocketConnection,
                                     path=daemon.unix, parser_class=parser)):
            client = redis.Redis(connection_pool=connection, client_name="smoke")
            _python_smoke(client)
            client.flushall()
            connection.disconnect()


def _python_smoke(client):
    import redis
    true(client.ping(), "no PONG")
    for i in range(100):
        client.set("k", i)
        equal(client.get("k"), b"%d" % i)
    equal(client.mget("k", "nothing"), [b"99", None])
    value = bytes(range(256)) * 500
    client.set("bin", value)
    equal([client.get("bin") == value for _ in range(3)], [True] * 3)
    with client.pipeline(transaction=False) as pipe:
        pipe.set("p", 1).incr("p").get("p").hset("h", mapping={"a": 1}).hgetall("h")
        equal(pipe.execute(), [True, 2, b"2", 1, {b"a": b"1"}])
    with client.pipeline() as pipe:
        pipe.set("t", 1).incr("t").get("t")
        equal(pipe.execute(), [True, 2, b"2"])

    def add_one(pipe):
        value = int(pipe.get("t"))
        pipe.multi()
        pipe.set("t", value + 1)

    client.transaction(add_one, "t")
    equal(client.get("t"), b"3")
    with client.lock("a-lock", timeout=10):
        equal(client.lock("a-lock", timeout=10).acquire(blocking=False), False)
    equal(client.exists("a-lock"), 0)
    client.mset({f"scan:{i}": i for i in range(500)})
    equal(len(set(client.scan_iter("scan:*", count=50))), 500)
    script = client.register_script("return redis.call('GET', KEYS[1])")
    equal(script(keys=["k"]), b"99")
    try:
        client.lpush("k", "x")
        raise AssertionError("no WRONGTYPE")
    except redis.ResponseError as error:
        true("WRONGTYPE" in str(error), error)
    subscriber = client.pubsub(ignore_subscribe_messages=True)
    subscriber.subscribe("news")
    subscriber.psubscribe("n*")
    eventually(lambda: client.publish("news", "x") == 2, "both subscriptions are there")
    got = []
    eventually(lambda: (m := subscriber.get_message(timeout=1)) and got.append(m["type"])
               or len(got) >= 2, "two messages arrive")
    equal(sorted(got), ["message", "pmessage"])
    subscriber.close()
    results = []
    waiter = threading.Thread(target=lambda: results.append(client.blpop("q", timeout=20)))
    waiter.start()
    client.rpush("q", "job")
    waiter.join()
    equal(results, [(b"q", b"job")])
    true(client.info()["redis_version"], "no version")


@case(direct=True)
def python_redis_asyncio(env):
    _python_clients(env)
    import redis.asyncio as aioredis
    daemon = env.daemon(env.redis(), fills=True)

    async def work():
        client = aioredis.Redis(host="127.0.0.1", port=daemon.port, client_name="aio")
        equal(await client.ping(), True)
        for i in range(100):
            await client.set("k", i)
            equal(await client.get("k"), b"%d" % i)
        values = await asyncio.gather(*[client.get("k") for _ in range(200)])
        equal(set(values), {b"99"})
        async with client.pipeline(transaction=True) as pipe:
            equal(await pipe.set("t", 1).incr("t").get("t").execute(), [True, 2, b"2"])
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe("news")
        while not await client.publish("news", "hello"):
            await asyncio.sleep(0)
        message = None
        while message is None:
            message = await pubsub.get_message(timeout=1)
        equal(message["data"], b"hello")
        await pubsub.close()
        async with client.lock("aio-lock", timeout=10):
            equal(await client.exists("aio-lock"), 1)
        await client.mset({f"scan:{i}": i for i in range(200)})
        equal(len([key async for key in client.scan_iter("scan:*")]), 200)
        await client.close()

    asyncio.run(asyncio.wait_for(work(), 40 * SCALE))


@case
def python_redis_logs_in_at_a_listener_with_a_user_and_a_password(env):
    redis = _python_clients(env)
    server = env.redis()
    from harness.processes import free_port
    port = free_port()
    daemon = env.daemon(server, {"listeners": [
        {"address": f"127.0.0.1:{port}", "username": "app", "password": "s3cret"}]})
    client = redis.Redis(port=port, username="app", password="s3cret")
    eventually(lambda: _quietly(lambda: client.set("k", "v")), "it forwards")
    equal(client.get("k"), b"v")
    for wrong in (dict(username="app", password="no"), dict(username="no", password="s3cret"), {}):
        try:
            redis.Redis(port=port, **wrong).get("k")
            raise AssertionError(f"{wrong} was let in")
        except (redis.AuthenticationError, redis.ResponseError):
            pass
    true(daemon.alive(), "gone")


def _quietly(action):
    import redis
    try:
        return action()
    except redis.RedisError:
        return None


def _node_clients(env):
    """The folder with the node clients, installed once; Skip where there is no node or npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Skip("node and npm are not installed")
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
                         "nearcached-e2e", "node")
    os.makedirs(cache, exist_ok=True)
    wanted = os.path.join(env.root, "tests/e2e/node/package.json")
    stamp = os.path.join(cache, "installed.json")
    with open(os.path.join(cache, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(wanted) as file:
            text = file.read()
        if not os.path.exists(stamp) or open(stamp).read() != text:
            # No registry, or a very slow one, says nothing about the code. One case finds out.
            tried = os.path.join(cache, ".tried")
            if os.path.exists(tried) and time.time() - os.path.getmtime(tried) < 600:
                raise Skip("npm could not install the clients a moment ago")
            open(tried, "w").close()
            shutil.copy(wanted, os.path.join(cache, "package.json"))
            try:
                done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock",
                                       "--fetch-retries=1", "--fetch-timeout=15000"],
                                      cwd=cache, capture_output=True, text=True, timeout=100)
            except subprocess.TimeoutExpired:
                raise Skip("npm did not install the clients within 100 s") from None
            if done.returncode:
                raise Skip("npm cannot install the clients: " + done.stderr.strip()[-200:])
            os.remove(tried)
            with open(stamp, "w") as out:
                out.write(text)
    return cache


def run_node(env, daemon, script, **variables):
    cache = _node_clients(env)
    for socket in ("", daemon.unix):
        done = subprocess.run(
            ["node", os.path.join(env.root, "tests/e2e/node", script)], capture_output=True,
            text=True, timeout=60 * SCALE, env={**os.environ, "NODE_CLIENTS": cache, "SOCKET": socket,
                                                "PORT": str(daemon.port), **variables})
        equal((done.returncode, done.stdout.strip()), (0, "ok"), done.stdout + done.stderr)


@case(direct=True, timeout=150)
def ioredis(env):
    _node_clients(env)
    run_node(env, env.daemon(env.redis(), fills=True), "ioredis.mjs")


@case(direct=True, timeout=150)
def node_redis_in_protocol_2(env):
    _node_clients(env)
    run_node(env, env.daemon(env.redis(), fills=True), "node_redis.mjs", RESP="2")


@case(direct=True, timeout=150)
def node_redis_in_protocol_3(env):
    _node_clients(env)
    run_node(env, env.daemon(env.redis(), fills=True), "node_redis.mjs", RESP="3")
