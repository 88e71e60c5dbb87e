#include "daemon/upstream/pool.h"

#include <algorithm>

#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "daemon/upstream/command_reply.h"
#include "proto/encode.h"
#include "proto/invalidation.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// What follows CLIENT TRACKING ON in the handshake of a fill link.
std::vector<std::string> TrackingOptions(const Pool::Deps& deps) {
  std::vector<std::string> options;
  if (deps.method == config::TrackingConfig::Method::kBcast) {
    options.emplace_back("BCAST");
    for (const std::string& prefix : deps.broadcast) {
      options.insert(options.end(), {"PREFIX", prefix});
    }
  }
  return options;
}

}  // namespace

std::string_view PurposeText(Link::Purpose purpose) {
  switch (purpose) {
    case Link::Purpose::kLane:
      return "lane";
    case Link::Purpose::kFill:
      return "fill";
    case Link::Purpose::kTracker:
      return "tracker";
    case Link::Purpose::kExclusive:
      return "exclusive";
  }
  return "?";
}

Pool::Pool(const Deps& deps)
    : deps_(deps),
      own_stats_(deps.shared_stats == nullptr ? std::make_unique<UpstreamStats>() : nullptr),
      stats_(deps.shared_stats == nullptr ? *own_stats_ : *deps.shared_stats),
      gate_(deps.config, deps.rng, stats_),
      tracking_options_(TrackingOptions(deps)),
      redirection_(*this, stats_, *this, deps.config.db),
      exclusive_({deps.scheduler, deps_.config, stats_, *this}) {
  if (deps_.tracking == config::TrackingConfig::Mode::kOff) {
    ttl_only_ = true;
    ttl_only_why_ = "tracking.mode is off";
  }
  UpdateTrackingGauge();
}

void Pool::SetCoherence(Coherence& coherence) {
  coherence_ = &coherence;
  if (deps_.login != LoginKind::kClient) {
    SayHoldAfterLoss();  // those that fill
  }
}

void Pool::SayHoldAfterLoss() {
  const Duration timeout = deps_.config.command_timeout;
  coherence_->SetHoldAfterLoss(ttl_only_ ? timeout : Duration::zero(), timeout);
}

Pool::~Pool() {
  NC_CHECK(shut_down_);
}

std::unique_ptr<Link> Pool::MakeLink(const Link::Spec& spec) {
  return std::make_unique<Link>(
      LinkContext{deps_.scheduler, deps_.dialer, deps_.topology, deps_.config, deps_.rng,
                  *coherence_, stats_, gate_, *this, deps_.login,
                  deps_.commands.renamed().empty() ? nullptr : &deps_.commands.renamed(),
                  &tracking_options_},
      spec);
}

void Pool::Start(bool fill) {
  std::uint64_t seat = 0;
  Lane(deps_.config.db, proto::Protocol::kResp2, seat, false);
  lanes_.begin()->second.front()->Open();
  if (fill) {
    for (std::uint64_t i = 0; i < deps_.config.fill_links; ++i) {
      FillLink(deps_.config.db, i).Open();
    }
  }
  tick_ = deps_.scheduler.After(deps_.config.health_interval, [this] { OnTick(); });
}

// ---- lanes --------------------------------------------------------------------------------------

std::vector<std::unique_ptr<Link>>& Pool::LanesOf(DbIndex db, proto::Protocol protocol) {
  auto& lanes = lanes_[{db, protocol}];
  if (lanes.empty()) {
    for (std::uint32_t i = 0; i < deps_.config.links; ++i) {
      lanes.push_back(MakeLink({.purpose = Link::Purpose::kLane,
                                .db = db,
                                .protocol = protocol,
                                .track = false,
                                .id = static_cast<std::uint16_t>(i)}));
    }
  }
  return lanes;
}

UpstreamLink& Pool::Lane(DbIndex db, proto::Protocol protocol, std::uint64_t& seat, bool may_move) {
  auto& lanes = LanesOf(db, protocol);
  if (may_move) {
    const MonoTime now = deps_.scheduler.Now();
    for (std::size_t further = 0; further < lanes.size(); ++further) {
      if (!lanes[(seat + further) % lanes.size()]->StuckAt(now)) {
        seat += further;
        break;
      }
    }
  }
  return *lanes[seat % lanes.size()];
}

// Transactions, subscriptions and blocked clients that have a link go on to their end; the next do
// not begin.
ExclusiveLink* Pool::Borrow(DbIndex db, proto::Protocol protocol, ExclusiveOwner& owner,
                            std::uint64_t session, std::string_view& error_line) {
  if (gate_.maintenance()) {
    stats_.refused_down.Add();
    borrow_refusal_ = proto::UpstreamInMaintenance(EndpointText(), deps_.config.maintenance_key);
    error_line = borrow_refusal_;
    return nullptr;
  }
  return exclusive_.Borrow(db, protocol, owner, session, error_line);
}

bool Pool::LaneCrowded(DbIndex db, proto::Protocol protocol, std::uint64_t seat,
                       std::size_t own) const {
  const auto lanes = lanes_.find({db, protocol});
  return lanes != lanes_.end() && lanes->second[seat % lanes->second.size()]->Crowded(own);
}

bool Pool::LaneFull(DbIndex db, proto::Protocol protocol, std::uint64_t seat,
                    std::size_t bytes) const {
  const auto lanes = lanes_.find({db, protocol});
  return lanes != lanes_.end() && lanes->second[seat % lanes->second.size()]->Full(bytes);
}

bool Pool::LaneHolds(DbIndex db, proto::Protocol protocol, std::uint64_t seat) {
  auto& lanes = LanesOf(db, protocol);
  Link& link = *lanes[seat % lanes.size()];
  link.Open();
  return holding() || link.holding() || link.opening();
}

bool Pool::AskOnLane(DbIndex db, proto::Protocol protocol, std::uint64_t seat,
                     const std::vector<std::string>& command,
                     std::function<void(const UpstreamReply*)> done) {
  const auto lanes = lanes_.find({db, protocol});
  if (lanes == lanes_.end()) {
    return false;
  }
  Link& link = *lanes->second[seat % lanes->second.size()];
  if (link.state() != Link::State::kReady) {
    return false;
  }
  link.Ask(command, std::move(done));
  return true;
}

Duration Pool::SilenceBound() const {
  const Duration interval = deps_.config.health_interval;
  return interval * deps_.config.health_misses + interval * 5 / 2;
}

void Pool::GiveUp(std::unique_ptr<Link> link, std::string_view why) {
  link->Close(why);
  given_up_.push_back(std::move(link));  // may be in the middle of its own callback
}

// ---- what links say -----------------------------------------------------------------------------

void Pool::OnLinkReady(Link& link, const Handshake& handshake) {
  if (deps_.parent == nullptr) {
    coherence_->OnUpstreamBack();
  } else {
    deps_.parent->OnNodeBack(*this);
  }
  if (!handshake.server_version().empty() && handshake.server_version() != server_version_) {
    // Another server than before may know other commands; a first name for the same one says
    // nothing.
    commands_asked_ = commands_asked_ && server_version_.empty();
    server_version_ = handshake.server_version();
  }
  if (link.spec().purpose == Link::Purpose::kFill) {
    OnFillLinkReady(link, handshake);
  } else if (link.spec().purpose == Link::Purpose::kTracker) {
    redirection_.OnReady();
  } else if (link.spec().purpose == Link::Purpose::kExclusive) {
    exclusive_.OnLinkReady(link);
  }
  if (!commands_asked_ && deps_.login != LoginKind::kClient &&
      link.spec().purpose != Link::Purpose::kExclusive &&
      link.spec().purpose != Link::Purpose::kTracker) {
    commands_asked_ = true;
    LearnCommands(link);
  }
  WakeRecovered();
}

// The upstream is there again: nobody needs to wait for the end of a delay.
void Pool::WakeRecovered() {
  if (!gate_.TakeRecovered()) {
    return;
  }
  for (auto& [key, lanes] : lanes_) {
    for (auto& link : lanes) {
      link->Wake();
    }
  }
  ForEachFill([](Link& link) { link.Wake(); });
  if (redirection_.tracker() != nullptr) {
    redirection_.tracker()->Wake();
  }
}

void Pool::LearnCommands(Link& link) {
  link.Ask({"COMMAND"}, [this](const UpstreamReply* reply) {
    if (reply == nullptr || reply->kind != UpstreamReply::Kind::kArray) {
      commands_asked_ =
          false;  // asked again with the next link; the built-in table serves till then
      return;
    }
    const auto report = deps_.commands.MergeUpstream(ParseCommandReply(*reply));
    Log(LogLevel::kInfo, "commands_learned",
        "added=" + std::to_string(report.added) + " widened=" + std::to_string(report.widened) +
            " refused=" + std::to_string(report.refused));
  });
}

void Pool::OnLinkDown(Link& link, std::string_view why) {
  const bool ours = shut_down_ || link.closed_by_us();
  if (!ours) {
    deps_.topology.Suspect(why);
    last_failure_.assign(why);
  }
  Log(ours ? LogLevel::kDebug : LogLevel::kWarn, "upstream_link_down",
      "upstream=" + EndpointText() + " db=" + std::to_string(link.spec().db) +
          " purpose=" + std::string(PurposeText(link.spec().purpose)) + " why=" + Quoted(why));
  if (link.spec().protocol == proto::Protocol::kResp3 &&
      link.spec().purpose != Link::Purpose::kFill && why == "the upstream does not speak RESP3") {
    speaks_resp3_ = false;
  }
  if (link.spec().purpose == Link::Purpose::kFill) {
    if (deps_.parent == nullptr) {
      coherence_->OnFillersLost({{link.owner()}}, !ours);
    } else if (!ttl_only_) {
      deps_.parent->OnFillLinkLost(*this, !ours);
    }
    UpdateTrackingGauge();
  } else if (link.spec().purpose == Link::Purpose::kTracker) {
    redirection_.OnDown(!ours);
  }
}

void Pool::OnLinkPush(Link& link, std::string_view frame) {
  const Link::Purpose purpose = link.spec().purpose;
  if (purpose != Link::Purpose::kFill && purpose != Link::Purpose::kTracker) {
    return;
  }
  push_keys_.clear();
  switch (proto::ParseInvalidation(frame, push_keys_)) {
    case proto::PushKind::kInvalidateKeys:
      coherence_->OnInvalidate(push_keys_);
      break;
    case proto::PushKind::kInvalidateAll:
      coherence_->Flush(FlushReason::kPush);
      break;
    case proto::PushKind::kOther:
      if (proto::IsRedirectionBroken(frame) && redirection_.tracker() != nullptr) {
        redirection_.OnBroken();
      }
      break;
  }
}

// ---- turns and time -----------------------------------------------------------------------------

void Pool::Flush() {
  WakeRecovered();
  if (deps_.parent == nullptr) {  // who has several knows which of them has waited longest
    stats_.exclusive_oldest_wait_ns.Set(exclusive_.oldest_wait().count());
  }
  std::vector<Link*> dirty = std::exchange(dirty_, {});
  for (Link* link : dirty) {
    link->Flush();
  }
  if (dirty_.empty()) {
    dirty.clear();
    dirty_ = std::move(dirty);  // keeps its capacity
  }
  if (exclusive_.may_be_short() && up() && !gate_.refuses(deps_.scheduler.Now())) {
    exclusive_.FillUp();
  }
  if (!given_up_.empty()) {
    std::erase_if(dirty_, [&](const Link* link) {
      return std::any_of(given_up_.begin(), given_up_.end(),
                         [&](const auto& gone) { return gone.get() == link; });
    });
    given_up_.clear();
  }
}

void Pool::OnTick() {
  for (auto& [key, lanes] : lanes_) {
    TickLanes(key, lanes);
  }
  ForEachFill([](Link& link) { link.CheckHealth(); });
  redirection_.Tick();
  exclusive_.Tick(up() && !gate_.refuses(deps_.scheduler.Now()));
  tick_ = deps_.scheduler.After(deps_.config.health_interval, [this] { OnTick(); });
}

// Lanes of the database clients start in are kept; those of others go when nobody uses them.
void Pool::TickLanes(const LaneKey& key, std::vector<std::unique_ptr<Link>>& lanes) {
  const MonoTime now = deps_.scheduler.Now();
  const bool kept = key.first == deps_.config.db;
  for (auto& link : lanes) {
    const bool standing = link->state() == Link::State::kReady;
    if (standing && !kept && link->unanswered() == 0 &&
        now - link->last_used() >= Duration(deps_.config.pool.idle_timeout)) {
      stats_.closed_idle.Add();
      link->Close("no longer needed");
    } else {
      if (standing && link->outlived(now)) {
        link->Renew(stats_.closed_lifetime, "upstream.pool.max_lifetime is over");
      }
      link->CheckHealth();  // one that is being renewed still waits for what it is owed
    }
  }
}

void Pool::ForEachShared(const std::function<void(const Link&)>& visit) const {
  for (const auto& [key, lanes] : lanes_) {
    for (const auto& link : lanes) {
      visit(*link);
    }
  }
  for (const auto& [db, links] : fill_) {
    for (const auto& link : links) {
      visit(*link);
    }
  }
  if (redirection_.tracker() != nullptr) {
    visit(*redirection_.tracker());
  }
}

void Pool::ForEachFill(const std::function<void(Link&)>& visit) {
  for (auto& [db, links] : fill_) {
    for (auto& link : links) {
      visit(*link);
    }
  }
}

// Fill links too: what they filled goes with them, because no push would ever invalidate it.
void Pool::Reconnect() {
  for (auto& [key, lanes] : lanes_) {
    for (auto& link : lanes) {
      link->Renew(stats_.closed_reconnect, "asked to reconnect");
    }
  }
  ForEachFill([&](Link& link) { link.Renew(stats_.closed_reconnect, "asked to reconnect"); });
  if (redirection_.tracker() != nullptr) {
    redirection_.tracker()->Renew(stats_.closed_reconnect, "asked to reconnect");
  }
  exclusive_.Reconnect();
}

void Pool::OnPrimaryChanged() {
  gate_.OnOtherServer();
  for (auto& [key, lanes] : lanes_) {
    for (auto& link : lanes) {
      link->OnPrimaryChanged();
    }
  }
  ForEachFill([](Link& link) { link.OnPrimaryChanged(); });
  if (redirection_.tracker() != nullptr) {
    redirection_.tracker()->OnPrimaryChanged();
  }
  exclusive_.OnPrimaryChanged();
  if (!deps_.topology.has_primary()) {
    gate_.OnNowhere(deps_.scheduler.Now());
  }
  // What was filled under tracking went with its link; entries with only a TTL are still there.
  coherence_->Flush(FlushReason::kPrimaryChanged);
}

void Pool::Shutdown() {
  shut_down_ = true;
  tick_.reset();
  for (auto& [key, lanes] : lanes_) {
    for (auto& link : lanes) {
      link->Close("shutting down");
    }
  }
  ForEachFill([](Link& link) { link.Close("shutting down"); });
  if (redirection_.tracker() != nullptr) {
    redirection_.tracker()->Close("shutting down");
  }
  exclusive_.Shutdown();
  Flush();
}

}  // namespace nearcached
