// Split brain: two nodes say that they are the primary. It happens whenever a primary comes back
// that was replaced while it was away, when it is cut off from the rest but not from us, and when
// an operator promotes a replica before demoting the primary. Neither is lying; one of them will
// lose what it is told (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
//
// Sentinels, where there are some, have voted: a majority of all that are known moves us, even away
// from an incumbent that still answers, because what is written there will be thrown away. Less
// than a majority does not, so one sentinel that lags or lies changes nothing while the incumbent
// stands. Once it does not stand, any node that a sentinel names and that says so itself is better
// than none.
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
  return std::tie(a.votes, a.replicas, a.offset) > std::tie(b.votes, b.replicas, b.offset);
}

bool Deposes(const NodeView& challenger, const NodeView& incumbent, const ChoiceRules& rules) {
  if (rules.sentinels > 0) {
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
