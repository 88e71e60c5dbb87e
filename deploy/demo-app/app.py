#!/usr/bin/env python3
"""A small web app on an unmodified redis-py: it knows a Redis URL and nothing about nearcached.

GET  /                 a page: the article of the day, its author, the site's settings: four reads
GET  /article/<id>     the text of an article, 404 where there is none
PUT  /article/<id>     stores the body as its text
GET  /healthz          200 while the process runs
"""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
STORE = redis.Redis.from_url(URL, decode_responses=True, socket_timeout=5, socket_connect_timeout=5)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, kind="text/plain; charset=utf-8"):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def home(self):
        started = time.perf_counter()
        today = STORE.get("site:article_of_the_day") or "1"
        text = STORE.get(f"article:{today}")
        title, theme = STORE.mget("site:title", "site:theme")
        took_us = round((time.perf_counter() - started) * 1e6)
        self.answer(200, json.dumps({"article": today, "text": text, "title": title, "theme": theme,
                                     "redis_us": took_us}) + "\n", "application/json")

    def do_GET(self):
        try:
            if self.path == "/healthz":
                self.answer(200, "ok\n")
            elif self.path == "/":
                self.home()
            elif self.path.startswith("/article/"):
                text = STORE.get("article:" + self.path.rsplit("/", 1)[1])
                self.answer(404 if text is None else 200, (text or "no such article") + "\n")
            else:
                self.answer(404, "not found\n")
        except redis.RedisError as error:
            self.answer(503, f"{type(error).__name__}: {error}\n")

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        try:
            if not self.path.startswith("/article/"):
                self.answer(404, "not found\n")
                return
            STORE.set("article:" + self.path.rsplit("/", 1)[1], body)
            self.answer(200, "stored\n")
        except redis.RedisError as error:
            self.answer(503, f"{type(error).__name__}: {error}\n")

    def log_message(self, *_):
        """One line per request is the web server's business in front of this."""


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
