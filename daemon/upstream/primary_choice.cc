// Split brain: two nodes say that they are the primary. It happens whenever a primary comes back
// that was replaced while it was away, when it is cut off from the rest but not from us, and when
// an operator promotes a replica before demoting the primary. Neither is lying; one of them will
// lose what it is told (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
//
// Sentinels, where there are some, number their configurations: every failover gets a higher epoch.
// A name with a higher epoch than the incumbent ever had moves us, even away from an incumbent that
// still answers, because what is written there will be thrown away; the sentinel that led the
// failover knows it a second or two before the others, so a majority with a lower epoch only lags.
// Nor is such a name followed while the incumbent is away: an old primary that came back and a
// sentinel that does not know better would take our writes and lose them; whoever is elected next
// has a newer epoch. Where epochs are not to be had (an ACL may forbid it), a majority of all
// sentinels that are known decides. A majority that says the same for long is right whatever its
// epoch: then the sentinels were set up anew and count from the beginning. A sentinel that invents
// both an epoch and a node which claims to be primary cannot be told from one that is right.
//
// Without sentinels the replicas vote with their feet: whoever promotes a node points the replicas
// at it, and one that its replicas left is no longer the primary. Equal numbers leave us where we
// are. The replication offset is no witness against the incumbent: it grows with what we ourselves
// write there. It only tells strangers apart, when the incumbent is gone.
#include "daemon/upstream/primary_choice.h"

#include <tuple>

namespace nearcached {
namespace {

// A stranger must have answered the last time it was asked; the incumbent may miss a few.
bool Stands(const NodeView& node, const ChoiceRules& rules) {
  return node.says_primary && (node.incumbent ? node.misses < rules.misses_max : node.misses == 0);
}

bool Better(const NodeView& a, const NodeView& b) {
  return std::tie(a.epoch, a.votes, a.replicas, a.offset) >
         std::tie(b.epoch, b.votes, b.replicas, b.offset);
}

bool HasMajority(const NodeView& node, const ChoiceRules& rules) {
  return node.votes > rules.sentinels / 2;
}

// Whether a node that says it is the primary may be followed at all.
bool Permitted(const NodeView& node, const ChoiceRules& rules) {
  if (node.incumbent || rules.sentinels == 0) {
    return true;
  }
  if (node.votes == 0 || !rules.found || node.insisted) {
    return node.votes > 0;
  }
  return node.epoch > 0 && rules.epoch > 0 ? node.epoch >= rules.epoch : HasMajority(node, rules);
}

bool Deposes(const NodeView& challenger, const NodeView& incumbent, const ChoiceRules& rules) {
  if (rules.sentinels == 0) {
    return challenger.replicas > incumbent.replicas;
  }
  const bool more = HasMajority(challenger, rules) && challenger.votes > incumbent.votes;
  if (challenger.epoch != incumbent.epoch && challenger.epoch > 0 && incumbent.epoch > 0) {
    return challenger.epoch > incumbent.epoch || (challenger.insisted && more);
  }
  return more;
}

}  // namespace

std::optional<std::size_t> ChoosePrimary(std::span<const NodeView> nodes,
                                         const ChoiceRules& rules) {
  std::optional<std::size_t> incumbent;
  std::optional<std::size_t> challenger;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!Stands(nodes[i], rules) || !Permitted(nodes[i], rules)) {
      continue;
    }
    if (nodes[i].incumbent) {
      incumbent = i;
    } else if (!challenger || Better(nodes[i], nodes[*challenger])) {
      challenger = i;
    }
  }
  if (!incumbent || !challenger) {
    return incumbent ? incumbent : challenger;
  }
  return Deposes(nodes[*challenger], nodes[*incumbent], rules) ? challenger : incumbent;
}

}  // namespace nearcached
