#include "daemon/upstream/cluster_refresh.h"

#include <algorithm>
#include <utility>

#include "daemon/upstream/topology.h"
#include "proto/wire_errors.h"

namespace nearcached {

ClusterRefresh::ClusterRefresh(const Deps& deps, OnMap on_map, OnFailed on_failed)
    : deps_(deps),
      on_map_(std::move(on_map)),
      on_failed_(std::move(on_failed)),
      backoff_(deps.config.reconnect_delay_min, deps.config.reconnect_delay_max) {}

void ClusterRefresh::Request(const std::optional<Endpoint>& prefer) {
  if (prefer) {
    prefer_ = prefer;
  }
  if (asking_) {
    again_ = true;
    return;
  }
  const MonoTime now = deps_.scheduler.Now();
  const bool first = last_round_ == MonoTime{};
  Schedule(first ? Duration::zero()
                 : std::max<Duration>(Duration::zero(), last_round_ + kDebounce - now));
}

void ClusterRefresh::Stop() {
  stopped_ = true;
  timer_.reset();
  link_.reset();
}

// Never later than what is due already.
void ClusterRefresh::Schedule(Duration delay) {
  const MonoTime due = deps_.scheduler.Now() + delay;
  if (stopped_ || (timer_ != nullptr && due_ <= due)) {
    return;
  }
  due_ = due;
  timer_ = deps_.scheduler.After(delay, [this] { BeginRound(); });
}

void ClusterRefresh::BeginRound() {
  asking_ = true;
  again_ = false;
  candidates_.clear();
  const auto add = [&](const Endpoint& endpoint) {
    if (std::none_of(candidates_.begin(), candidates_.end(),
                     [&](const Endpoint& known) { return known == endpoint; })) {
      candidates_.push_back(endpoint);
    }
  };
  if (prefer_) {
    add(*std::exchange(prefer_, std::nullopt));
  }
  for (std::size_t i = 0; i < known_.size(); ++i) {
    add(known_[(turn_ + i) % known_.size()]);
  }
  for (const config::HostPort& node : deps_.config.nodes) {
    add(EndpointOf(node, deps_.config));
  }
  ++turn_;
  std::reverse(candidates_.begin(), candidates_.end());
  AskNext();
}

void ClusterRefresh::AskNext() {
  if (candidates_.empty()) {
    deps_.stats.refreshes_failed.Add();
    EndRound();
    Schedule(backoff_.Next(deps_.rng));
    on_failed_(why_);
    return;
  }
  const Endpoint& endpoint = candidates_.back();
  if (link_ == nullptr || link_->endpoint() != endpoint) {
    link_ =
        std::make_unique<ControlLink>(deps_.scheduler, deps_.dialer, deps_.stats.control,
                                      ControlLink::Terms{.endpoint = endpoint,
                                                         .username = deps_.config.username,
                                                         .password = deps_.config.password,
                                                         .timeout = deps_.config.connect_timeout});
  }
  Ask(false);
}

void ClusterRefresh::Ask(bool shards) {
  link_->Ask({"CLUSTER", shards ? "SHARDS" : "SLOTS"},
             [this, shards](const Result<UpstreamReply>& reply) { OnReply(reply, shards); });
}

void ClusterRefresh::OnReply(const Result<UpstreamReply>& reply, bool shards) {
  const Endpoint asked = link_->endpoint();
  if (!reply.ok()) {
    NextCandidate(reply.error().message);
    return;
  }
  if (reply.value().is_error()) {
    if (!shards && reply.value().text.starts_with("ERR unknown subcommand")) {
      Ask(true);
      return;
    }
    NextCandidate(proto::Printable(reply.value().text));
    return;
  }
  const auto map = shards ? ParseClusterShards(reply.value(), asked, deps_.config.tls.enabled)
                          : ParseClusterSlots(reply.value(), asked);
  if (!map || map->covered == 0) {
    NextCandidate(map ? "the node knows of no slots" : "its slot map makes no sense");
    return;
  }
  deps_.stats.refreshes.Add();
  backoff_.Reset();
  known_ = map->primaries;
  EndRound();
  Schedule(again_ ? kDebounce : Duration(deps_.config.cluster_refresh_interval));
  on_map_(*map);
}

// The link may not be replaced in its own callback.
void ClusterRefresh::NextCandidate(std::string_view why) {
  why_ = candidates_.back().ToString() + ": " + std::string(why);
  candidates_.pop_back();
  timer_ = deps_.scheduler.After(Duration::zero(), [this] { AskNext(); });
}

void ClusterRefresh::EndRound() {
  asking_ = false;
  last_round_ = deps_.scheduler.Now();
  timer_.reset();
  due_ = MonoTime::max();
}

}  // namespace nearcached
