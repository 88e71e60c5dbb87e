"""What a case is given: it starts servers, and everything it started is gone when it ends."""

import copy
import os
import re
import shutil
import signal
import subprocess
import tempfile

from .cluster import RedisCluster
from .fake import FakeUpstream
from .processes import Daemon, Direct, RedisServer, clean_environment, free_port
from .registry import Skip
from .relay import PushRelay
from .wait import SCALE

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BINARY = os.path.abspath(os.environ.get("NEARCACHED_BIN", os.path.join(_ROOT, "build/nearcached")))
_SANITIZER_REPORT = re.compile(
    r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|CHECK failed)")


def merged(base, extra):
    """`extra` over `base`: dictionaries are merged, anything else replaces."""
    out = copy.deepcopy(base)
    for key, value in (extra or {}).items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = copy.deepcopy(value)
    return out


def sanitized():
    """Whether the binary is an instrumented build: slower, and several times as large in memory."""
    with open(BINARY, "rb") as binary:
        data = binary.read()
    return b"__asan_init" in data or b"__tsan_init" in data


class Env:
    def __init__(self, direct=False):
        self.direct = direct
        self.root = _ROOT
        self.binary = BINARY
        self.folder = tempfile.mkdtemp(prefix="nc-e2e-")
        self.notes = []
        self._servers = []
        self._fakes = []

    def note(self, text):
        """A figure worth printing beside the result."""
        self.notes.append(text)

    def redis(self, *args, start=True):
        name = f"redis{sum(isinstance(s, RedisServer) for s in self._servers) or ''}"
        server = RedisServer(self.folder, name, args)
        self._servers.append(server)
        return server.start() if start else server

    def cluster(self, primaries=3, replicas=1, node_timeout_ms=1000, certificates=None):
        """`certificates`: the nodes speak TLS as well, with that of "server"."""
        cluster = RedisCluster(self.folder, primaries, replicas, node_timeout_ms, certificates)
        self._servers += cluster.nodes
        return cluster.start()

    def adopt(self, server):
        """A server made elsewhere; it is gone when the case ends."""
        self._servers.append(server)
        return server

    def fake(self, script=None):
        fake = FakeUpstream(script)
        self._fakes.append(fake)
        return fake

    def relay(self, upstream):
        """Stands between a daemon and `upstream`, and can hold invalidations back."""
        relay = PushRelay(upstream)
        self._fakes.append(relay)
        return relay

    def config(self, upstream, extra=None):
        """A whole configuration in front of `upstream` (anything with a `url`), TCP and unix."""
        name = f"nc{len(self._servers)}"
        base = {
            "listeners": [{"address": f"127.0.0.1:{free_port()}"},
                          {"address": f"unix:{self.folder}/{name}.sock"}],
            "upstream": {"url": upstream.url, "reconnect_delay_min": "20ms",
                         "reconnect_delay_max": "200ms"},
            # Long TTLs: what a case sees expire or change is then due to what the case did.
            "l1": {"ttl": "60s", "negative_ttl": "60s"},
            "metrics": {"address": f"127.0.0.1:{free_port()}"},
        }
        return merged(base, extra)

    def daemon(self, upstream=None, config=None, argv=None, env=None, wait=True, fills=False):
        """nearcached in front of `upstream`; `fills` waits until reads come from L1."""
        if self.direct:
            return Direct(upstream)
        self.need_binary()
        whole = self.config(upstream, config) if upstream is not None else config
        daemon = Daemon(self.folder, self.binary, whole, argv, env, f"nearcached{len(self._servers)}")
        self._servers.append(daemon)
        daemon.start(wait)
        if fills:
            daemon.wait_filling(upstream)
        return daemon

    def stack(self, config=None, *redis_args, fills=True):
        """A redis-server and a daemon in front of it that is already filling L1."""
        redis = self.redis(*redis_args)
        return redis, self.daemon(redis, config, fills=fills)

    def need_binary(self):
        if not os.access(self.binary, os.X_OK):
            raise RuntimeError(f"no daemon at {self.binary}; set NEARCACHED_BIN")

    def run_daemon(self, *argv, env=None, timeout=20.0, config_text=None):
        """Runs the binary to its end: (exit code, stdout, stderr). `config_text` becomes --config."""
        self.need_binary()
        argv = list(argv)
        if config_text is not None:
            path = os.path.join(self.folder, "given.yaml")
            with open(path, "wb") as out:
                out.write(config_text if isinstance(config_text, bytes) else config_text.encode())
            argv += ["--config", path]
        done = subprocess.run([self.binary, *argv], capture_output=True, text=True,
                              errors="replace", timeout=timeout * SCALE, stdin=subprocess.DEVNULL,
                              env=clean_environment(env), cwd=self.folder)
        return done.returncode, done.stdout, done.stderr

    def need(self, condition, reason):
        if not condition:
            raise Skip(reason)

    def close(self, failed):
        """Stops everything; a daemon must still be alive, end cleanly, and have reported nothing."""
        problems = []
        for server in reversed(self._servers):
            if isinstance(server, Daemon) and not failed:
                problems += self._close_daemon(server)
            elif server.process is not None:
                server.signal(signal.SIGCONT)
                server.kill()
        for fake in self._fakes:
            fake.close()
        logs = [(server.name, server.log()) for server in self._servers
                if os.path.exists(server.log_path)] if failed or problems else []
        shutil.rmtree(self.folder, ignore_errors=True)
        return problems, logs

    def _close_daemon(self, daemon):
        problems = []
        if daemon.process is None:
            return problems
        code = daemon.process.poll()
        if code is None:
            daemon.signal(signal.SIGINT)
            try:
                code = daemon.wait_exit(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                return [f"{daemon.name} did not end on SIGINT"]
        elif not daemon.may_be_gone:
            problems.append(f"{daemon.name} was gone before the case ended, exit code {code}")
        if code != daemon.expected_exit:
            problems.append(f"{daemon.name} ended with {code}, not {daemon.expected_exit}")
        if _SANITIZER_REPORT.search(daemon.log()):
            problems.append(f"{daemon.name} wrote a sanitizer report or a failed CHECK")
        return problems
