// Split brain: two nodes say that they are the primary. It happens whenever a primary comes back
// that was replaced while it was away, when it is cut off from the rest but not from us, and when
// an operator promotes a replica before demoting the primary. Neither is lying; one of them will
// lose what it is told (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
//
// Sentinels, where there are some, number their configurations: every failover gets a higher epoch.
// A name with a higher epoch than the incumbent ever had moves us, even away from an incumbent that
// still answers, because what is written there will be thrown away; the sentinel that led the
// failover knows it a second or two before the others. Where epochs are not to be
// had, a majority of all that are known does. One sentinel that lags has an old epoch, and changes
// nothing while the incumbent stands. Once it does not, any node that a sentinel names and that
// says so itself is better than none. A sentinel that invents both an epoch and a node which claims
// to be primary cannot be told from one that is right.
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

bool Deposes(const NodeView& challenger, const NodeView& incumbent, const ChoiceRules& rules) {
  if (rules.sentinels > 0) {
    if (challenger.votes == 0) {
      return false;
    }
    // Epochs alone where both are known: those who lag may be the majority for a while.
    if (challenger.epoch != incumbent.epoch && challenger.epoch > 0 && incumbent.epoch > 0) {
      return challenger.epoch > incumbent.epoch;
    }
    return challenger.votes > rules.sentinels / 2 && challenger.votes > incumbent.votes;
  }
  return challenger.replicas > incumbent.replicas;
}

}  // namespace

std::optional<std::size_t> ChoosePrimary(std::span<const NodeView> nodes,
                                         const ChoiceRules& rules) {
  std::optional<std::size_t> incumbent;
  std::optional<std::size_t> challenger;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!Stands(nodes[i], rules)) {
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
