"""Servers under test: started on free ports in private folders, never outliving their case."""

import ctypes
import fcntl
import os
import random
import re
import signal
import socket
import subprocess

from .metrics import Exposition, http_get
from .resp import Conn, RespError
from .wait import SCALE, eventually

_LIBC = ctypes.CDLL("libc.so.6", use_errno=True)
_PR_SET_PDEATHSIG = 1
_PORT_LOCKS = "/tmp/nearcached-e2e-ports"
_held = []


def clean_environment(extra=None):
    """The environment for a child: ours without what would configure the daemon, and `extra`."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("NEARCACHED_")}
    return {**ours, **(extra or {})}


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """A port below the ephemeral range that no other case holds, kept until this process ends.

    Asking the kernel for port 0 and closing again would race with every outgoing connection.
    """
    os.makedirs(_PORT_LOCKS, exist_ok=True)
    while True:
        port = random.randrange(15000, 32000)
        lock = open(f"{_PORT_LOCKS}/{port}", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return port


class Server:
    """A child process with a log file."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.log_path = os.path.join(folder, f"{name}.log")
        self.process = None

    def spawn(self, argv, env=None):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=clean_environment(env), preexec_fn=_die_with_parent)

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait_exit(self, timeout=30.0):
        return self.process.wait(timeout * SCALE)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024


    def forget_peak(self):
        """From here on peak_rss_bytes counts anew."""
        with open(f"/proc/{self.pid}/clear_refs", "w") as out:
            out.write("5")

    def peak_rss_bytes(self):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


class RedisServer(Server):
    def __init__(self, folder, name="redis", args=()):
        super().__init__(name, folder)
        self.port = free_port()
        self.unix = os.path.join(folder, f"{name}.sock")
        self.args = list(args)
        self.password = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.spawn(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
                    "--unixsocket", self.unix, "--save", "", "--appendonly", "no",
                    "--enable-debug-command", "yes", "--daemonize", "no", "--dir", self.folder,
                    *self.args])
        eventually(self._answers, f"{self.name} answers PING")
        return self

    def _answers(self):
        if not self.alive():
            raise RuntimeError(f"{self.name} ended at start:\n{self.log()}")
        with Conn(self.port) as conn:
            reply = conn.cmd("PING")
            return reply == b"PONG" or (isinstance(reply, RespError) and "AUTH" in reply.text)

    def connect(self, proto=None):
        conn = Conn(self.port, proto=proto)
        if self.password:
            conn.cmd("AUTH", self.password)
        return conn

    def cmd(self, *args):
        with self.connect() as conn:
            return conn.cmd(*args)

    def calls(self, *commands):
        """How often these commands have run, by INFO commandstats."""
        text = self.cmd("INFO", "commandstats").decode()
        total = 0
        for command in commands:
            match = re.search(rf"^cmdstat_{re.escape(command)}:calls=(\d+)", text, re.M)
            total += int(match.group(1)) if match else 0
        return total

    def info(self, field, section="everything"):
        match = re.search(rf"^{field}:(.*?)\r?$", self.cmd("INFO", section).decode(), re.M)
        return match.group(1) if match else None

    def clients(self):
        """CLIENT LIST as dictionaries, without this very connection."""
        with self.connect() as conn:
            mine = conn.cmd("CLIENT", "ID")
            lines = conn.cmd("CLIENT", "LIST").decode().split("\n")
        rows = [dict(f.split("=", 1) for f in line.split(" ")) for line in lines if line]
        return [row for row in rows if int(row["id"]) != mine]


class Daemon(Server):
    """nearcached itself. `address` is where clients connect, `unix` its socket."""

    def __init__(self, folder, binary, config, argv=None, env=None, name="nearcached"):
        super().__init__(name, folder)
        self.binary = binary
        self.port = config["listeners"][0]["address"].rpartition(":")[2] if config else None
        self.port = int(self.port) if self.port else None
        self.unix = next((row["address"][5:] for row in (config or {}).get("listeners", [])
                          if row["address"].startswith("unix:")), None)
        metrics = (config or {}).get("metrics", {}).get("address", "")
        self.metrics_port = int(metrics.rpartition(":")[2]) if metrics else None
        self.config = config
        self.config_path = os.path.join(folder, f"{name}.yaml")
        self.argv = argv
        self.env = env
        self.expected_exit = 0
        self.may_be_gone = False

    def write_config(self, config):
        with open(self.config_path, "w") as out:
            out.write(to_yaml(config))

    def start(self, wait=True):
        if self.argv is None:
            self.write_config(self.config)
        self.spawn([self.binary, *(self.argv or ["--config", self.config_path])], self.env)
        if wait:
            eventually(self._listens, f"{self.name} answers PING", timeout=20)
        return self

    def _listens(self):
        if not self.alive():
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
        with Conn(self.port) as conn:
            conn.send_cmd("PING")
            conn.read()
            return True

    def connect(self, proto=None, unix=False, **options):
        return Conn(self.unix if unix else self.port, proto=proto, **options)

    def cmd(self, *args):
        with self.connect() as conn:
            return conn.cmd(*args)

    def metrics(self):
        status, body = http_get(self.metrics_port, "/metrics")
        if status != 200:
            raise AssertionError(f"/metrics answered {status}")
        return Exposition(body)

    def probe(self, path):
        return http_get(self.metrics_port, path)[0]

    def wait_ready(self):
        """Until the upstream answers through it."""
        eventually(lambda: self.cmd("SET", "e2e:ready", "1") == b"OK", "the daemon forwards")
        self.cmd("DEL", "e2e:ready")

    def wait_filling(self, redis):
        """Until reads come from L1: tracking is armed. Judged by the upstream's own counters."""
        with self.connect() as conn:
            redis.cmd("SET", "e2e:probe", "1")

            def hit():
                conn.cmd("GET", "e2e:probe")
                before = redis.calls("get")
                conn.cmd("GET", "e2e:probe")
                return redis.calls("get") == before

            eventually(hit, "a second GET is served without the upstream", timeout=20)
        redis.cmd("DEL", "e2e:probe")

    def stop(self, timeout=30.0):
        """SIGTERM and its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)


class Direct:
    """A redis-server in the place of the daemon: what is true of the pair must be true of it alone."""

    def __init__(self, redis):
        self._redis = redis
        self.port = redis.port
        self.unix = redis.unix
        self.may_be_gone = True

    def alive(self):
        return self._redis.alive()

    def connect(self, proto=None, unix=False, **options):
        return Conn(self.unix if unix else self.port, proto=proto, **options)

    def cmd(self, *args):
        with self.connect() as conn:
            return conn.cmd(*args)

    def rss_bytes(self):
        return self._redis.rss_bytes()

    def wait_ready(self):
        pass

    def wait_filling(self, redis):
        pass


def to_yaml(value, indent=0):
    """Block YAML of dictionaries, lists and scalars."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{pad}{key}:\n{to_yaml(item, indent + 1)}")
            else:
                lines.append(f"{pad}{key}: {_scalar(item)}\n")
        return "".join(lines)
    lines = []
    for item in value:
        if isinstance(item, dict):
            body = to_yaml(item, indent + 1)
            lines.append(f"{pad}- {body.lstrip()}")
        else:
            lines.append(f"{pad}- {_scalar(item)}\n")
    return "".join(lines)


def _scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if value in ([], {}):
        return "[]" if value == [] else "{}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'

