"""The processes a benchmark compares: redis-server, nutcracker, haproxy, nearcached, and a relay between."""

import ctypes
import dataclasses
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

_LIBC = ctypes.CDLL("libc.so.6", use_errno=True)
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("NEARCACHED_BIN", os.path.join(_ROOT, "build/nearcached")))


def _die_with_parent():
    _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def free_port():
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Resp:
    """Just enough of a client to fill and to ask: pipelines of commands, replies counted."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb", buffering=1 << 20)

    def close(self):
        self.file.close()
        self.sock.close()

    def cmd(self, *args):
        self.sock.sendall(encode(*args))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("closed")
        if line[:1] == b"$":
            length = int(line[1:])
            return None if length < 0 else self.file.read(length + 2)[:-2]
        if line[:1] in b"*%":
            count = int(line[1:]) * (2 if line[:1] == b"%" else 1)
            return [self.read() for _ in range(count)]
        return line[:-2]

    def stream(self, requests, batch):
        """Sends encoded requests in batches, reads as many replies; returns how many were nil."""
        nil = 0
        for at in range(0, len(requests), batch):
            part = requests[at:at + batch]
            self.sock.sendall(b"".join(part))
            for _ in part:
                nil += self.read() is None
        return nil


def encode(*args):
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where and how every process of a run is scheduled, the load generator too."""

    cpu: int | None  # the one CPU they share; None: not pinned
    sched: str       # "batch" (SCHED_BATCH) or "other" (SCHED_OTHER, the default policy)

    def prefix(self):
        """What goes before a command line."""
        found = ["chrt", "-b", "0"] if self.sched == "batch" else []
        return found + (["taskset", "-c", str(self.cpu)] if self.cpu is not None else [])


class Target:
    """A process under test and the ports its clients use."""

    def __init__(self, name, argv, port, placement, cwd, tls_port=None):
        self.name = name
        self.port = port
        self.tls_port = tls_port
        self.log_path = os.path.join(cwd, f"{name.replace(' ', '_')}.log")
        with open(self.log_path, "wb") as log:
            # What names the binary must not configure it: the daemon refuses variables it does not know.
            environment = {k: v for k, v in os.environ.items() if not k.startswith("NEARCACHED_")}
            self.process = subprocess.Popen(placement.prefix() + argv, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=cwd, preexec_fn=_die_with_parent)
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + 20
        while True:
            if self.process.poll() is not None:
                with open(self.log_path, errors="replace") as log:
                    raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{log.read()}")
            try:
                client = Resp(self.port)
                # nutcracker knows no PING without a server behind it; a GET is known to all.
                reply = client.cmd("GET", "bench:ready")
                client.close()
                if reply is None or not reply.startswith(b"-") or b"Hash slot not served" in reply:
                    return
            except (ConnectionError, OSError):
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not answer")
            time.sleep(0.02)

    def cpu_seconds(self):
        """CPU of all its threads, by the scheduler's own nanosecond account."""
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9

    def memory(self, field="VmRSS"):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(rf"{field}:\s+(\d+) kB", status.read()).group(1)) * 1024

    def forget_peak(self):
        """From here on VmHWM, the peak of RSS, counts anew."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as out:
            out.write("5")

    def stop(self):
        self.process.kill()
        self.process.wait()


def _helper(name):
    """The program of tests/bench/NAME.cc, built when it is not there or older than its source."""
    binary = os.path.join(tempfile.gettempdir(), f"nearcached-{name}-{os.getuid()}")
    source = os.path.join(_ROOT, "tests/bench", name + ".cc")
    if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
        subprocess.run(["g++", "-std=c++20", "-O2", "-o", binary, source], check=True)
    return binary


class Bench:
    """Owns the processes of one run."""

    def __init__(self, placement):
        self.placement = placement
        self.folder = tempfile.mkdtemp(prefix="nc-bench-")
        self.targets = []

    def _start(self, name, argv, port, tls_port=None):
        target = Target(name, argv, port, self.placement, self.folder, tls_port)
        self.targets.append(target)
        return target

    def certificate(self):
        """(certificate, key) of 127.0.0.1, signed by itself."""
        path, key = os.path.join(self.folder, "server.pem"), os.path.join(self.folder, "server.key")
        if not os.path.exists(path):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=bench",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", path],
                           check=True, capture_output=True)
            with open(path) as certificate, open(key) as secret, open(path + ".both", "w") as both:
                both.write(certificate.read() + secret.read())  # haproxy wants them in one file
        return path, key

    def redis(self, name="redis-server", tls=False, arguments=()):
        """`tls`: on a port of its own beside the plain one."""
        port, tls_port = free_port(), None
        argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--dir", self.folder, "--maxclients", "12000", *arguments]
        if tls:
            tls_port = free_port()
            certificate, key = self.certificate()
            argv += ["--tls-port", str(tls_port), "--tls-cert-file", certificate, "--tls-key-file", key,
                     "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"]
        return self._start(name, argv, port, tls_port)

    def redis_cluster(self, count):
        """That many primaries with even shares of the slots."""
        nodes = []
        for number in range(count):
            bus = free_port()
            node = self.redis(f"redis-server {number}", arguments=[
                "--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-config-file",
                f"nodes-{bus}.conf"])
            nodes.append((node, bus))
        clients = [Resp(node.port) for node, _ in nodes]
        for number, client in enumerate(clients):
            client.cmd("CLUSTER", "ADDSLOTSRANGE", 16384 * number // count,
                       16384 * (number + 1) // count - 1)
            client.cmd("CLUSTER", "MEET", "127.0.0.1", nodes[0][0].port, nodes[0][1])
        deadline = time.monotonic() + 30
        while not all(b"cluster_state:ok" in client.cmd("CLUSTER", "INFO")
                      and client.cmd("CLUSTER", "NODES").count(b"connected") == count
                      for client in clients):
            if time.monotonic() > deadline:
                raise RuntimeError("the nodes of the cluster do not find each other")
            time.sleep(0.1)
        for client in clients:
            client.close()
        return [node for node, _ in nodes]

    def nutcracker(self, *servers):
        port = free_port()
        path = os.path.join(self.folder, f"nutcracker-{port}.yml")
        with open(path, "w") as out:
            out.write("pool:\n"
                      f"  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n"
                      "  redis: true\n  preconnect: true\n  backlog: 1024\n  servers:\n"
                      + "".join(f"   - 127.0.0.1:{server.port}:1\n" for server in servers))
        return self._start("nutcracker", ["nutcracker", "-c", path, "-s", str(free_port()), "-v", "4"],
                           port)

    def haproxy(self, redis, upstream_tls=False):
        """A TCP proxy with one thread, plain and TLS for its clients."""
        port, tls_port = free_port(), free_port()
        self.certificate()
        path = os.path.join(self.folder, f"haproxy-{port}.cfg")
        server = f"127.0.0.1:{redis.tls_port} ssl verify none" if upstream_tls else \
            f"127.0.0.1:{redis.port}"
        with open(path, "w") as out:
            out.write("global\n  nbthread 1\n  maxconn 9000\n"
                      "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
                      "  timeout server 1h\n"
                      f"listen redis\n  bind 127.0.0.1:{port}\n"
                      f"  bind 127.0.0.1:{tls_port} ssl crt {self.folder}/server.pem.both\n"
                      f"  server one {server}\n")
        return self._start("haproxy", ["haproxy", "-db", "-f", path], port, tls_port)

    def nearcached(self, redis, name="nearcached", lines=(), url=None, upstream=(), tls=False):
        """`lines` are more YAML, `upstream` more of that section, `url` another one than of `redis`;
        everything else is the default, with TTLs beyond the run. `tls`: clients may use it too."""
        port, metrics, tls_port = free_port(), free_port(), None
        listeners = f"listeners:\n  - address: 127.0.0.1:{port}\n"
        if tls:
            tls_port = free_port()
            certificate, key = self.certificate()
            listeners += (f"  - address: 127.0.0.1:{tls_port}\n    tls:\n"
                          f"      cert_file: {certificate}\n      key_file: {key}\n")
        path = os.path.join(self.folder, f"nearcached-{port}.yaml")
        with open(path, "w") as out:
            out.write(listeners + f"upstream:\n  url: {url or f'redis://127.0.0.1:{redis.port}'}\n"
                      + "".join(f"  {line}\n" for line in upstream)
                      + f"metrics:\n  address: 127.0.0.1:{metrics}\n" + "\n".join(lines) + "\n")
        return self._start(name, [BINARY, "--config", path], port, tls_port)

    def floor(self, value_bytes):
        """What answers every request with the same value and does nothing else."""
        port = free_port()
        return self._start("floor", [_helper("floor_server"), str(port), str(value_bytes)], port)

    def relay(self, upstream, delay_us):
        """A port behind which `upstream` is `delay_us` away in each direction."""
        binary = _helper("delay_relay")
        port = free_port()
        return self._start("relay", [binary, str(port), str(upstream.port), str(delay_us)], port)

    def close(self):
        for target in reversed(self.targets):
            target.stop()
        self.targets = []
        subprocess.run(["rm", "-rf", self.folder], check=False)
