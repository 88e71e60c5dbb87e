#include "daemon/upstream/redirected_tracking.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "proto/invalidation.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// The line "run_id:..." of INFO; empty when there is none.
std::string RunIdOf(const UpstreamReply& info) {
  constexpr std::string_view kName = "\nrun_id:";
  const std::size_t at = info.text.find(kName);
  if (info.is_error() || at == std::string::npos) {
    return {};
  }
  const std::size_t begin = at + kName.size();
  return info.text.substr(begin, info.text.find_first_of("\r\n", begin) - begin);
}

constexpr std::string_view kNoRunId =
    "INFO does not tell run_id, which shows that two links stand at one server";

}  // namespace

// ---- the tracking link --------------------------------------------------------------------------

void RedirectedTracking::OnReady() {
  const std::int64_t id = tracker_->upstream_client_id();
  if (id == 0) {
    Refuse("the server does not tell CLIENT ID");
    return;
  }
  id_ = std::to_string(id);
  // Asked before the subscription: in RESP2 nothing but PING may come after it.
  const std::uint64_t attempt = ++attempts_;
  tracker_attempt_ = attempt;
  tracker_->Ask({"INFO", "server"},
                [this, attempt](const UpstreamReply* reply) { Subscribe(attempt, reply); });
}

// Whether a reply is of the connection that stands. (What is asked of a link that is being renewed
// goes to its next connection, which begins anew.)
bool RedirectedTracking::IsOfTracker(std::uint64_t attempt) const {
  return attempt == tracker_attempt_ && !tracker_->renewing();
}

void RedirectedTracking::Subscribe(std::uint64_t attempt, const UpstreamReply* info) {
  if (!IsOfTracker(attempt)) {
    return;
  }
  if (info == nullptr) {
    reopen_ = true;
    return;
  }
  run_id_ = RunIdOf(*info);
  if (run_id_.empty()) {
    Refuse(info->is_error() ? proto::Printable(info->text) : std::string(kNoRunId));
    return;
  }
  tracker_->Ask({"SUBSCRIBE", std::string(proto::kInvalidationChannel)},
                [this, attempt](const UpstreamReply* reply) { OnSubscribed(attempt, reply); });
}

void RedirectedTracking::OnSubscribed(std::uint64_t attempt, const UpstreamReply* reply) {
  if (!IsOfTracker(attempt)) {
    return;
  }
  if (reply == nullptr) {
    reopen_ = true;
    return;
  }
  if (reply->kind != UpstreamReply::Kind::kArray) {
    Refuse(proto::Printable(reply->text));
    return;
  }
  ready_ = true;
  stats_.trackers_ready.Add();
  ArmAll();
}

void RedirectedTracking::OnDown(bool away) {
  tracker_attempt_ = 0;
  std::vector<FillOwner> owners;
  for (Covered& covered : covered_) {
    if (covered.state == Arming::kArmed) {
      owners.push_back(covered.fill->owner());
      covered.fill->Disarm();
    }
    covered.state = Arming::kWaiting;
  }
  if (std::exchange(ready_, false)) {
    stats_.trackers_ready.Sub();
    stats_.trackers_lost.Add();
    owner_.OnTrackerLost(owners, away);
  }
}

void RedirectedTracking::OnBroken() {
  stats_.redirects_broken.Add();
  Doubt("the server says that tracking is redirected to nobody");
  tracker_->Open();
}

// Something speaks against the tracking link: nothing is believed of it any more. Where the cause
// may last (two servers behind one name) the next one waits for a tick.
void RedirectedTracking::Doubt(std::string_view why) {
  tracker_->Close(why);
  reopen_ = true;
}

void RedirectedTracking::Refuse(std::string_view why) {
  const std::string said(why);  // may be of a reply that Close forgets
  tracker_->Close("the server cannot redirect tracking");
  for (Covered& covered : covered_) {
    covered.state = Arming::kRefused;
  }
  owner_.OnRedirectionRefused(said);
}

void RedirectedTracking::Tick() {
  if (tracker_ == nullptr) {
    return;
  }
  tracker_->CheckHealth();
  if (std::exchange(reopen_, false)) {
    if (!ready_) {
      tracker_->Close("the tracking link got no answer");
    }
    tracker_->Open();
  }
  if (ready_) {
    ArmAll();
  }
}

// ---- the links it covers ------------------------------------------------------------------------

void RedirectedTracking::Cover(Link& fill) {
  if (Covered* const covered = Find(&fill)) {
    covered->state = Arming::kWaiting;
  } else {
    covered_.push_back({&fill, Arming::kWaiting});
  }
  if (tracker_ == nullptr) {
    tracker_ = yard_.MakeLink({.purpose = Link::Purpose::kTracker, .db = db_});
  }
  tracker_->Open();
  if (ready_) {
    Ask(*Find(&fill));
  }
}

RedirectedTracking::Covered* RedirectedTracking::Find(const Link* fill) {
  const auto it = std::find_if(covered_.begin(), covered_.end(),
                               [&](const Covered& covered) { return covered.fill == fill; });
  return it == covered_.end() ? nullptr : &*it;
}

void RedirectedTracking::ArmAll() {
  for (Covered& covered : covered_) {
    if (covered.state == Arming::kWaiting && covered.fill->state() == Link::State::kReady) {
      Ask(covered);
    }
  }
}

void RedirectedTracking::Ask(Covered& covered) {
  covered.state = Arming::kAsked;
  const Link* const fill = covered.fill;
  const std::uint64_t attempt = ++attempts_;
  covered.attempt = attempt;
  covered.fill->Ask(
      {"CLIENT", "TRACKING", "ON", "REDIRECT", id_},
      [this, fill, attempt](const UpstreamReply* reply) { OnTrackingReply(fill, reply, attempt); });
}

// The link if it still waits to be armed with the tracking link of then; null: it is history.
RedirectedTracking::Covered* RedirectedTracking::Awaiting(const Link* fill, std::uint64_t attempt) {
  Covered* const covered = Find(fill);
  const bool awaits = covered != nullptr && covered->state == Arming::kAsked &&
                      covered->attempt == attempt && ready_ && !fill->renewing();
  return awaits ? covered : nullptr;
}

void RedirectedTracking::OnTrackingReply(const Link* fill, const UpstreamReply* reply,
                                         std::uint64_t attempt) {
  Covered* const covered = Awaiting(fill, attempt);
  if (covered == nullptr) {
    return;
  }
  if (reply == nullptr) {
    covered->state = Arming::kWaiting;  // asked again at the next tick, or when it stands again
    return;
  }
  if (!reply->is_error()) {
    covered->fill->Ask({"INFO", "server"}, [this, fill, attempt](const UpstreamReply* info) {
      OnRunId(fill, info, attempt);
    });
    return;
  }
  // The id is of nobody there: the tracking link is dead, and we have not heard of it yet.
  if (reply->text.starts_with("ERR The client ID")) {
    Doubt("the server does not know the tracking link");
    return;
  }
  covered->state = Arming::kRefused;
  owner_.OnRedirectionRefused(proto::Printable(reply->text));
}

void RedirectedTracking::OnRunId(const Link* fill, const UpstreamReply* reply,
                                 std::uint64_t attempt) {
  Covered* const covered = Awaiting(fill, attempt);
  if (covered == nullptr) {
    return;
  }
  if (reply == nullptr) {
    covered->state = Arming::kWaiting;
    return;
  }
  const std::string run_id = RunIdOf(*reply);
  if (run_id.empty()) {
    covered->state = Arming::kRefused;
    owner_.OnRedirectionRefused(kNoRunId);
    return;
  }
  if (run_id != run_id_) {
    Doubt("the tracking link stands at another server than the fill link");
    return;
  }
  covered->state = Arming::kArmed;
  covered->fill->Arm();
  owner_.OnRedirectionArmed(*covered->fill);
}

}  // namespace nearcached
