"""How a value is kept in each kind of key, and the commands that read it back."""

_FIELD = "v"

_READS = {
    "counter": (("GET",),),
    "string": (("GET",), ("GET",), ("GET",), ("GET",), ("GETRANGE", 0, -1)),
    "hash": (("HGET", _FIELD), ("HMGET", _FIELD), ("HGETALL",), ("HVALS",)),
    "list": (("LRANGE", 0, -1), ("LINDEX", 0)),
}


def kind_of(index):
    """Of the register with that number: most are strings."""
    return ("string", "string", "string", "hash", "list")[index % 5]


def reads(key):
    """Commands that answer with the whole value of `key`."""
    return [(command, key.name, *rest) for command, *rest in _READS[key.kind]]


def replacing(key, value):
    """Commands that make `value` all there is at `key`, at one instant and without a TTL. None for
    strings, for which there are many ways."""
    if key.kind == "hash":
        # HSET keeps a TTL that is there, and that end would come behind the new version.
        return [("PERSIST", key.name), ("HSET", key.name, _FIELD, value)]
    if key.kind == "list":
        return [("MULTI",), ("DEL", key.name), ("RPUSH", key.name, value), ("EXEC",)]
    return None


def value_in(reply):
    """The value in a reply to one of reads(), in both protocols; None when the key is not there."""
    if isinstance(reply, dict):
        return reply.get(_FIELD.encode())
    if isinstance(reply, list):
        return reply[-1] if reply else None
    return reply or None
