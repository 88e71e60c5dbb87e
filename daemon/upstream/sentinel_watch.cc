#include "daemon/upstream/sentinel_watch.h"

#include <algorithm>
#include <utility>

#include "daemon/base/log.h"
#include "daemon/upstream/sentinel_reply.h"

namespace nearcached {
namespace {

// Every so many rounds a sentinel is asked which others there are.
constexpr std::uint32_t kIntroduceEvery = 10;

constexpr const char* kSwitchMaster = "+switch-master";

Duration SentinelPatience(const config::UpstreamConfig& config) {
  constexpr Duration kShortest = std::chrono::milliseconds(200);
  return std::max(kShortest, Duration(std::min(config.health_interval, config.connect_timeout)));
}

}  // namespace

struct SentinelWatch::Sentinel {
  config::HostPort address;
  bool configured = false;
  std::unique_ptr<ControlLink> questions;
  std::unique_ptr<ControlLink> events;  // subscribed; nothing else may be asked there but PING
  bool subscribed = false;
  bool asking = false;
  bool heard = false;  // answered or failed to, once at least
  std::uint32_t rounds = 0;
  std::string id;  // SENTINEL MYID; empty: older than that
  std::optional<config::HostPort> says;
  std::uint64_t epoch = 0;               // of what it says; 0: not known
  std::uint64_t next_epoch = 0;          // of what it is about to say
  std::uint64_t told_epoch = 0;          // that on_change was called for
  std::vector<config::HostPort> others;  // that it knows
};

SentinelWatch::SentinelWatch(const TopologyContext& context, std::function<void()> on_change)
    : context_(context), on_change_(std::move(on_change)) {
  for (const config::HostPort& address : context_.config.nodes) {
    sentinels_.push_back(MakeSentinel(address, true));
  }
}

SentinelWatch::~SentinelWatch() {
  context_.stats.sentinels_answering.Set(0);
}

std::unique_ptr<SentinelWatch::Sentinel> SentinelWatch::MakeSentinel(
    const config::HostPort& address, bool configured) {
  auto sentinel = std::make_unique<Sentinel>();
  sentinel->address = address;
  sentinel->configured = configured;
  const ControlLink::Terms terms{.endpoint = SentinelEndpointOf(address, context_.config),
                                 .username = context_.config.sentinel.username,
                                 .password = context_.config.sentinel.password,
                                 .timeout = SentinelPatience(context_.config)};
  const auto make_link = [&] {
    return std::make_unique<ControlLink>(context_.scheduler, context_.dialer,
                                         context_.stats.control, terms);
  };
  sentinel->questions = make_link();
  sentinel->events = make_link();
  Sentinel* const self = sentinel.get();
  sentinel->events->SetOnMessage([this, self](std::string_view channel, std::string_view payload) {
    OnMessage(*self, channel, payload);
  });
  return sentinel;
}

void SentinelWatch::Ask() {
  MeetOthers();
  std::int64_t answering = 0;
  for (const auto& sentinel : sentinels_) {
    answering += sentinel->says ? 1 : 0;
    AskOne(*sentinel);
    Subscribe(*sentinel);
  }
  context_.stats.sentinels_answering.Set(answering);
}

void SentinelWatch::AskOne(Sentinel& sentinel) {
  if (sentinel.asking) {
    return;  // bounded by its timeout
  }
  sentinel.asking = true;
  if (sentinel.rounds++ % kIntroduceEvery == 0) {
    Introduce(sentinel);
  }
  // Asked first, so that the address is no older. It counts from when that comes: until then a
  // sentinel still says what it said before. An ACL may forbid it.
  sentinel.questions->Ask({"SENTINEL", "MASTER", context_.config.sentinel.master_name},
                          [&sentinel](const Result<UpstreamReply>& reply) {
                            sentinel.next_epoch = reply.ok() ? ParseConfigEpoch(reply.value()) : 0;
                          });
  sentinel.questions->Ask(
      {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", context_.config.sentinel.master_name},
      [this, &sentinel](const Result<UpstreamReply>& reply) { OnAddress(sentinel, reply); });
}

// Who it is, and whom it knows. Both are luxuries: older sentinels and narrow ACLs refuse them.
void SentinelWatch::Introduce(Sentinel& sentinel) {
  sentinel.questions->Ask({"SENTINEL", "MYID"}, [&sentinel](const Result<UpstreamReply>& reply) {
    if (reply.ok() && reply.value().kind == UpstreamReply::Kind::kString) {
      sentinel.id = reply.value().text;
    }
  });
  sentinel.questions->Ask({"SENTINEL", "SENTINELS", context_.config.sentinel.master_name},
                          [&sentinel](const Result<UpstreamReply>& reply) {
                            if (reply.ok()) {
                              sentinel.others = ParseSentinels(reply.value(), kSentinelsMax);
                            }
                          });
}

void SentinelWatch::Subscribe(Sentinel& sentinel) {
  if (sentinel.events->waiting() > 0) {
    return;
  }
  if (!sentinel.events->standing()) {
    sentinel.subscribed = false;
  }
  // A subscription that is never written to would not notice that its peer is gone.
  const auto lost = [&sentinel](const Result<UpstreamReply>& reply) {
    sentinel.subscribed = reply.ok() && reply.value().kind == UpstreamReply::Kind::kArray;
  };
  if (sentinel.subscribed) {
    sentinel.events->Ask({"PING"}, lost);
  } else {
    sentinel.events->Ask({"SUBSCRIBE", kSwitchMaster}, lost);
  }
}

void SentinelWatch::OnAddress(Sentinel& sentinel, const Result<UpstreamReply>& reply) {
  sentinel.asking = false;
  const bool first = !std::exchange(sentinel.heard, true);
  const auto node = reply.ok() ? ParseMasterAddress(reply.value()) : reply.error();
  if (!node.ok()) {
    std::string trouble = "sentinel " + sentinel.address.ToString() + ": " + node.error().message;
    if (first || sentinel.says) {
      Log(LogLevel::kWarn, "sentinel_no_answer",
          "sentinel=" + sentinel.address.ToString() + " why=" + Quoted(node.error().message));
    }
    trouble_ = std::move(trouble);
  }
  sentinel.epoch = sentinel.next_epoch;
  const bool newer = sentinel.epoch != std::exchange(sentinel.told_epoch, sentinel.epoch);
  Say(sentinel, node.ok() ? std::optional(node.value()) : std::nullopt);
  if (first || newer) {
    on_change_();
  }
}

void SentinelWatch::OnMessage(Sentinel& sentinel, std::string_view channel,
                              std::string_view payload) {
  if (channel != kSwitchMaster) {
    return;
  }
  if (auto node = ParseSwitchMaster(payload, context_.config.sentinel.master_name)) {
    Log(LogLevel::kInfo, "sentinel_switch_master",
        "sentinel=" + sentinel.address.ToString() + " to=" + node->ToString());
    Say(sentinel, std::move(node));
    AskOne(sentinel);  // for the epoch
  }
}

void SentinelWatch::Say(Sentinel& sentinel, std::optional<config::HostPort> node) {
  if (sentinel.says != node) {
    sentinel.says = std::move(node);
    on_change_();
  }
}

// Takes in the sentinels that others name, and lets go of those that nobody names any more.
void SentinelWatch::MeetOthers() {
  std::vector<config::HostPort> named;
  for (const auto& sentinel : sentinels_) {
    named.insert(named.end(), sentinel->others.begin(), sentinel->others.end());
  }
  std::erase_if(sentinels_, [&](const auto& sentinel) {
    return !sentinel->configured && std::ranges::find(named, sentinel->address) == named.end();
  });
  for (const config::HostPort& address : named) {
    const bool met = std::ranges::any_of(
        sentinels_, [&](const auto& sentinel) { return sentinel->address == address; });
    if (!met && sentinels_.size() < kSentinelsMax) {
      sentinels_.push_back(MakeSentinel(address, false));
    }
  }
}

std::vector<SentinelWatch::Candidate> SentinelWatch::Candidates() const {
  std::vector<Candidate> candidates;
  std::vector<std::string_view> counted;
  for (const auto& sentinel : sentinels_) {
    if (!sentinel->says ||
        (!sentinel->id.empty() && std::ranges::find(counted, sentinel->id) != counted.end())) {
      continue;
    }
    counted.emplace_back(sentinel->id);
    auto known = std::ranges::find(candidates, *sentinel->says, &Candidate::node);
    if (known == candidates.end()) {
      known = candidates.insert(known, Candidate{*sentinel->says});
    }
    ++known->votes;
    known->epoch = std::max(known->epoch, sentinel->epoch);
  }
  return candidates;
}

std::uint32_t SentinelWatch::known() const {
  std::size_t known = 1;
  std::vector<std::string_view> ids;
  for (const auto& sentinel : sentinels_) {
    if (!sentinel->says) {
      continue;
    }
    known = std::max(known, sentinel->others.size() + 1);
    if (sentinel->id.empty() || std::ranges::find(ids, sentinel->id) == ids.end()) {
      ids.emplace_back(sentinel->id);
    }
  }
  return static_cast<std::uint32_t>(std::max(known, ids.size()));
}

bool SentinelWatch::settled() const {
  return std::ranges::all_of(
      sentinels_, [](const auto& sentinel) { return !sentinel->configured || sentinel->heard; });
}

}  // namespace nearcached
