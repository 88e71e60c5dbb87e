"""The load: redis-benchmark, and what it leaves behind in CPU time, latency and upstream calls."""

import csv
import dataclasses
import io
import re
import statistics
import subprocess

from bench_targets import Resp, encode


_LONGEST_S = 180  # a run that takes longer has hung


@dataclasses.dataclass(frozen=True)
class Work:
    """One kind of load."""

    command: str       # "get" or "set"
    size: int          # bytes of a value
    connections: int
    pipeline: int
    keys: int
    requests: int
    tls: bool = False  # clients speak it


@dataclasses.dataclass
class Sample:
    cpu_us: float      # of the process under test, per request
    rps: float
    p50_ms: float
    p99_ms: float
    peak_rss: int      # bytes, during the run
    upstream: float    # upstream reads per request


def key(number):
    return b"key:%012d" % number  # what redis-benchmark makes of key:__rand_int__


def fill(redis, keys, size):
    """Exactly these keys in the upstream, nothing else."""
    client = Resp(redis.port)
    client.cmd("FLUSHALL")
    value = b"x" * size
    batch = max(1, min(1000, (4 << 20) // (size + 64)))
    for at in range(0, keys, 50_000):
        requests = [encode(b"SET", key(i), value) for i in range(at, min(keys, at + 50_000))]
        client.stream(requests, batch)
    client.close()


def warm(target, keys, size):
    """Reads every key once or twice, so that L1 holds what it will hold."""
    client = Resp(target.port)
    batch = max(1, min(500, (4 << 20) // (size + 64)))
    for _ in range(2):
        for at in range(0, keys, 50_000):
            requests = [encode(b"GET", key(i)) for i in range(at, min(keys, at + 50_000))]
            if client.stream(requests, batch):
                raise RuntimeError(f"{target.name} does not know all the keys")
    client.close()


def upstream_reads(redis):
    client = Resp(redis.port)
    text = client.cmd("INFO", "commandstats").decode()
    client.close()
    return sum(int(n) for n in re.findall(r"cmdstat_m?get:calls=(\d+)", text))


def measure(target, redis, work, placement):
    """One run of `work` against `target`."""
    port = target.tls_port if work.tls else target.port
    argv = [*placement.prefix(), "redis-benchmark", "-p", str(port), "-c", str(work.connections),
            "-P", str(work.pipeline), "-n", str(work.requests), "-r", str(work.keys),
            "-d", str(work.size), "-t", work.command, "--csv", "--precision", "3"]
    argv += ["--tls", "--insecure"] if work.tls else []
    target.forget_peak()
    reads, before = upstream_reads(redis), target.cpu_seconds()
    done = subprocess.run(argv, capture_output=True, text=True, check=True,
                          timeout=_LONGEST_S)
    used = target.cpu_seconds() - before
    reads = upstream_reads(redis) - reads
    if "rror" in done.stdout + done.stderr:
        raise RuntimeError(f"{target.name}: {done.stdout}{done.stderr}")
    row = list(csv.DictReader(io.StringIO(done.stdout)))[0]
    return Sample(used / work.requests * 1e6, float(row["rps"]), float(row["p50_latency_ms"]),
                  float(row["p99_latency_ms"]), target.memory("VmHWM"), reads / work.requests)


def median(samples):
    """Field by field."""
    return Sample(*(statistics.median(getattr(sample, field.name) for sample in samples)
                    for field in dataclasses.fields(Sample)))
