"""Frameworks that keep caches, sessions, queues and results in Redis, unmodified, with a worker where
there is one. `scripts/deps clients` installs them; one that is not there is a skip."""

import importlib.util
import sys

from harness.processes import Server
from harness.registry import Skip, case
from harness.wait import SCALE

from .languages import app, need_program, run_app


def _need_modules(*names):
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise Skip(f"python's {name} is not installed: scripts/deps clients")


@case(direct=True, full=True)
def a_django_cache_with_pages_locks_and_sessions(env):
    _need_modules("django", "django_redis")
    run_app(env, env.daemon(env.redis(), fills=True), [sys.executable, app(env, "django_app.py")])


@case(direct=True, full=True)
def flask_caching(env):
    _need_modules("flask_caching")
    run_app(env, env.daemon(env.redis(), fills=True), [sys.executable, app(env, "flask_app.py")])


@case(direct=True, full=True)
def jobs_of_rq(env):
    _need_modules("rq")
    run_app(env, env.daemon(env.redis(), fills=True), [sys.executable, app(env, "rq_app.py")])


class Worker(Server):
    """A worker of a queue, beside the program that asks for jobs."""

    def start(self, argv, variables):
        self.spawn(argv, variables)
        return self


@case(direct=True, full=True, timeout=200)
def a_celery_worker_and_its_client(env):
    _need_modules("celery")
    for kind in ("tcp", "unix"):
        daemon = env.daemon(env.redis(), fills=True)
        variables = {"PORT": str(daemon.port), "SOCKET": daemon.unix if kind == "unix" else "",
                     "PYTHONPATH": app(env, ""), "PYTHONDONTWRITEBYTECODE": "1", "WAIT": str(40 * SCALE)}
        env.adopt(Worker(f"celery-{kind}", env.folder)).start(
            [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--pool", "solo",
             "--loglevel", "WARNING", "--without-gossip", "--without-mingle"], variables)
        run_app(env, daemon, [sys.executable, app(env, "celery_app.py")], sockets=(kind,), extra=variables)


@case(direct=True, full=True, timeout=200)
def a_sidekiq_worker_and_its_client(env):
    need_program("sidekiq")
    daemon = env.daemon(env.redis(), fills=True)
    variables = {"PORT": str(daemon.port), "SOCKET": "", "WAIT": str(40 * SCALE)}
    env.adopt(Worker("sidekiq", env.folder)).start(
        ["sidekiq", "-r", app(env, "sidekiq_jobs.rb"), "-c", "5", "-e", "production"], variables)
    run_app(env, daemon, ["ruby", app(env, "sidekiq_jobs.rb")], sockets=("tcp",),
            extra={**variables, "ROLE": "client"})
