"""TLS to a real redis-server and from real clients: who is believed, what is said, what is renewed."""

import os
import socket
import ssl
import subprocess
import threading
import time

import redis as redis_py

from harness.certificates import Certificates
from harness.env import sanitized
from harness.processes import free_port
from harness.registry import case
from harness.replication import MASTER, Sentinel, role_of
from harness.resp import RespError
from harness.wait import SCALE, equal, eventually, true


def _tls_redis(env, certificates, clients="no", name="server"):
    """A redis-server that speaks TLS on a second port; `tls_port` is added to it."""
    port = free_port()
    server = env.redis("--tls-port", str(port), "--tls-cert-file", certificates.path(name),
                       "--tls-key-file", certificates.key(name), "--tls-ca-cert-file",
                       certificates.path("ca"), "--tls-auth-clients", clients)
    server.tls_port = port
    return server


def _upstream(server, certificates=None, host="127.0.0.1", **tls):
    if certificates is not None:
        tls.setdefault("ca_file", certificates.path("ca"))
    return {"upstream": {"url": f"rediss://{host}:{server.tls_port}", "tls": tls}}


def _certificates(env, **server):
    certificates = Certificates(env.folder)
    certificates.make("server", **server)
    return certificates


def _refused(daemon):
    """The error a client gets for a command that only the upstream can answer."""
    def ask():
        with daemon.connect() as conn:
            reply = conn.cmd("DBSIZE")
            return reply.text if isinstance(reply, RespError) else None

    return eventually(ask, "a request is refused with a reason")


@case
def reads_fill_and_invalidations_arrive_over_tls(env):
    certificates = _certificates(env)
    server = _tls_redis(env, certificates)
    daemon = env.daemon(server, _upstream(server, certificates), fills=True)
    with daemon.connect() as conn:
        equal(conn.cmd("SET", "k", "one"), b"OK")
        equal(conn.cmd("GET", "k"), b"one")
        before = server.calls("get")
        equal([conn.cmd("GET", "k") for _ in range(10)], [b"one"] * 10)
        equal(server.calls("get"), before)
        server.cmd("SET", "k", "two")
        eventually(lambda: conn.cmd("GET", "k") == b"two", "the push drops the entry")
        big = os.urandom(1 << 20)
        equal(conn.cmd("SET", "big", big), b"OK")
        equal(conn.cmd("GET", "big"), big)
        replies = conn.pipeline(*[("SET", f"p{i}", os.urandom(8) * i) for i in range(2_000)])
        equal(set(replies), {b"OK"})
        many = conn.pipeline(*[("GET", f"p{i}") for i in range(2_000)])
        equal([len(value) for value in many], [8 * i for i in range(2_000)])
        equal(conn.cmd("MULTI"), b"OK")
        equal(conn.cmd("INCR", "n"), b"QUEUED")
        equal(conn.cmd("EXEC"), [1])
    links = [row for row in server.clients() if f":{server.tls_port}" in row["laddr"]]
    true(len(links) >= 3, f"the links are not on the TLS port: {server.clients()}")
    metrics = daemon.metrics()
    true(metrics.total("nearcached_tls_handshakes_total", side="upstream") >= 3, "handshakes counted")
    equal(metrics.total("nearcached_tls_failures_total"), 0)


@case
def a_server_nobody_trusts_is_not_spoken_to_and_the_error_says_why(env):
    certificates = _certificates(env)
    Certificates(env.folder, "stranger")
    server = _tls_redis(env, certificates)
    for tls, words, reason in [
            ({"ca_file": certificates.path("stranger")}, "upstream.tls.ca_file", "unknown_ca"),
            ({}, "upstream.tls.ca_file", "unknown_ca"),  # the system's CAs have not signed it
            ({"ca_file": certificates.path("ca"), "server_name": "redis.example"},
             "is not for redis.example", "name_mismatch")]:
        daemon = env.daemon(server, _upstream(server, **tls))
        true(words in _refused(daemon), f"{tls}: the error does not say {words!r}: {_refused(daemon)}")
        true(daemon.metrics().total("nearcached_tls_failures_total", side="upstream", reason=reason) > 0,
             f"{reason} is not counted")
        equal(daemon.metrics().total("nearcached_tls_handshakes_total"), 0)
    for tls in ({"verify": "none"}, {"ca_file": certificates.path("ca"), "verify": "ca",
                                     "server_name": "redis.example"}):
        daemon = env.daemon(server, _upstream(server, **tls))
        eventually(lambda: daemon.cmd("SET", "k", "v") == b"OK", f"{tls} connects")


@case
def an_expired_certificate_of_the_server_is_refused(env):
    certificates = _certificates(env, expired=True)
    server = _tls_redis(env, certificates)
    daemon = env.daemon(server, _upstream(server, certificates))
    true("has expired" in _refused(daemon), _refused(daemon))


@case
def a_plain_server_is_told_apart_from_a_broken_one(env):
    certificates = _certificates(env)
    server = env.redis()
    server.tls_port = server.port
    daemon = env.daemon(server, _upstream(server, certificates))
    error = _refused(daemon)
    true("TLS" in error and "connect_timeout" not in error, f"the error does not name TLS: {error}")


@case
def a_server_that_wants_a_certificate_gets_ours(env):
    certificates = _certificates(env)
    certificates.make("client")
    server = _tls_redis(env, certificates, clients="yes")
    daemon = env.daemon(server, _upstream(server, certificates))
    # The server says so only when our first requests are under way already, and its closing with
    # those unread may overtake the alert: then the attempt after that tells.
    eventually(lambda: "cert_file" in _refused(daemon), "the error names the remedy")
    daemon = env.daemon(server, _upstream(server, certificates, cert_file=certificates.path("client"),
                                          key_file=certificates.key("client")), fills=True)
    equal(daemon.cmd("SET", "k", "v"), b"OK")
    true(daemon.metrics().total("nearcached_tls_certificate_expiry_timestamp_seconds",
                              use="upstream") > time.time(), "the expiry is shown")


@case
def the_server_is_found_by_name_over_tls(env):
    certificates = _certificates(env, san="DNS:localhost")
    server = _tls_redis(env, certificates)
    daemon = env.daemon(server, _upstream(server, certificates, host="localhost"), fills=True)
    equal(daemon.cmd("SET", "k", "v"), b"OK")


@case
def check_config_opens_every_file_and_names_the_line(env):
    certificates = _certificates(env)
    certificates.make("other")
    certificates.make("old", expired=True)

    def check(cert, key):
        text = ("listeners:\n  - address: \"127.0.0.1:6380\"\n    tls:\n"
                f"      cert_file: {cert}\n      key_file: {key}\n")
        return env.run_daemon("--check-config", config_text=text)

    code, _, err = check(certificates.path("server"), certificates.key("server"))
    equal((code, err), (0, ""))
    code, _, err = check("/nowhere.pem", certificates.key("server"))
    equal(code, 2)
    true("given.yaml:4:" in err and "tls.cert_file" in err and "does not exist" in err, err)
    code, _, err = check(certificates.path("server"), certificates.key("other"))
    equal(code, 2)
    true("given.yaml:5:" in err and "is not the key of" in err, err)
    code, _, err = check(certificates.key("server"), certificates.key("server"))
    true(code == 2 and "holds no PEM certificate" in err, err)
    code, _, err = check(certificates.path("old"), certificates.key("old"))
    equal(code, 0)
    true("warning: " in err and "expired on" in err and "given.yaml:4:" in err, err)


# ---- listeners ------------------------------------------------------------------------------------


def _listening(env, server, certificates, name="front", config=None, **tls):
    """A daemon whose second listener speaks TLS, as `tls_port`."""
    port = free_port()
    certificates.make(name)
    listeners = [{"address": f"127.0.0.1:{free_port()}"},
                 {"address": f"127.0.0.1:{port}",
                  "tls": {"cert_file": certificates.path(name), "key_file": certificates.key(name), **tls}}]
    daemon = env.daemon(server, {"listeners": listeners, **(config or {})}, fills=True)
    daemon.tls_port = port
    return daemon


def _client(daemon, certificates, **options):
    return redis_py.Redis(host="127.0.0.1", port=daemon.tls_port, ssl=True,
                          ssl_ca_certs=certificates.path("ca"), socket_timeout=20 * SCALE, **options)


@case(timeout=120)
def an_idle_client_over_tls_costs_what_openssl_needs_for_it_and_no_buffers(env):
    certificates = _certificates(env)
    daemon = _listening(env, env.redis(), certificates)
    context = ssl.create_default_context(cafile=certificates.path("ca"))

    def connect():
        plain = socket.create_connection(("127.0.0.1", daemon.tls_port), timeout=20 * SCALE)
        client = context.wrap_socket(plain, server_hostname="127.0.0.1")
        # A client that has never spoken would not show its buffers.
        client.sendall(b"*1\r\n$4\r\nPING\r\n")
        equal(client.recv(100), b"+PONG\r\n")
        return client

    clients = [connect() for _ in range(100)]  # what the first ones cost is not theirs alone
    before = daemon.rss_bytes()
    clients += [connect() for _ in range(1000)]
    grown = (daemon.rss_bytes() - before) / 1000
    env.note(f"1000 idle clients over TLS: {grown:.0f} bytes of RSS per client")
    # Some 16 KiB, nearly all of it OpenSSL's own objects; with record buffers that stay it is 25 KiB.
    true(grown < (300_000 if sanitized() else 22_000), f"{grown:.0f} bytes of RSS per idle client")
    for client in clients:
        client.close()


@case
def clients_come_by_tls(env):
    certificates = _certificates(env)
    server = env.redis()
    daemon = _listening(env, server, certificates)
    client = _client(daemon, certificates)
    true(client.set("k", "v"), "SET over TLS")
    equal(client.get("k"), b"v")
    before = server.calls("get")
    equal([client.get("k") for _ in range(5)], [b"v"] * 5)
    equal(server.calls("get"), before)
    big = os.urandom(1 << 20)
    client.set("big", big)
    equal(client.get("big"), big)
    pipe = client.pipeline(transaction=False)
    for i in range(3_000):
        pipe.set(f"p{i}", b"x" * (i % 997))
        pipe.get(f"p{i}")
    replies = pipe.execute()
    equal([len(value) for value in replies[1::2]], [i % 997 for i in range(3_000)])
    listener = client.pubsub()
    listener.subscribe("news")
    equal(listener.get_message(timeout=10)["type"], "subscribe")
    server.cmd("PUBLISH", "news", "hello")
    eventually(lambda: (listener.get_message(timeout=1) or {}).get("data") == b"hello", "a message")
    done = subprocess.run(["redis-cli", "-p", str(daemon.tls_port), "--tls", "--cacert",
                           certificates.path("ca"), "GET", "k"], capture_output=True, text=True,
                          timeout=20 * SCALE, check=False)
    equal((done.returncode, done.stdout.strip()), (0, "v"))
    equal(daemon.metrics().total("nearcached_tls_failures_total"), 0)


@case
def who_does_not_speak_tls_is_closed_and_counted(env):
    certificates = _certificates(env)
    daemon = _listening(env, env.redis(), certificates, handshake_timeout="300ms")
    with socket.create_connection(("127.0.0.1", daemon.tls_port)) as plain:
        plain.settimeout(10 * SCALE)
        plain.sendall(b"*1\r\n$4\r\nPING\r\n")
        said = b""
        while piece := plain.recv(4096):
            said += piece
        true(said.startswith(b"-ERR") and b"rediss://" in said, f"no remedy in {said!r}")
    with socket.create_connection(("127.0.0.1", daemon.tls_port)) as silent:
        silent.settimeout(10 * SCALE)
        equal(silent.recv(1), b"")
    failures = daemon.metrics()
    equal(failures.total("nearcached_tls_failures_total", side="listener", reason="not_tls"), 1)
    equal(failures.total("nearcached_tls_failures_total", side="listener", reason="timeout"), 1)


@case
def wait_finds_a_listener_that_speaks_tls_only(env):
    certificates = _certificates(env)
    daemon = _listening(env, env.redis(), certificates)
    code, _, err = env.run_daemon("wait", "--timeout", "5s", "--address",
                                  f"127.0.0.1:{daemon.tls_port}")
    equal((code, err), (0, ""))


@case
def required_certificates_keep_everybody_else_out(env):
    certificates = _certificates(env)
    certificates.make("app")
    daemon = _listening(env, env.redis(), certificates, client_ca_file=certificates.path("ca"),
                        client_auth="required")
    try:
        _client(daemon, certificates).ping()
        raise AssertionError("a client without a certificate was served")
    except redis_py.exceptions.ConnectionError:
        pass
    true(daemon.metrics().total("nearcached_tls_failures_total", side="listener",
                                reason="no_client_certificate") >= 1, "counted")
    client = _client(daemon, certificates, ssl_certfile=certificates.path("app"),
                     ssl_keyfile=certificates.key("app"))
    true(client.ping(), "a client with a certificate is served")


@case(timeout=120)
def certificates_are_renewed_under_load_without_a_failed_request(env):
    certificates = _certificates(env)
    certificates.make("app")
    server = _tls_redis(env, certificates, clients="yes")
    upstream = _upstream(server, certificates, cert_file=certificates.path("app"),
                         key_file=certificates.key("app"))
    daemon = _listening(env, server, certificates, config=upstream)
    done, problems, served, dialled = threading.Event(), [], [0], [0]

    def stay():
        client = _client(daemon, certificates)
        count = 0
        while not done.is_set():
            count += 1
            client.set("stay", count)
            if client.get("stay") != b"%d" % count:
                raise AssertionError("a wrong value")
            served[0] += 2

    def come_and_go():
        while not done.is_set():
            client = _client(daemon, certificates)
            client.set("go", "x")
            client.close()
            dialled[0] += 1

    def guarded(work):
        try:
            work()
        except BaseException as error:
            problems.append(repr(error))

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (stay, come_and_go)]
    for thread in threads:
        thread.start()
    serials = set()
    for round_ in range(3):
        certificates.make("front")
        certificates.make("app")
        if round_ == 1:
            daemon.signal(1)  # SIGHUP does it at once
        wanted = 2 * (round_ + 1)
        eventually(lambda: daemon.metrics().total("nearcached_tls_reloads_total", result="ok") >= wanted,
                   "both are taken over", timeout=20)
        pem = ssl.get_server_certificate(("127.0.0.1", daemon.tls_port))
        serials.add(pem)
        before = dialled[0]
        eventually(lambda: dialled[0] > before + 3, "new clients connect with the new one")
    equal(len(serials), 3)
    # A broken file is told, and changes nothing.
    with open(certificates.path("front"), "w") as out:
        out.write("oops")
    eventually(lambda: daemon.metrics().total("nearcached_tls_reloads_total", side="listener",
                                            result="failed") >= 1, "the broken file is noticed")
    equal(ssl.get_server_certificate(("127.0.0.1", daemon.tls_port)), pem)
    done.set()
    for thread in threads:
        thread.join()
    equal(problems, [])
    env.note(f"{served[0]} requests and {dialled[0]} connections during 3 renewals, none failed")


def _tls_lines(certificates, name="server", everywhere=False):
    """What makes a server or a sentinel speak TLS; `everywhere`: with each other as well."""
    return [f"tls-cert-file {certificates.path(name)}", f"tls-key-file {certificates.key(name)}",
            f"tls-ca-cert-file {certificates.path('ca')}", "tls-auth-clients no",
            f"tls-replication {'yes' if everywhere else 'no'}"]


@case
def sentinels_and_nodes_over_tls_through_a_failover(env):
    certificates = _certificates(env)
    words = [word for line in _tls_lines(certificates, everywhere=True)
             for word in ("--" + line).split(" ")]
    nodes = []
    for _ in range(2):
        port = free_port()
        behind = ["--replicaof", f"127.0.0.1 {nodes[0].tls_port}"] if nodes else []
        nodes.append(env.redis("--tls-port", str(port), "--repl-diskless-sync-delay", "0", *words,
                               *behind))
        nodes[-1].tls_port = port
    eventually(lambda: nodes[1].info("master_link_status") == "up", "the replica is in step",
               timeout=30)
    sentinel = env.adopt(Sentinel(env.folder, "sentinel", nodes[0].tls_port, 1, 1000,
                                  _tls_lines(certificates, everywhere=True))).start()
    eventually(lambda: sentinel.master_fields()["num-slaves"] == "1", "the replica is known",
               timeout=30)
    daemon = env.daemon(nodes[0], {"upstream": {
        "url": f"rediss-sentinel://127.0.0.1:{sentinel.tls_port}#{MASTER}",
        "tls": {"ca_file": certificates.path("ca")}}})
    with daemon.connect() as conn:
        eventually(lambda: conn.cmd("SET", "k", "one") == b"OK", "the primary is found")
        # It knows of the replica before it has asked it whether it may be promoted.
        eventually(lambda: sentinel.cmd("SENTINEL", "FAILOVER", MASTER) == b"OK",
                   "the replica may be promoted", timeout=30, step=0.2)
        eventually(lambda: role_of(nodes[1]) == "master" and conn.cmd("SET", "k", "two") == b"OK"
                   and nodes[1].cmd("GET", "k") == b"two", "the new primary is found", timeout=30)
        equal(conn.cmd("GET", "k"), b"two")


@case
def sentinels_may_have_certificates_of_their_own(env):
    certificates = _certificates(env)
    other = Certificates(env.folder, ca="other")
    server = env.redis()
    sentinel = env.adopt(Sentinel(env.folder, "sentinel", server.port, 1, 1000,
                                  _tls_lines(certificates))).start()

    def settings(**tls):
        return {"upstream": {"url": f"redis-sentinel://127.0.0.1:{sentinel.tls_port}#{MASTER}",
                             "sentinel": {"tls": {"mode": "own", **tls}}}}

    daemon = env.daemon(server, settings(ca_file=certificates.path("ca")), fills=True)
    with daemon.connect() as conn:
        equal(conn.cmd("SET", "k", "one"), b"OK")
        equal(conn.cmd("GET", "k"), b"one")
    # A CA that did not sign it: refused, and the message names the right setting.
    daemon = env.daemon(server, settings(ca_file=other.path("other")))
    eventually(lambda: "upstream.sentinel.tls.ca_file" in daemon.log(), "the log names the setting")
    true("no node is known to be the primary" in _refused(daemon), "nobody is believed")
