#include "daemon/upstream/primary_choice.h"

#include <optional>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using Choice = std::optional<std::size_t>;

constexpr ChoiceRules kStatic{.misses_max = 3, .sentinels = 0};
constexpr ChoiceRules kThreeSentinels{.misses_max = 3, .sentinels = 3};

NodeView Primary(std::size_t replicas = 0, std::uint32_t votes = 0) {
  return {.says_primary = true,
          .misses = 0,
          .replicas = replicas,
          .offset = 0,
          .votes = votes,
          .incumbent = false};
}

NodeView Followed(NodeView node, std::uint32_t misses = 0) {
  node.incumbent = true;
  node.misses = misses;
  return node;
}

NodeView Replica(std::uint32_t votes = 0) {
  NodeView node;
  node.votes = votes;
  return node;
}

Choice Choose(const std::vector<NodeView>& nodes, const ChoiceRules& rules) {
  return ChoosePrimary(nodes, rules);
}

TEST_CASE("a replica is never chosen, whoever calls it the primary") {
  CHECK(Choose({Replica(3)}, kThreeSentinels) == Choice());
  CHECK(Choose({Replica(), Replica()}, kStatic) == Choice());
  CHECK(Choose({}, kStatic) == Choice());
}

TEST_CASE("the one that says it is the primary is chosen") {
  CHECK(Choose({Replica(), Primary(), Replica()}, kStatic) == Choice(1));
  CHECK(Choose({Replica(), Primary(0, 1)}, kThreeSentinels) == Choice(1));
}

TEST_CASE("an incumbent that became a replica gives way to whoever is the primary") {
  CHECK(Choose({Followed(Replica()), Primary()}, kStatic) == Choice(1));
  CHECK(Choose({Followed(Replica(3)), Primary(0, 1)}, kThreeSentinels) == Choice(1));
}

TEST_CASE("an incumbent that missed a few questions stays, one that missed enough does not") {
  CHECK(Choose({Followed(Primary(1), 2), Primary(1)}, kStatic) == Choice(0));
  CHECK(Choose({Followed(Primary(1), 3), Primary(1)}, kStatic) == Choice(1));
  CHECK(Choose({Followed(Primary(1), 3), Replica()}, kStatic) == Choice());
}

TEST_CASE("a stranger must have answered the last time") {
  NodeView stranger = Primary(5);
  stranger.misses = 1;
  CHECK(Choose({Followed(Primary(0), 3), stranger}, kStatic) == Choice());
}

TEST_CASE("split brain without sentinels: replicas decide, and a tie changes nothing") {
  CHECK(Choose({Followed(Primary(0)), Primary(1)}, kStatic) == Choice(1));
  CHECK(Choose({Followed(Primary(1)), Primary(1)}, kStatic) == Choice(0));
  CHECK(Choose({Followed(Primary(2)), Primary(1)}, kStatic) == Choice(0));
}

TEST_CASE("the offset tells strangers apart, never a stranger from the incumbent") {
  NodeView ahead = Primary();
  ahead.offset = 100;
  CHECK(Choose({Primary(), ahead}, kStatic) == Choice(1));
  CHECK(Choose({Followed(Primary()), ahead}, kStatic) == Choice(0));
}

TEST_CASE("split brain with sentinels: a majority of those known moves us, less does not") {
  CHECK(Choose({Followed(Primary(2, 1)), Primary(0, 2)}, kThreeSentinels) == Choice(1));
  CHECK(Choose({Followed(Primary(0, 0)), Primary(2, 1)}, kThreeSentinels) == Choice(0));
  CHECK(Choose({Followed(Primary(0, 1), 3), Primary(0, 1)}, kThreeSentinels) == Choice(1));
}

TEST_CASE(
    "a newer configuration moves us, be it one sentinel's; an older or unknown one does not") {
  NodeView incumbent = Followed(Primary(2, 2));
  NodeView promoted = Primary(0, 1);
  CHECK(Choose({incumbent, promoted}, kThreeSentinels) == Choice(0));
  promoted.epoch = 7;
  CHECK(Choose({incumbent, promoted}, kThreeSentinels) == Choice(0));  // newer than what?
  incumbent.epoch = 6;
  CHECK(Choose({incumbent, promoted}, kThreeSentinels) == Choice(1));
  promoted.incumbent = true;
  incumbent.incumbent = false;
  CHECK(Choose({incumbent, promoted}, kThreeSentinels) ==
        Choice(1));  // nor do laggards move us back
  promoted.incumbent = false;
  incumbent.incumbent = true;
  incumbent.epoch = 8;
  CHECK(Choose({incumbent, promoted}, kThreeSentinels) == Choice(0));
  promoted.epoch = 9;
  promoted.votes = 0;  // it was named once, and no longer
  CHECK(Choose({incumbent, promoted}, kThreeSentinels) == Choice(0));
}

TEST_CASE("of strangers the one with most votes is chosen") {
  CHECK(Choose({Primary(3, 1), Primary(0, 2)}, kThreeSentinels) == Choice(1));
}

}  // namespace
}  // namespace nearcached
