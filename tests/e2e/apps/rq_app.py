"""RQ: jobs put into Redis, a worker that runs them. Prints "ok" when all of it held."""

import os

from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job


def double(number):
    return 2 * number


def fail():
    raise ValueError("as it should")


def main():
    import rq_app  # the worker imports functions by module
    connection = (Redis(unix_socket_path=os.environ["SOCKET"]) if os.environ["SOCKET"]
                  else Redis(port=int(os.environ["PORT"])))
    queue = Queue("smoke", connection=connection)
    jobs = [queue.enqueue(rq_app.double, i, result_ttl=600) for i in range(20)]
    after = queue.enqueue(rq_app.double, 100, depends_on=jobs[-1], result_ttl=600)
    failing = queue.enqueue(rq_app.fail)
    assert after.get_status(refresh=True) == "deferred", after.get_status()
    assert queue.count == 21, queue.count
    SimpleWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
    results = [Job.fetch(job.id, connection=connection).result for job in jobs]
    assert results == [2 * i for i in range(20)], results
    assert Job.fetch(after.id, connection=connection).result == 200
    assert failing.get_status(refresh=True) == "failed"
    assert queue.failed_job_registry.count == 1 and queue.count == 0
    jobs[0].delete()
    assert not Job.exists(jobs[0].id, connection=connection)
    connection.flushall()
    print("ok")


if __name__ == "__main__":
    main()
