"""The command line and the configuration file: what is wrong is said with file and line."""

import os
import re

from harness.processes import free_port
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

_GOOD = """\
listeners:
  - address: 127.0.0.1:16379
upstream:
  url: redis://127.0.0.1:6379
"""


def _refused(env, text, line, *words):
    """The file is refused with a non-zero exit, naming the file, `line` and each of `words`."""
    code, out, err = env.run_daemon("--check-config", config_text=text)
    said = out + err
    true(code != 0, f"accepted: {text[:200]!r}; it said {said!r}")
    true(code > 0, f"ended by signal {-code}: {said}")
    if line is not None:
        true(re.search(rf"given\.yaml:{line}\b", said), f"no given.yaml:{line} in {said!r}")
    for word in words:
        true(word in said, f"{word!r} is not in {said!r}")
    return said


@case
def version_names_the_program_and_a_number(env):
    code, out, _ = env.run_daemon("--version")
    equal(code, 0)
    true(re.search(r"nearcached \d+\.\d+\.\d+", out), out)


@case
def help_names_every_option(env):
    code, out, _ = env.run_daemon("--help")
    equal(code, 0)
    for option in ("--config", "--listen", "--upstream", "--metrics", "--l1-bytes",
                   "--check-config", "--print-config", "--version", "--help", "wait"):
        true(option in out, f"{option} is not in the help:\n{out}")


@case
def an_unknown_option_is_refused_by_name(env):
    code, _, err = env.run_daemon("--no-such-option")
    true(code > 0, f"exit {code}")
    true("--no-such-option" in err, err)


@case
def an_option_without_its_value_is_refused(env):
    for option in ("--config", "--listen", "--upstream", "--metrics", "--l1-bytes"):
        code, _, err = env.run_daemon(option)
        true(code > 0 and option in err, f"{option}: exit {code}, {err!r}")


@case
def a_missing_config_file_is_named(env):
    code, _, err = env.run_daemon("--config", "/nonexistent/nearcached.yaml")
    true(code > 0, f"exit {code}")
    true("/nonexistent/nearcached.yaml" in err, err)


@case
def a_good_config_passes_check_config_and_nothing_is_started(env):
    code, out, err = env.run_daemon("--check-config", config_text=_GOOD)
    equal(code, 0, out + err)


@case
def print_config_shows_what_is_in_effect_wherever_it_came_from_and_no_secret(env):
    code, out, err = env.run_daemon("--print-config", "--l1-bytes", "32mb", config_text=_GOOD,
                                    env={"NEARCACHED_L1_TTL": "7s",
                                         "NEARCACHED_UPSTREAM_PASSWORD": "hunter2"})
    equal(code, 0, out + err)
    lines = out.splitlines()
    for line in ('listeners[0].address: "127.0.0.1:16379"', "l1.bytes: 32mb", "l1.ttl: 7s",
                 'upstream.password: "******"', "tracking.mode: auto"):
        true(line in lines, f"no {line!r} in {out}")
    true("hunter2" not in out + err, out + err)
    code, out, err = env.run_daemon("--print-config", config_text=_GOOD, env={"NEARCACHED_L1_TTL": "x"})
    true(code > 0, "accepted")
    equal(out, "", "settings of a configuration that is wrong")


@case
def the_shipped_example_config_is_valid(env):
    path = os.path.join(env.root, "config", "nearcached.yaml")
    code, out, err = env.run_daemon("--check-config", "--config", path)
    equal(code, 0, out + err)


@case
def an_unknown_key_is_refused_with_its_line(env):
    _refused(env, _GOOD + "l1:\n  enabeld: true\n", 6, "enabeld")


@case
def an_unknown_section_is_refused_with_its_line(env):
    _refused(env, _GOOD + "cache:\n  enabled: true\n", 5, "cache")


@case
def a_wrong_type_is_refused_with_its_line(env):
    _refused(env, _GOOD + "l1:\n  enabled: [1, 2]\n", 6, "enabled")
    _refused(env, _GOOD + "l1:\n  ttl: {a: b}\n", 6, "ttl")
    _refused(env, _GOOD + "limits:\n  clients_max: many\n", 6, "clients_max")
    _refused(env, _GOOD + "rules: 7\n", 5, "rules")


@case
def a_value_out_of_range_is_refused_with_what_would_be_right(env):
    said = _refused(env, _GOOD + "limits:\n  clients_max: -5\n", 6, "clients_max")
    true(re.search(r"\d", said.split("clients_max")[-1]), f"no range is named: {said!r}")
    _refused(env, _GOOD + "l1:\n  negative_share: 7\n", 6, "negative_share")


@case
def two_rules_with_one_prefix_are_refused(env):
    _refused(env, _GOOD + "rules:\n  - prefix: \"user:\"\n    ttl: 5s\n"
             "  - prefix: \"user:\"\n    ttl: 6s\n", 8, "user:")


@case
def a_bad_unit_is_refused_with_its_line(env):
    _refused(env, _GOOD + "l1:\n  ttl: 5 parsecs\n", 6, "ttl")
    _refused(env, _GOOD + "l1:\n  bytes: 5 elephants\n", 6, "bytes")


@case
def broken_yaml_is_refused_with_its_line(env):
    _refused(env, "listeners:\n  - address: 127.0.0.1:1\n upstream: [\n", 3)


@case
def a_duplicate_key_is_refused(env):
    _refused(env, _GOOD + "upstream:\n  url: redis://127.0.0.1:6380\n", 5, "upstream")


@case
def a_config_without_an_upstream_is_refused_or_uses_the_documented_default(env):
    code, out, err = env.run_daemon("--check-config", config_text="")
    true(code >= 0, f"an empty file ended it by signal {-code}")
    true(code == 0 or out + err, "an empty file is refused without a word")


@case
def binary_rubbish_as_config_is_refused(env):
    _refused(env, bytes(range(256)) * 64, None)
    _refused(env, b"\x00\x01\x02\x03", None)


@case
def a_huge_config_is_refused_without_being_read_into_memory(env):
    text = b"# padding\n" * (8 << 20) + _GOOD.encode()
    code, out, err = env.run_daemon("--check-config", config_text=text, timeout=60)
    true(code > 0, f"exit {code} for 80 MB of configuration: {out + err}")


@case
def a_recursive_or_exploding_config_is_refused_quickly(env):
    _refused(env, "a: &a\n  - *a\n", None)
    bomb = "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9 if i else ['lol'] * 9)}]\n"
                   for i in range(10))
    _refused(env, bomb, None)
    _refused(env, "[" * 100_000, None)


@case
def a_directory_as_config_is_refused(env):
    code, _, err = env.run_daemon("--config", env.folder)
    true(code > 0 and err, f"exit {code}, {err!r}")


@case
def a_listener_beyond_loopback_without_authentication_is_refused(env):
    text = "listeners:\n  - address: 0.0.0.0:16379\nupstream:\n  url: redis://127.0.0.1:6379\n"
    said = _refused(env, text, 2)
    true("allow_unauthenticated_remote" in said or "password" in said, said)
    for address in ("[::]:16379", "10.1.2.3:16379"):
        code, out, err = env.run_daemon("--check-config", "--listen", address,
                                        "--upstream", "redis://127.0.0.1:6379")
        true(code > 0, f"{address} was accepted: {out + err}")


@case
def a_listener_beyond_loopback_is_accepted_when_the_config_says_so_in_as_many_words(env):
    for extra in ("allow_unauthenticated_remote: true", "password: correct-horse"):
        text = (f"listeners:\n  - address: 0.0.0.0:16379\n    {extra}\n"
                "upstream:\n  url: redis://127.0.0.1:6379\n")
        code, out, err = env.run_daemon("--check-config", config_text=text)
        equal(code, 0, out + err)


@case
def a_malformed_address_or_url_is_refused(env):
    for argv in (["--listen", "127.0.0.1"], ["--listen", "127.0.0.1:99999"],
                 ["--listen", "nonsense"], ["--upstream", "http://127.0.0.1:6379"],
                 ["--upstream", "redis://"], ["--metrics", "nowhere"],
                 ["--l1-bytes", "many"], ["--l1-bytes", "-1"]):
        whole = ["--check-config", *argv]
        if argv[0] != "--upstream":
            whole += ["--upstream", "redis://127.0.0.1:6379"]
        code, out, err = env.run_daemon(*whole)
        true(code > 0, f"{argv} was accepted: {out + err}")


@case
def a_metrics_address_that_is_taken_is_an_error_that_names_it(env):
    _, daemon = env.stack()
    port = daemon.metrics_port
    code, out, err = env.run_daemon("--listen", f"127.0.0.1:{free_port()}",
                                    "--metrics", f"127.0.0.1:{port}")
    equal(code, 1)
    true(f"metrics on 127.0.0.1:{port}: " in err and "already in use" in err, out + err)


@case
def shortcuts_alone_are_enough(env):
    redis = env.redis()
    tcp, metrics = free_port(), free_port()
    unix = f"{env.folder}/short.sock"
    daemon = env.daemon(redis, {"listeners": [{"address": f"127.0.0.1:{tcp}"},
                                              {"address": f"unix:{unix}"}],
                                "metrics": {"address": f"127.0.0.1:{metrics}"}},
                        argv=["--listen", f"127.0.0.1:{tcp}", "--listen", f"unix:{unix}",
                              "--upstream", redis.url, "--metrics", f"127.0.0.1:{metrics}",
                              "--l1-bytes", "8mb"])
    daemon.wait_ready()
    with daemon.connect(unix=True) as conn:
        equal(conn.cmd("SET", "k", "v"), b"OK")
    equal(daemon.cmd("GET", "k"), b"v")
    daemon.wait_filling(redis)
    equal(daemon.probe("/metrics"), 200)


@case
def the_database_of_the_upstream_url_is_used(env):
    redis = env.redis()
    daemon = env.daemon(redis, {"upstream": {"url": f"redis://127.0.0.1:{redis.port}/3"}})
    daemon.wait_ready()
    equal(daemon.cmd("SET", "k", "in three"), b"OK")
    with redis.connect() as conn:
        conn.cmd("SELECT", 3)
        equal(conn.cmd("GET", "k"), b"in three")
        conn.cmd("SELECT", 0)
        equal(conn.cmd("GET", "k"), None)


@case
def the_environment_overrides_the_file(env):
    redis = env.redis()
    daemon = env.daemon(redis, {"upstream": {"url": "redis://127.0.0.1:1"}},
                        env={"NEARCACHED_UPSTREAM_URL": redis.url})
    daemon.wait_ready()
    equal(daemon.cmd("SET", "k", "v"), b"OK")


@case
def a_bad_value_in_the_environment_names_the_variable(env):
    code, out, err = env.run_daemon("--check-config", config_text=_GOOD,
                                    env={"NEARCACHED_L1_TTL": "soon"})
    true(code > 0, "accepted")
    true("NEARCACHED_L1_TTL" in out + err, out + err)


@case
def an_unknown_nearcached_variable_is_reported(env):
    code, out, err = env.run_daemon("--check-config", config_text=_GOOD,
                                    env={"NEARCACHED_L1_TLL": "5s"})
    true("NEARCACHED_L1_TLL" in out + err, f"exit {code}: {out + err}")


@case
def the_password_may_come_from_a_file_and_shows_nowhere(env):
    secret = "hunter2-secret-from-file"
    redis = env.redis("--requirepass", secret, start=False)
    redis.password = secret
    redis.start()
    path = os.path.join(env.folder, "secret")
    with open(path, "w") as out:
        out.write(secret + "\n")
    daemon = env.daemon(redis, env={"NEARCACHED_UPSTREAM_PASSWORD_FILE": path})
    daemon.wait_ready()
    equal(daemon.cmd("SET", "k", "v"), b"OK")
    equal(redis.cmd("GET", "k"), b"v")
    _shows_nowhere(daemon, secret)


@case
def the_password_of_the_url_shows_nowhere(env):
    secret = "hunter2-secret-in-url"
    redis = env.redis("--requirepass", secret, start=False)
    redis.password = secret
    redis.start()
    daemon = env.daemon(redis, {"log": {"level": "debug"}, "upstream": {
        "url": f"redis://:{secret}@127.0.0.1:{redis.port}"}})
    daemon.wait_ready()
    equal(daemon.cmd("SET", "k", "v"), b"OK")
    _shows_nowhere(daemon, secret)


@case
def the_password_of_a_listener_shows_nowhere(env):
    secret = "hunter2-listener"
    redis = env.redis()
    tcp = free_port()
    daemon = env.daemon(redis, {"log": {"level": "debug"}, "listeners": [
        {"address": f"127.0.0.1:{tcp}", "password": secret}]})
    with daemon.connect() as conn:
        reply = conn.cmd("GET", "k")
        true(isinstance(reply, RespError) and reply.text.startswith("NOAUTH"), reply)
        reply = conn.cmd("AUTH", "wrong")
        true(isinstance(reply, RespError) and reply.text.startswith("WRONGPASS"), reply)
        reply = conn.cmd("GET", "k")
        true(isinstance(reply, RespError) and reply.text.startswith("NOAUTH"), reply)
        equal(conn.cmd("AUTH", secret), b"OK")
        eventually(lambda: conn.cmd("SET", "k", "v") == b"OK", "it forwards")
        _shows_nowhere(daemon, secret, conn)
    with daemon.connect() as conn:
        hello = conn.cmd("HELLO", 3, "AUTH", "default", secret)
        true(isinstance(hello, dict) and hello[b"proto"] == 3, hello)
        equal(conn.cmd("PING"), b"PONG")


def _shows_nowhere(daemon, secret, conn=None):
    config = conn.cmd("NEARCACHE", "CONFIG") if conn else daemon.cmd("NEARCACHE", "CONFIG")
    stats = conn.cmd("NEARCACHE", "STATS") if conn else daemon.cmd("NEARCACHE", "STATS")
    true(not isinstance(config, RespError), f"NEARCACHE CONFIG: {config}")
    for place, text in (("NEARCACHE CONFIG", repr(config)), ("NEARCACHE STATS", repr(stats)),
                        ("/metrics", daemon.metrics().text), ("the log", daemon.log())):
        true(secret not in text, f"the secret is in {place}")


@case
def a_wrong_upstream_password_is_said_and_answered_as_an_error(env):
    redis = env.redis("--requirepass", "right", start=False)
    redis.password = "right"
    redis.start()
    daemon = env.daemon(redis, {"upstream": {"password": "wrong-but-secret"}})

    def refused():
        reply = daemon.cmd("GET", "k")
        return isinstance(reply, RespError)

    eventually(refused, "a read is answered with an error")
    true("wrong-but-secret" not in daemon.log(), "the password is in the log")
    redis.cmd("CONFIG", "SET", "requirepass", "wrong-but-secret")
    redis.password = "wrong-but-secret"
    eventually(lambda: daemon.cmd("SET", "k", "v") == b"OK", "it recovers by itself")


@case
def an_upstream_user_and_password_are_used(env):
    redis = env.redis()
    redis.cmd("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all")
    daemon = env.daemon(redis, {"upstream": {"url": f"redis://app:pw@127.0.0.1:{redis.port}"}})
    daemon.wait_ready()
    equal(daemon.cmd("SET", "k", "v"), b"OK")
    true(any(row["user"] == "app" for row in redis.clients()), redis.clients())
    true(all(row["user"] == "app" for row in redis.clients()), "a link runs as another user")


@case
def an_address_in_use_ends_the_start_with_a_clear_line(env):
    redis = env.redis()
    code, _, err = env.run_daemon("--listen", f"127.0.0.1:{redis.port}", "--upstream", redis.url)
    true(code > 0, f"exit {code}")
    true(str(redis.port) in err, err)


@case
def wait_returns_zero_once_the_daemon_is_ready(env):
    redis, daemon = env.stack()
    code, out, err = env.run_daemon("wait", "--config", daemon.config_path, "--timeout", "20s")
    equal(code, 0, out + err)


@case
def wait_gives_up_with_a_non_zero_exit(env):
    code, out, err = env.run_daemon("wait", "--metrics", f"127.0.0.1:{free_port()}",
                                    "--timeout", "200ms")
    true(code > 0, f"exit {code}: {out + err}")
