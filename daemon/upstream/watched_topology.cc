#include "daemon/upstream/watched_topology.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/base/log.h"
#include "daemon/upstream/role.h"

namespace nearcached {
namespace {

using std::chrono::milliseconds;

// The pace while something is wrong, and how many rounds of it: a primary that stays away is not
// asked for ten times a second for ever.
constexpr Duration kQuickPace = milliseconds(100);
constexpr std::uint32_t kQuickRounds = 100;
// At the start every node is given this long to say what it is, so that one which came back from
// the dead and answers first is not taken for the primary.
constexpr Duration kSettleTime = milliseconds(300);
// A majority of sentinels with an old epoch lags for a second or two; one that goes on for this
// long does not lag.
constexpr Duration kInsistTime = std::chrono::seconds(10);

}  // namespace

struct WatchedTopology::Node {
  config::HostPort address;
  std::unique_ptr<ControlLink> link;
  NodeView view;
  std::optional<MonoTime> majority_since;  // of sentinels' votes
  bool heard = false;                      // answered or failed to, once at least
  bool asking = false;
  bool ask_again = false;  // a doubt came while it was being asked
};

WatchedTopology::WatchedTopology(const TopologyContext& context)
    : context_(context), last_(context.config.nodes.front()) {}

WatchedTopology::~WatchedTopology() = default;

Endpoint WatchedTopology::Primary() const {
  return EndpointOf(last_, context_.config);
}

void WatchedTopology::Start(TopologyObserver& observer) {
  observer_ = &observer;
  started_ = context_.scheduler.Now();
  quick_left_ = kQuickRounds;
  if (context_.config.topology == config::TopologyKind::kSentinel) {
    sentinels_ = std::make_unique<SentinelWatch>(context_, [this] { TakeVotes(); });
  } else {
    for (const config::HostPort& address : context_.config.nodes) {
      MakeNode(address);
    }
  }
  ArmTick(Duration::zero());
}

void WatchedTopology::Stop() {
  observer_ = nullptr;
  tick_.reset();
  sentinels_.reset();
  incumbent_ = nullptr;
  nodes_.clear();
  context_.stats.nodes.Set(0);
  context_.stats.primary_known.Set(0);
}

// ---- rounds -------------------------------------------------------------------------------------

void WatchedTopology::ArmTick(Duration delay) {
  tick_ = context_.scheduler.After(delay, [this] { OnTick(); });
}

// Something is wrong or unknown, so the next round should come soon.
bool WatchedTopology::Uneasy() const {
  return incumbent_ == nullptr || incumbent_->view.misses > 0;
}

void WatchedTopology::OnTick() {
  last_tick_ = context_.scheduler.Now();
  if (sentinels_ != nullptr) {
    // Here, because no control link is in the middle of a callback.
    std::erase_if(nodes_, [&](const auto& node) {
      return node->view.votes == 0 && node.get() != incumbent_;
    });
    sentinels_->Ask();
  }
  context_.stats.nodes.Set(static_cast<std::int64_t>(nodes_.size()));
  for (const auto& node : nodes_) {
    Probe(*node);
  }
  const bool quick = Uneasy() && quick_left_ > 0;
  quick_left_ -= quick ? 1 : 0;
  const Duration pace(context_.config.health_interval);
  ArmTick(quick ? std::min(kQuickPace, pace) : pace);
  if (!decided_) {
    Decide();  // the time to settle may be over without a word from anybody
  }
}

void WatchedTopology::Suspect(std::string_view why) {
  if (observer_ == nullptr) {
    return;
  }
  context_.stats.suspicions.Add();
  why_.assign(why);
  if (quick_left_ == 0) {
    return;  // it has been away for long: rounds go on at their usual pace
  }
  const Duration since = context_.scheduler.Now() - last_tick_;
  ArmTick(since >= kDoubtGap ? Duration::zero() : kDoubtGap - since);
}

WatchedTopology::Node& WatchedTopology::MakeNode(const config::HostPort& address) {
  auto node = std::make_unique<Node>();
  node->address = address;
  const config::UpstreamConfig& config = context_.config;
  const Duration patience = std::max<Duration>(
      milliseconds(200), Duration(std::min(config.health_interval, config.connect_timeout)));
  node->link =
      std::make_unique<ControlLink>(context_.scheduler, context_.dialer, context_.stats.control,
                                    ControlLink::Terms{.endpoint = EndpointOf(address, config),
                                                       .username = config.username,
                                                       .password = config.password,
                                                       .timeout = patience});
  nodes_.push_back(std::move(node));
  return *nodes_.back();
}

void WatchedTopology::Probe(Node& node) {
  if (node.asking) {
    node.ask_again = true;
    return;
  }
  node.asking = true;
  node.link->Ask({"ROLE"},
                 [this, &node](const Result<UpstreamReply>& reply) { OnRole(node, reply); });
}

// ---- what nodes and sentinels say ---------------------------------------------------------------

void WatchedTopology::OnRole(Node& node, const Result<UpstreamReply>& reply) {
  node.asking = false;
  node.heard = true;
  const auto role = reply.ok() ? ParseRole(reply.value()) : reply.error();
  if (role.ok()) {
    if (node.view.votes > 0 && !role.value().primary) {
      context_.stats.refuted.Add();
    }
    node.view.says_primary = role.value().primary;
    node.view.replicas = role.value().replicas;
    node.view.offset = role.value().offset;
    node.view.misses = 0;
  } else if (++node.view.misses == 1) {
    Log(&node == incumbent_ ? LogLevel::kWarn : LogLevel::kInfo, "node_does_not_answer",
        "node=" + node.address.ToString() + " why=" + Quoted(role.error().message));
    why_ = role.error().message;
  }
  if (std::exchange(node.ask_again, false) && node.view.misses == 0) {
    Probe(node);
  }
  Decide();
}

void WatchedTopology::TakeVotes() {
  const auto candidates = sentinels_->Candidates();
  for (const auto& node : nodes_) {
    const auto named =
        std::ranges::find(candidates, node->address, &SentinelWatch::Candidate::node);
    node->view.votes = named == candidates.end() ? 0 : named->votes;
    node->view.epoch = std::max(node->view.epoch, named == candidates.end() ? 0 : named->epoch);
  }
  for (const auto& candidate : candidates) {
    const bool known = std::ranges::any_of(
        nodes_, [&](const auto& node) { return node->address == candidate.node; });
    if (!known) {
      Node& node = MakeNode(candidate.node);
      node.view.votes = candidate.votes;
      node.view.epoch = candidate.epoch;
    }
  }
  for (const auto& node : nodes_) {
    if (node->view.votes > 0 && node.get() != incumbent_) {
      Probe(*node);  // a new name, or a new vote for an old one: what does it say itself?
    }
  }
  Decide();
}

// ---- the decision -------------------------------------------------------------------------------

bool WatchedTopology::Settled() const {
  if (context_.scheduler.Now() - started_ >= kSettleTime) {
    return true;
  }
  return (sentinels_ == nullptr || sentinels_->settled()) &&
         std::ranges::all_of(nodes_, [](const auto& node) { return node->heard; });
}

void WatchedTopology::Decide() {
  if (!decided_ && !Settled()) {
    return;
  }
  const bool first = !std::exchange(decided_, true);
  const ChoiceRules rules{.misses_max = context_.config.health_misses,
                          .found = found_,
                          .epoch = epoch_,
                          .sentinels = sentinels_ == nullptr ? 0 : sentinels_->known()};
  const std::vector<NodeView> views = View(rules.sentinels);
  LogRound(static_cast<std::size_t>(std::ranges::count_if(
      views, [](const NodeView& view) { return view.says_primary && view.misses == 0; })));
  const auto choice = ChoosePrimary(views, rules);
  Node* const chosen = choice ? nodes_[*choice].get() : nullptr;
  if (chosen != nullptr && chosen->view.misses == 0) {
    quick_left_ = kQuickRounds;
    // Of the incumbent, too: its epoch may have become known later than itself.
    epoch_ = chosen->view.insisted ? chosen->view.epoch : std::max(epoch_, chosen->view.epoch);
  }
  if (first && chosen == nullptr) {
    const std::string& trouble = sentinels_ == nullptr ? why_ : sentinels_->trouble();
    Log(LogLevel::kWarn, "no_primary",
        "before=none effect=\"requests fail until a node says it is the primary\" why=" +
            Quoted(trouble.empty() ? "no node says it is the primary" : trouble));
  }
  // An incumbent that does not answer stays where links are dialled while there is no better: it
  // may come back, and until then they fail and say why. One that says it is a replica does not.
  const bool silent = incumbent_ != nullptr && incumbent_->view.says_primary;
  if (chosen != incumbent_ && (chosen != nullptr || !silent)) {
    Follow(chosen);
  }
}

std::vector<NodeView> WatchedTopology::View(std::uint32_t sentinels) {
  const MonoTime now = context_.scheduler.Now();
  std::vector<NodeView> views;
  views.reserve(nodes_.size());
  for (const auto& node : nodes_) {
    if (sentinels == 0 || node->view.votes <= sentinels / 2) {
      node->majority_since.reset();
    } else if (!node->majority_since) {
      node->majority_since = now;
    }
    node->view.insisted = node->majority_since && now - *node->majority_since >= kInsistTime;
    node->view.incumbent = node.get() == incumbent_;
    views.push_back(node->view);
  }
  return views;
}

void WatchedTopology::LogRound(std::size_t primaries) {
  const bool split = primaries > 1;
  if (split) {
    context_.stats.split_brain.Add();
  }
  if (split == std::exchange(split_, split) || !split) {
    return;
  }
  std::string who;
  for (const auto& node : nodes_) {
    if (node->view.says_primary && node->view.misses == 0) {
      who += (who.empty() ? "" : ",") + node->address.ToString();
    }
  }
  Log(LogLevel::kWarn, "split_brain",
      "nodes=" + who + " effect=\"writes to all of them but one will be lost\"");
}

void WatchedTopology::Follow(Node* node) {
  const std::string before = incumbent_ == nullptr ? "none" : incumbent_->address.ToString();
  incumbent_ = node;
  context_.stats.primary_known.Set(node == nullptr ? 0 : 1);
  if (node == nullptr) {
    context_.stats.losses.Add();
    Log(LogLevel::kWarn, "no_primary",
        "before=" + before + " effect=\"requests fail until a node says it is the primary\" why=" +
            Quoted(why_.empty() ? "it says that it is a replica" : why_));
  } else {
    if (std::exchange(found_, true) && last_ != node->address) {
      context_.stats.switches.Add();
    }
    last_ = node->address;
    Log(LogLevel::kInfo, "primary_changed",
        "from=" + before + " to=" + last_.ToString() + " replicas=" +
            std::to_string(node->view.replicas) + " votes=" + std::to_string(node->view.votes) +
            (why_.empty() ? "" : " why=" + Quoted(why_)));
    why_.clear();
  }
  observer_->OnPrimaryChanged();
}

}  // namespace nearcached
