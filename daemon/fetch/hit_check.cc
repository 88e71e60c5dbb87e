#include "daemon/fetch/hit_check.h"

#include <cmath>
#include <utility>

#include "daemon/base/log.h"
#include "proto/encode.h"

namespace nearcached {
namespace {

constexpr Duration kLogEvery = std::chrono::seconds(10);

}  // namespace

void HitCheck::Configure(const Settings& settings) {
  settings_ = settings;
  every_ = settings.rate > 0 ? static_cast<std::uint64_t>(std::llround(1 / settings.rate)) : 0;
}

std::uint64_t HitCheck::HashOf(std::string_view value, bool null) const {
  return null ? 0 : deps_.hasher(value) | 1U;  // no value hashes as "no such key" does
}

void HitCheck::Note(const CacheKey& key, const L1Hit& hit) {
  if (noted_.size() + waiting_.size() + differing_.size() >= kUnderWayMax ||
      hit.value.size() > kValueMax) {
    stats_.skipped.Add();
    return;
  }
  noted_.push_back({.key = std::string(key.key),
                    .db = key.db,
                    .value = HashOf(hit.value, hit.negative),
                    .deadline = hit.deadline});
}

void HitCheck::Flush() {
  while (!noted_.empty()) {
    Check check = std::move(noted_.front());
    noted_.pop_front();
    Send(std::move(check));
  }
}

void HitCheck::Send(Check check) {
  std::string bytes;
  proto::AppendCommand(bytes, {{"GET", check.key}});
  const std::uint64_t name = ++next_;
  const std::string_view refused =
      deps_.upstream.Lane(check.db, proto::Protocol::kResp2, seat_, true)
          .Send({.bytes = bytes, .sink = this, .token = {name, 0}, .timeout = settings_.timeout});
  if (!refused.empty()) {
    stats_.failed.Add();
    return;
  }
  waiting_.emplace(name, std::move(check));
}

void HitCheck::OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                           bool last) {
  const auto at = waiting_.find(token.owner);
  if (at == waiting_.end()) {
    return;
  }
  Check check = std::move(at->second);
  waiting_.erase(at);
  // A value that comes in pieces is larger than any that was noted.
  if (last && HashOf(bytes, info.null) == check.value) {
    (check.again ? stats_.changed : stats_.agreed).Add();
  } else if (info.type == '-') {
    stats_.failed.Add();
  } else {
    OnDifference(std::move(check));
  }
}

void HitCheck::OnReplyLost(RequestToken token, std::string_view /*error_line*/,
                           bool /*mid_reply*/) {
  if (waiting_.erase(token.owner) > 0) {
    stats_.failed.Add();
  }
}

// What L1 says now is looked up without leaving a trace in its figures.
bool HitCheck::StillSaid(const Check& check) const {
  const auto hit =
      deps_.l1.Peek({check.db, check.key, deps_.hasher(check.key)}, deps_.scheduler.Now());
  return hit && hit->deadline == check.deadline && HashOf(hit->value, hit->negative) == check.value;
}

void HitCheck::OnDifference(Check check) {
  const CacheKey key{check.db, check.key, deps_.hasher(check.key)};
  if (!StillSaid(check) || !IsArmed(deps_.fills.StateFor(key))) {
    stats_.changed.Add();  // without tracking it may last until the ttl ends, which is promised
  } else if (check.again) {
    Report(check);
  } else {
    check.due = deps_.scheduler.Now() + settings_.bound;
    differing_.push_back(std::move(check));
  }
}

void HitCheck::Tick() {
  while (!differing_.empty() && differing_.front().due <= deps_.scheduler.Now()) {
    Check check = std::move(differing_.front());
    differing_.pop_front();
    if (!StillSaid(check)) {
      stats_.changed.Add();
      continue;
    }
    check.again = true;
    Send(std::move(check));
  }
}

void HitCheck::Report(const Check& check) {
  stats_.broken.Add();
  const MonoTime now = deps_.scheduler.Now();
  if (now < log_at_) {
    return;
  }
  log_at_ = now + kLogEvery;
  Log(LogLevel::kError, "stale_hit",
      "db=" + std::to_string(check.db) + " key_bytes=" + std::to_string(check.key.size()) +
          " effect=" +
          Quoted("a value is served that the server has not held for longer than promised; "
                 "NEARCACHE FLUSH drops it, log.level debug names the key"));
  Log(LogLevel::kDebug, "stale_hit_key", "key=" + Quoted(check.key));
}

}  // namespace nearcached
