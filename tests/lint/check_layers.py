#!/usr/bin/env python3
"""The dependency law: which room may include which, and who may name a third-party header.

ARCHITECTURE.md says why. Rooms are folders; a room may always include itself and the standard
library. A header that is not listed for a room is an error, so a new dependency is a decision made
here and seen in review.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

PROTO, CONFIG = "proto", "config"
BASE, NET, COMMAND, POLICY, CACHE, FETCH, UPSTREAM, SESSION, ADMIN, APP = (
    "daemon/base", "daemon/net", "daemon/command", "daemon/policy", "daemon/cache", "daemon/fetch",
    "daemon/upstream", "daemon/session", "daemon/admin", "daemon")

MAY_INCLUDE = {
    PROTO: set(),
    CONFIG: set(),
    BASE: set(),
    NET: {BASE},
    COMMAND: {BASE, PROTO},
    POLICY: {BASE, COMMAND, CONFIG},
    CACHE: {BASE},
    FETCH: {BASE, CACHE, COMMAND, PROTO},
    # Speaks through the seams of base: a link does not know what carries its bytes (but see ADAPTERS).
    # Of cache it needs what names a database, because entries belong to the link that filled them.
    UPSTREAM: {BASE, CACHE, COMMAND, CONFIG, FETCH, PROTO},
    # Reaches upstreams only through the interfaces of fetch.
    SESSION: {BASE, CACHE, COMMAND, CONFIG, FETCH, POLICY, PROTO},
    # Shows the numbers of all, changes nothing.
    ADMIN: {BASE, CACHE, COMMAND, CONFIG, FETCH, NET, POLICY, PROTO, SESSION, UPSTREAM},
    # Wires everything.
    APP: {PROTO, CONFIG, BASE, NET, COMMAND, POLICY, CACHE, FETCH, UPSTREAM, SESSION, ADMIN},
}

# Files that tie a seam to the real world: they may reach for the event loop and the system, so the
# simulator replaces them and nothing but app names them.
ADAPTERS = {"daemon/upstream/hiredis_dialer.*": {NET}}

# Third-party header (prefix of what stands between the angle brackets) -> files that may name it.
THIRD_PARTY = {
    "uv.h": ("daemon/net/*", "daemon/upstream/hiredis_dialer.*"),
    "hiredis/": ("daemon/upstream/hiredis_*",),
    "yaml-cpp/": ("config/*.cc",),
    "nlohmann/": ("proto/invalidation_notice.cc",),
    "prometheus/": ("daemon/admin/*",),
    "CivetServer.h": ("daemon/admin/*",),
    "civetweb.h": ("daemon/admin/*",),
    "xxhash.h": ("daemon/base/hash.h",),
    "jemalloc/": ("daemon/admin/*", "daemon/*.cc"),
    "openssl/": ("daemon/net/tls_*.cc", "daemon/base/sha1.cc"),
    "doctest/": (),
}
# Of these, one file at most: the boundary where their exceptions are caught.
ONE_FILE = ("yaml-cpp/", "nlohmann/")

# The include root is the repository; the only other quoted includes there may be.
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
# What the operating system offers: rooms that must run under simulation may not reach for it.
SYSTEM_IO = re.compile(r"^(sys/socket|sys/epoll|netinet/|arpa/|netdb|poll|sys/select|time|sys/time)\.?h?")
NO_SYSTEM_IO = {PROTO, COMMAND, POLICY, CACHE, FETCH, UPSTREAM, SESSION}


def room_of(path):
    parts = path.split("/")
    if parts[0] == "daemon":
        return "/".join(parts[:2]) if len(parts) > 2 else APP
    return parts[0]


def adapter_rooms(name):
    """Rooms that `name` may include beyond its own room's, or None where it is no adapter."""
    for pattern, rooms in ADAPTERS.items():
        if pathlib.PurePosixPath(name).match(pattern):
            return rooms
    return None


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def check(root):
    bad, owners = [], {}
    files = sorted(p for top in ("proto", "config", "daemon") for p in (root / top).rglob("*")
                   if p.suffix in (".h", ".cc"))
    for path in files:
        name = path.relative_to(root).as_posix()
        room = room_of(name)
        if room not in MAY_INCLUDE:
            bad.append(f"{name}: {room} is not a room; add it to {pathlib.Path(__file__).name}")
            continue
        for line, quote, what in includes(path):
            where = f"{name}:{line}"
            if quote == '"':
                if not (root / what).is_file():
                    bad.append(f"{where}: \"{what}\" is not a file; include from the repository root")
                    continue
                other = room_of(what)
                if other not in {room} | MAY_INCLUDE[room] | (adapter_rooms(name) or set()):
                    bad.append(f"{where}: {room} must not include {other} ({what})")
                elif adapter_rooms(what) is not None and adapter_rooms(name) is None and room != APP:
                    bad.append(f"{where}: {what} ties a seam to the real world; only app names it")
                continue
            for prefix, allowed in THIRD_PARTY.items():
                if what.startswith(prefix):
                    owners.setdefault(prefix, set()).add(name)
                    if not any(pathlib.PurePosixPath(name).match(pattern) for pattern in allowed):
                        bad.append(f"{where}: <{what}> may be named only by {' '.join(allowed) or 'nobody'}")
            if room in NO_SYSTEM_IO and SYSTEM_IO.match(what) and adapter_rooms(name) is None:
                bad.append(f"{where}: {room} runs under simulation and must not reach for <{what}>")
    for prefix in ONE_FILE:
        if len(owners.get(prefix, ())) > 1:
            bad.append(f"<{prefix}…> is named by {' and '.join(sorted(owners[prefix]))}: one file only")
    return bad, len(files)


def self_test(scratch):
    """Plants one breach of each kind and expects it to be found: a check that cannot fail is none."""
    (scratch / "proto").mkdir(parents=True)
    (scratch / "daemon/net").mkdir(parents=True)
    (scratch / "daemon/base").mkdir(parents=True)
    (scratch / "daemon/cache").mkdir(parents=True)
    (scratch / "daemon/odd").mkdir(parents=True)
    (scratch / "daemon/base/a.h").write_text("#include <xxhash.h>\n")
    (scratch / "proto/b.h").write_text('#include "daemon/base/a.h"\n#include <vector>\n')
    (scratch / "daemon/cache/c.cc").write_text('#include <uv.h>\n#include "c.h"\n#include <sys/socket.h>\n')
    (scratch / "daemon/net/d.h").write_text('#include <uv.h>\n#include "daemon/base/a.h"\n')
    (scratch / "daemon/odd/e.h").write_text("\n")
    bad, _ = check(scratch)
    wanted = ["a.h:1: <xxhash.h>", "b.h:1: proto must not include daemon/base", "c.cc:1: <uv.h>",
              "c.cc:2: \"c.h\" is not a file", "c.cc:3: daemon/cache runs under simulation", "odd/e.h: daemon/odd is not a room"]
    return [w for w in wanted if not any(w in b for b in bad)] + [b for b in bad if "net/d.h" in b]


def main():
    import tempfile
    with tempfile.TemporaryDirectory() as scratch:
        missed = self_test(pathlib.Path(scratch))
    if missed:
        sys.exit("layers: the check itself is broken: " + "; ".join(missed))
    bad, count = check(ROOT)
    print("\n".join(bad), end="\n" if bad else "")
    print(f"layers: {count} files, {len(bad)} breaches")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
