"""Flask-Caching over Redis, as a site uses it. Prints "ok" when all of it held."""

import os

from flask import Flask
from flask_caching import Cache

app = Flask(__name__)
cache = Cache(app, config={
    "CACHE_TYPE": "RedisCache", "CACHE_DEFAULT_TIMEOUT": 60, "CACHE_KEY_PREFIX": "flask:",
    "CACHE_REDIS_URL": (f"unix://{os.environ['SOCKET']}?db=0" if os.environ["SOCKET"]
                        else f"redis://127.0.0.1:{os.environ['PORT']}/0")})
calls = []


@app.route("/page/<name>")
@cache.cached(query_string=True)
def page(name):
    calls.append(name)
    return f"page {name}"


@cache.memoize()
def add(a, b):
    calls.append((a, b))
    return a + b


with app.test_client() as browser, app.app_context():
    for _ in range(10):
        assert browser.get("/page/one?x=1").data == b"page one"
    assert calls == ["one"], calls
    assert browser.get("/page/one?x=2").data == b"page one"
    assert calls == ["one", "one"], calls
    assert [add(1, 2) for _ in range(10)] == [3] * 10 and calls[2:] == [(1, 2)], calls
    cache.delete_memoized(add, 1, 2)
    assert add(1, 2) == 3 and calls[2:] == [(1, 2), (1, 2)], "memoized after it was deleted"
    for i in range(100):
        cache.set("k", {"n": i})
        assert cache.get("k") == {"n": i}
    assert cache.set_many({"a": 1, "b": 2}) and cache.get_many("a", "b", "c") == [1, 2, None]
    assert cache.add("a", 9) is False and cache.get("a") == 1
    cache.delete_many("a", "b")
    assert cache.get_many("a", "b") == [None, None]
    cache.clear()
    assert cache.get("k") is None
print("ok")
