"""Unmodified clients in further languages: each program in apps/ is a round trip with assertions.

`scripts/deps clients` installs them; a client that is not there is a skip. The two halves of each case
are TCP and a unix socket.
"""

import os
import shutil
import subprocess

from harness.registry import Skip, case
from harness.wait import SCALE, equal

from .clients import run_node


def run_app(env, daemon, argv, sockets=("tcp", "unix"), extra=None):
    """Runs a program of apps/ on its own; it must say "ok"."""
    for kind in sockets:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=60 * SCALE, cwd=env.folder,
            env={**os.environ, "PORT": str(daemon.port), "SOCKET": daemon.unix if kind == "unix" else "",
                 **(extra or {})})
        equal((done.returncode, done.stdout.strip()), (0, "ok"), f"{kind}: {done.stdout}{done.stderr}")


def app(env, name):
    return os.path.join(env.root, "tests/e2e/apps", name)


def need_program(name):
    if not shutil.which(name):
        raise Skip(f"{name} is not installed: scripts/deps clients")


def _need(name, *probe):
    """Skips unless the program is there and the probe, which loads the client, succeeds."""
    need_program(name)
    done = subprocess.run([name, *probe], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skip(f"this {name} has no such client: scripts/deps clients")


@case(direct=True, full=True)
def php_redis(env):
    _need("php", "-r", "exit(extension_loaded('redis') ? 0 : 1);")
    run_app(env, env.daemon(env.redis(), fills=True), ["php", app(env, "php_redis.php")])


@case(direct=True, full=True)
def predis(env):
    _need("php", "-r", "exit(@include('Predis/Autoloader.php') ? 0 : 1);")
    run_app(env, env.daemon(env.redis(), fills=True), ["php", app(env, "predis.php")])


@case(direct=True, full=True)
def ruby_redis(env):
    _need("ruby", "-e", "require 'redis'")
    run_app(env, env.daemon(env.redis(), fills=True), ["ruby", app(env, "ruby_redis.rb")])


@case(direct=True, full=True)
def perl_redis(env):
    _need("perl", "-MRedis", "-e", "1")
    run_app(env, env.daemon(env.redis(), fills=True), ["perl", app(env, "perl_redis.pl")])


@case(direct=True, full=True)
def lua_redis(env):
    # Its pipelines are broken under Lua 5.3 (table.insert became strict), whatever the server.
    _need("lua5.1", "-e", "require 'redis'")
    run_app(env, env.daemon(env.redis(), fills=True), ["lua5.1", app(env, "lua_redis.lua")],
            sockets=("tcp",))  # it knows TCP only in this form


def _go(env, folder, library):
    need_program("go")
    if not os.path.isdir(os.path.join("/usr/share/gocode/src", library)):
        raise Skip(f"{library} is not installed: scripts/deps clients")
    binary = os.path.join(env.folder, folder)
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
                         "nearcached-e2e", "go")
    # As Debian's packages mean it: no modules, no network, the libraries' own sources.
    done = subprocess.run(["go", "build", "-o", binary, "main.go"], cwd=app(env, folder),
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode",
                               "GOCACHE": cache, "GOFLAGS": "-p=1", "CGO_ENABLED": "0"})
    equal(done.returncode, 0, done.stderr)
    return binary


@case(direct=True, full=True, timeout=240)
def go_with_redigo(env):
    binary = _go(env, "redigo", "github.com/gomodule/redigo")
    run_app(env, env.daemon(env.redis(), fills=True), [binary])


@case(direct=True, full=True, timeout=240)
def go_with_go_redis(env):
    binary = _go(env, "go_redis", "gopkg.in/redis.v5")
    run_app(env, env.daemon(env.redis(), fills=True), [binary])


def _hiredis(env, compiler, *flags):
    need_program(compiler)
    need_program("pkg-config")
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "hiredis"], capture_output=True, text=True,
                           check=False)
    if found.returncode:
        raise Skip("hiredis is not installed")
    binary = os.path.join(env.folder, "client")
    done = subprocess.run([compiler, *flags, app(env, "hiredis_client.c"), "-x", "none", "-o", binary,
                           *found.stdout.split()], capture_output=True, text=True, check=False)
    equal(done.returncode, 0, done.stderr)
    for resp in ("2", "3"):
        daemon = env.daemon(env.redis(), fills=True)
        run_app(env, daemon, [binary], extra={"RESP": resp})


@case(direct=True, full=True)
def hiredis_in_c_over_both_protocols(env):
    _hiredis(env, "cc")


@case(direct=True, full=True)
def hiredis_in_cxx_over_both_protocols(env):
    _hiredis(env, "c++", "-x", "c++")


@case(direct=True, full=True, timeout=150)
def node_redis_with_its_own_client_side_cache(env):
    run_node(env, env.daemon(env.redis(), fills=True), "node_redis_cache.mjs")
