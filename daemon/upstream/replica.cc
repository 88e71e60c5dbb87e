#include "daemon/upstream/replica.h"

#include <algorithm>

#include "daemon/base/log.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

ControlLink::Terms TermsOf(const Endpoint& endpoint, const config::UpstreamConfig& config) {
  const Duration patience =
      std::max<Duration>(std::chrono::milliseconds(200),
                         Duration(std::min(config.health_interval, config.connect_timeout)));
  return {.endpoint = endpoint,
          .username = config.username,
          .password = config.password,
          .timeout = patience};
}

}  // namespace

Replica::Replica(const Deps& deps, Endpoint endpoint)
    : deps_(deps),
      endpoint_(std::move(endpoint)),
      gate_(deps.config, deps.rng, deps.stats.links),
      control_(deps.scheduler, deps.dialer, deps.stats.control, TermsOf(endpoint_, deps.config)) {}

Replica::~Replica() = default;

// ---- whether it can be read ---------------------------------------------------------------------

void Replica::Look() {
  if (std::exchange(asking_, true)) {
    return;
  }
  const MonoTime asked = deps_.scheduler.Now();
  control_.Ask({"INFO", "replication"},
               [this, asked](const Result<UpstreamReply>& reply) { OnAnswer(reply, asked); });
}

void Replica::OnAnswer(const Result<UpstreamReply>& reply, MonoTime asked) {
  asking_ = false;
  heard_ = true;
  const auto info = reply.ok() ? ParseReplicationInfo(reply.value()) : reply.error();
  std::string why_not = info.ok() ? Judge(info.value(), asked) : info.error().message;
  if (!why_not.empty()) {
    Leave(why_not);
  } else if (!std::exchange(fit_, true)) {
    Log(LogLevel::kInfo, "replica_readable", "replica=" + endpoint_.ToString());
  }
  if (info.ok()) {
    round_trip_.Note(deps_.scheduler.Now() - asked);
  }
  deps_.on_look();
}

// Empty: it is a copy of the primary, up to applied_.
std::string Replica::Judge(const ReplicationInfo& info, MonoTime asked) {
  if (info.primary) {
    return "it is a primary";
  }
  if (!info.link_up) {
    return "its link to its primary is down";
  }
  const auto applied = deps_.clock.AppliedThrough(info.history, info.offset);
  if (!applied) {
    return deps_.clock.knows(info.history) ? "it is far behind its primary"
                                           : "its data is not known to be a copy of the primary's";
  }
  applied_ = *applied;
  confirmed_ = asked;
  return {};
}

void Replica::Leave(std::string_view why) {
  why_not_.assign(why);
  if (std::exchange(fit_, false)) {
    deps_.stats.left.Add();
    Log(LogLevel::kWarn, "replica_left",
        "replica=" + endpoint_.ToString() + " why=" + Quoted(why_not_));
  }
}

std::string Replica::WhyNot(MonoTime now) const {
  if (!fit_) {
    return why_not_;
  }
  return readable(now) ? std::string() : "it may be further behind than upstream.replica_lag_max";
}

// ---- lanes --------------------------------------------------------------------------------------

std::vector<Replica::Seat>& Replica::SeatsOf(const LaneKey& key) {
  std::vector<Seat>& seats = lanes_[key];
  for (std::size_t i = seats.size(); i < deps_.config.links; ++i) {
    auto link = std::make_unique<Link>(
        LinkContext{
            .scheduler = deps_.scheduler,
            .dialer = deps_.dialer,
            .topology = topology_,
            .config = deps_.config,
            .rng = deps_.rng,
            .coherence = deps_.coherence,
            .stats = deps_.stats.links,
            .gate = gate_,
            .observer = *this,
            .renamed = deps_.commands.renamed().empty() ? nullptr : &deps_.commands.renamed()},
        Link::Spec{.purpose = Link::Purpose::kLane,
                   .db = key.first,
                   .protocol = key.second,
                   .id = static_cast<std::uint16_t>(i),
                   .read_only = deps_.clustered});
    auto lane = std::make_unique<SecondChance>(
        *link, deps_.primary, static_cast<SecondChance::Observer&>(*this), deps_.stats,
        ++deps_.stats.lanes_made, deps_.clustered);
    seats.push_back({std::move(link), std::move(lane)});
  }
  return seats;
}

// One that is stuck behind somebody's slow command is taken only where there is no other.
SecondChance* Replica::Lane(DbIndex db, proto::Protocol protocol, std::uint64_t client) {
  const MonoTime now = deps_.scheduler.Now();
  std::vector<Seat>& seats = SeatsOf({db, protocol});
  SecondChance* stuck = nullptr;
  for (std::size_t further = 0; further < seats.size(); ++further) {
    const Seat& seat = seats[(client + further) % seats.size()];
    seat.link->Open();
    if (seat.link->state() != Link::State::kReady || seat.link->renewing() ||
        confirmed_ <= seat.link->ready_since() || gate_.refuses(now)) {
      continue;
    }
    if (!seat.link->StuckAt(now)) {
      return seat.lane.get();
    }
    stuck = stuck == nullptr ? seat.lane.get() : stuck;
  }
  return stuck;
}

void Replica::OnLinkReady(Link& /*link*/, const Handshake& /*handshake*/) {
  deps_.on_doubt();  // only what is heard from now on counts for it
}

void Replica::OnLinkDown(Link& link, std::string_view why) {
  if (link.closed_by_us()) {
    return;
  }
  Leave(why);
  deps_.on_doubt();
}

void Replica::OnReplicaSick(std::string_view error) {
  const std::size_t end = std::min(error.find('\r'), error.size());
  Leave("it says: " + proto::Printable(error.substr(1, end - 1)));
  deps_.on_doubt();
}

// ---- turns and time -----------------------------------------------------------------------------

void Replica::Flush() {
  std::vector<Link*> dirty = std::exchange(dirty_, {});
  for (Link* link : dirty) {
    link->Flush();
  }
}

void Replica::ForEachLink(const std::function<void(const LaneKey&, Link&)>& visit) {
  for (auto& [key, seats] : lanes_) {
    for (const Seat& seat : seats) {
      visit(key, *seat.link);
    }
  }
}

// As the pool looks after its lanes: those of the database clients start in are kept.
void Replica::Tick() {
  const MonoTime now = deps_.scheduler.Now();
  ForEachLink([&](const LaneKey& key, Link& link) {
    const bool standing = link.state() == Link::State::kReady;
    if (standing && key.first != deps_.config.db && link.unanswered() == 0 &&
        now - link.last_used() >= Duration(deps_.config.pool.idle_timeout)) {
      deps_.stats.links.closed_idle.Add();
      link.Close("no longer needed");
      return;
    }
    if (standing && link.outlived(now)) {
      link.Renew(deps_.stats.links.closed_lifetime, "upstream.pool.max_lifetime is over");
    }
    link.CheckHealth();
  });
}

void Replica::Reconnect() {
  ForEachLink([this](const LaneKey& /*key*/, Link& link) {
    link.Renew(deps_.stats.links.closed_reconnect, "asked to reconnect");
  });
}

void Replica::Close(std::string_view why) {
  ForEachLink([&](const LaneKey& /*key*/, Link& link) { link.Close(why); });
}

bool Replica::closed() const {
  return !asking_ && std::ranges::all_of(lanes_, [](const auto& lanes) {
    return std::ranges::all_of(
        lanes.second, [](const Seat& seat) { return seat.link->state() == Link::State::kClosed; });
  });
}

std::size_t Replica::links_standing() const {
  std::size_t standing = 0;
  for (const auto& [key, seats] : lanes_) {
    standing += static_cast<std::size_t>(std::ranges::count_if(
        seats, [](const Seat& seat) { return seat.link->state() == Link::State::kReady; }));
  }
  return standing;
}

}  // namespace nearcached
