"""The coherence contract under faults, 20 seconds for each mode; tests/coherence runs it for hours."""

import os
import random
import sys

from harness.registry import case
from harness.wait import equal

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from coherence.selftest import check_the_judge  # noqa: E402
from coherence.stand import MODES  # noqa: E402
from coherence.verdict import run_mode, table  # noqa: E402

_SECONDS = 20


def _keeps_the_contract(env, name):
    check_the_judge()
    seed = random.SystemRandom().randrange(1 << 31)
    outcome = run_mode(env, MODES[name], _SECONDS, seed)
    for line in [f"seed {seed}", *table([outcome])]:
        env.note(line)
    equal(outcome.problems, [], "\n".join(outcome.judge.examples))


@case(timeout=120)
def no_read_breaks_the_contract_while_the_server_pushes(env):
    _keeps_the_contract(env, "tracking")


@case(timeout=120)
def no_read_breaks_the_contract_where_nobody_pushes_and_staleness_is_seen(env):
    _keeps_the_contract(env, "ttl-only")


@case(full=True, timeout=120)
def no_read_breaks_the_contract_while_pushes_come_on_a_link_of_their_own(env):
    _keeps_the_contract(env, "redirect")


@case(full=True, timeout=120)
def no_read_breaks_the_contract_while_every_write_is_broadcast(env):
    _keeps_the_contract(env, "bcast")


@case(full=True, timeout=120)
def no_read_breaks_the_contract_while_the_server_forgets_what_it_tracks(env):
    _keeps_the_contract(env, "overflow")


@case(full=True, timeout=150)
def no_read_breaks_the_contract_while_primaries_are_replaced(env):
    _keeps_the_contract(env, "replicated")


@case(full=True, timeout=150)
def no_read_breaks_the_contract_while_slots_of_a_cluster_move_and_primaries_are_replaced(env):
    _keeps_the_contract(env, "cluster")


@case(full=True, timeout=150)
def no_read_breaks_the_contract_while_sentinels_replace_primaries(env):
    _keeps_the_contract(env, "sentinel")
