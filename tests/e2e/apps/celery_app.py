"""A Celery application: broker and results in Redis. Run as a program it is the client of its own
worker, and prints "ok" when all of it held."""

import os

from celery import Celery, chord, group

URL = (f"redis+socket://{os.environ['SOCKET']}?virtual_host=%d" if os.environ["SOCKET"]
       else f"redis://127.0.0.1:{os.environ['PORT']}/%d")
app = Celery("celery_app", broker=URL % 0, backend=URL % 1)
app.conf.update(worker_hijack_root_logger=False, result_expires=600)


@app.task(name="add")
def add(a, b):
    return a + b


@app.task(name="total")
def total(numbers):
    return sum(numbers)


@app.task(name="fail")
def fail():
    raise ValueError("as it should")


@app.task(name="again", bind=True, max_retries=2)
def again(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries


def main():
    wait = float(os.environ["WAIT"])
    assert add.delay(2, 3).get(timeout=wait) == 5
    assert group(add.s(i, i) for i in range(20))().get(timeout=wait) == [2 * i for i in range(20)]
    assert chord([add.s(i, 1) for i in range(10)], total.s())().get(timeout=wait) == 55
    assert (add.s(1, 2) | add.s(10))().get(timeout=wait) == 13
    assert add.apply_async((1, 1), countdown=1).get(timeout=wait) == 2
    assert again.delay().get(timeout=wait) == 2
    failed = fail.delay()
    try:
        failed.get(timeout=wait)
        raise AssertionError("a failed task gave a result")
    except ValueError as error:
        assert str(error) == "as it should"
    assert failed.state == "FAILURE"
    failed.forget()
    print("ok")


if __name__ == "__main__":
    import celery_app  # tasks belong to the module the worker knows
    celery_app.main()
