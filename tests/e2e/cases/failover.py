"""The primary becomes another node, under load by an unmodified client. Each case prints its row of the
table: how long nothing was served, what clients saw, which acknowledged writes Redis lost, and what was
stale afterwards."""

import signal
import time

from harness.registry import case
from harness.replication import Load, ReplicaSet, Sentinels, role_of
from harness.resp import RespError
from harness.wait import equal, eventually, true

_CONFIG = {"upstream": {"health_interval": "250ms", "command_timeout": "2s"}}


def _under_load(env, what, nodes, upstream, fault, settle=None):
    """Puts load on a daemon in front of `upstream`, lets `fault` happen, and judges the outcome."""
    daemon = env.daemon(upstream, _CONFIG, fills=False)
    eventually(lambda: daemon.metrics().total("nearcached_topology_primary_known") == 1, "a primary is found")
    load = Load(daemon, nodes)
    before = nodes.nodes[0]
    fault_at = time.monotonic()
    fault(before)
    primary = eventually(lambda: (p := nodes.primary()) is not before and p, "another primary",
                         timeout=40)
    switched = time.monotonic()
    with primary.connect() as direct:  # as an application elsewhere would, once it is the primary
        for key in load.fixed:
            direct.cmd("SET", key, "after")
    eventually(lambda: load.served_since(switched + 0.2), "writers are served again", timeout=40)
    served = min(at for w in load.writers for _, at in w.acked if at > switched + 0.2)
    if settle is not None:
        settle(before)
        resumed = time.monotonic()
        eventually(lambda: load.served_since(resumed), "service goes on", timeout=40)
    load.stop()
    # Sentinels of a machine that is busy with something else take a healthy primary for dead.
    env.need(nodes.primary() is primary, "the primary changed a second time, by itself")
    row, lost, stale = load.report(what, fault_at, primary, daemon)
    env.note(row)
    equal(stale, 0, "a read through the daemon differs from the new primary")
    equal([at for at in lost if at > served], [], "writes lost that were acknowledged after the switch")
    true(daemon.metrics().total("nearcached_topology_switches_total") >= 1, "the switch was not counted")
    return daemon


def _with_sentinels(env, what, fault, settle=None):
    nodes = ReplicaSet(env)
    sentinels = Sentinels(env, nodes)
    return _under_load(env, what, nodes, sentinels, lambda p: fault(p, sentinels), settle)


@case(timeout=90)
def sentinels_replace_a_primary_that_was_killed(env):
    _with_sentinels(env, "kill -9, 3 sentinels", lambda primary, _: primary.kill())


@case(full=True, timeout=120)
def a_killed_primary_comes_back_as_a_replica_and_nothing_is_written_there(env):
    def back(old):
        old.start()
        eventually(lambda: role_of(old) == "slave", "the old primary is a replica", timeout=40)
    _with_sentinels(env, "kill -9 and back, 3 sentinels", lambda primary, _: primary.kill(), back)


@case(full=True, timeout=120)
def sentinels_replace_a_primary_that_froze_and_later_wakes(env):
    def freeze(primary, _):
        primary.frozen = True
        primary.signal(signal.SIGSTOP)

    def wake(primary):
        primary.signal(signal.SIGCONT)
        primary.frozen = False
        eventually(lambda: role_of(primary) == "slave", "the old primary is a replica", timeout=40)
    _with_sentinels(env, "SIGSTOP and back, 3 sentinels", freeze, wake)


@case(timeout=90)
def a_failover_that_was_asked_for_costs_a_moment(env):
    def ask(_, sentinels):
        equal(sentinels.all[1].cmd("SENTINEL", "FAILOVER", "mymaster"), b"OK")
    _with_sentinels(env, "SENTINEL FAILOVER", ask)


@case(full=True, timeout=90)
def two_of_three_sentinels_die_with_the_primary_and_the_third_is_enough_to_keep_serving(env):
    nodes = ReplicaSet(env)
    sentinels = Sentinels(env, nodes)
    daemon = env.daemon(sentinels, _CONFIG, fills=False)
    with daemon.connect() as conn:
        eventually(lambda: conn.cmd("SET", "k", "1") == b"OK", "it serves")
        for sentinel in sentinels.all[:2]:
            sentinel.kill()
        for i in range(50):
            equal(conn.cmd("SET", "k", i), b"OK")
            time.sleep(0.01)
        sentinels.all[2].kill()
        time.sleep(0.6)  # some rounds without any sentinel
        equal(conn.cmd("SET", "k", "none"), b"OK")
    equal(daemon.metrics().total("nearcached_topology_switches_total"), 0)


@case(timeout=90)
def of_a_list_the_node_that_an_operator_promotes_is_followed(env):
    nodes = ReplicaSet(env)
    _under_load(env, "REPLICAOF by hand, list of nodes", nodes, nodes,
                lambda _: nodes.promote(nodes.nodes[2]))


@case(full=True, timeout=90)
def of_a_list_the_node_promoted_after_the_primary_was_killed_is_followed(env):
    nodes = ReplicaSet(env)

    def kill(primary):
        primary.kill()
        nodes.promote(nodes.nodes[1])
    _under_load(env, "kill -9 and promotion, list of nodes", nodes, nodes, kill)


@case(full=True, timeout=120)
def of_a_list_a_frozen_primary_is_left_and_not_gone_back_to(env):
    nodes = ReplicaSet(env)

    def freeze(primary):
        primary.frozen = True
        primary.signal(signal.SIGSTOP)
        nodes.promote(nodes.nodes[1])

    def wake(primary):  # it still takes itself for the primary: split brain, until it is told
        primary.signal(signal.SIGCONT)
        time.sleep(1)
        primary.cmd("REPLICAOF", "127.0.0.1", nodes.nodes[1].port)
        primary.frozen = False
    daemon = _under_load(env, "SIGSTOP and promotion, list of nodes", nodes, nodes, freeze, wake)
    true(daemon.metrics().total("nearcached_topology_split_brain_total") > 0, "split brain was not noticed")


@case
def a_demoted_primary_answers_readonly_once_and_is_left(env):
    nodes = ReplicaSet(env, replicas=1)
    daemon = env.daemon(nodes, {"upstream": {"health_interval": "1h"}}, fills=False)
    with daemon.connect() as conn:
        eventually(lambda: conn.cmd("SET", "k", "1") == b"OK", "it serves")
        nodes.promote(nodes.nodes[1])
        reply = conn.cmd("SET", "k", "2")
        true(isinstance(reply, RespError) and reply.text.startswith("READONLY"), f"got {reply!r}")
        # No round is due for an hour: the reply alone makes it look.
        eventually(lambda: conn.cmd("SET", "k", "3") == b"OK", "the new primary is found")
    equal(nodes.nodes[1].cmd("GET", "k"), b"3")


@case
def without_a_primary_requests_fail_with_a_sentence_and_go_on_once_there_is_one(env):
    nodes = ReplicaSet(env, replicas=1)
    daemon = env.daemon(nodes, {"upstream": {"health_interval": "200ms", "connect_timeout": "500ms"}},
                        fills=False)
    with daemon.connect() as conn:
        eventually(lambda: conn.cmd("SET", "k", "1") == b"OK", "it serves")
        nodes.nodes[0].cmd("REPLICAOF", "127.0.0.1", nodes.nodes[1].port)  # a circle of replicas

        def says_why():
            reply = conn.cmd("GET", "k")
            return isinstance(reply, RespError) and "no node is known to be the primary" in reply.text
        eventually(says_why, "the error says what is wrong")
        nodes.nodes[0].cmd("REPLICAOF", "NO", "ONE")
        eventually(lambda: conn.cmd("SET", "k", "2") == b"OK", "it goes on")
