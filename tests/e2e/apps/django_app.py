"""Django's cache and sessions, through Redis, as a site uses them. Prints "ok" when all of it held."""

import os
import threading

import django
from django.conf import settings

LOCATION = (f"unix://{os.environ['SOCKET']}?db=1" if os.environ["SOCKET"]
            else f"redis://127.0.0.1:{os.environ['PORT']}/1")
settings.configure(
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": LOCATION,
                        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"}}},
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    INSTALLED_APPS=["django.contrib.sessions"], SECRET_KEY="smoke", ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"], USE_TZ=True,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"])
django.setup()

from django.core.cache import cache  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402

rendered = []


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


@cache_page(60)
def page(request):
    rendered.append(request.path)
    return HttpResponse("page")


urlpatterns = [path("visits", visits), path("page", page)]


def caching():
    for i in range(100):
        cache.set("k", {"n": i, "text": "é"}, 60)
        assert cache.get("k") == {"n": i, "text": "é"}
    assert cache.get("nothing", "default") == "default"
    assert cache.add("k", 1) is False and cache.add("new", 1) is True
    assert cache.get("new") == 1
    cache.set_many({"a": 1, "b": [2]}, timeout=60)
    assert cache.get_many(["a", "b", "nothing"]) == {"a": 1, "b": [2]}
    assert cache.incr("a", 5) == 6 and cache.get("a") == 6
    assert cache.touch("b", 100) is True and 90 < cache.ttl("b") <= 100
    assert cache.get_or_set("made", lambda: "value", 60) == "value"
    assert cache.delete("made") and cache.get("made") is None
    assert sorted(cache.keys("*")) == ["a", "b", "k", "new"]
    assert cache.delete_pattern("[ab]") == 2 and cache.get("a") is None
    assert cache.set("versioned", 1, version=2) and cache.get("versioned") is None
    assert cache.get("versioned", version=2) == 1


def locking():
    """Everybody counts under one lock: none of the additions is lost."""
    cache.set("counted", 0)

    def count():
        for _ in range(10):
            with cache.lock("the-lock", timeout=20):
                cache.set("counted", cache.get("counted") + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("counted") == 40, cache.get("counted")


def serving():
    visitor, stranger = Client(), Client()
    assert [visitor.get("/visits").content for _ in range(20)] == [b"%d" % i for i in range(1, 21)]
    assert stranger.get("/visits").content == b"1"
    visitor.session.flush()
    assert visitor.get("/visits").content == b"1", "a session lived on after flush"
    assert [visitor.get("/page").content for _ in range(5)] == [b"page"] * 5
    assert rendered == ["/page"], rendered


caching()
locking()
serving()
cache.clear()
assert cache.get("k") is None
print("ok")
