// The pool's fill links: reads whose answers L1 keeps, and whether the server announces what
// becomes of them (tracking), at any moment and for any key.
#include <algorithm>

#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "daemon/upstream/pool.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

using Method = config::TrackingConfig::Method;
using Mode = config::TrackingConfig::Mode;

// Owner of entries that no push will ever invalidate. Fill links count up from 1: L1 keeps a table
// by this number, so it has to be a small one.
constexpr std::uint16_t kTtlOnlyOwner = 0;

}  // namespace

Link& Pool::FillLink(DbIndex db, std::uint64_t hash) {
  auto& links = fill_[db];
  if (links.empty()) {
    // Who is told of every write is told once: links of their own for some keys are of no use then.
    const std::uint32_t wanted = broadcasts() ? 1 : deps_.config.fill_links;
    for (std::uint32_t i = 0; i < wanted; ++i) {
      NC_CHECK(next_fill_id_ != kTtlOnlyOwner);  // 65,535 of them
      links.push_back(
          MakeLink({.purpose = Link::Purpose::kFill,
                    .db = db,
                    .protocol = proto::Protocol::kResp3,
                    .track = deps_.tracking != Mode::kOff && deps_.method != Method::kRedirect,
                    .id = next_fill_id_++}));
    }
  }
  return *links[hash % links.size()];
}

TrackingState Pool::StateFor(const CacheKey& key) {
  Link& link = FillLink(key.db, key.hash);
  // A fill link with a long queue is no reason to fail: reads then go past L1, as when nothing may
  // be filled. The other half of the queue is for the keys of the MGET that is being taken apart.
  if (link.unanswered() >= deps_.config.link_queue_max / 2) {
    return TrackingState::kDown;
  }
  if (ttl_only_) {
    return link.holding() ? TrackingState::kDown : TrackingState::kTtlOnly;
  }
  if (link.state() == Link::State::kClosed && !shut_down_) {
    link.Open();
  }
  return StateOf(link);
}

TrackingState Pool::StateOf(const Link& link) const {
  if (!link.armed()) {
    return TrackingState::kDown;
  }
  // Broadcasts are sent when a round of the server's event loop ends, so after replies of that
  // round which show what they announce; those on another link come whenever they come.
  return broadcasts() || redirection_.Covers(link) ? TrackingState::kArmedUnordered
                                                   : TrackingState::kArmed;
}

// Puts the read and the PTTL of its key into fill_request_; returns the size of the read. Of a GET
// both end alike, and most of what encoding costs is the length line.
std::size_t Pool::EncodeFill(const CacheKey& key, const ReadRequest& read) {
  std::string& out = fill_request_;
  out.assign(read.bytes.empty() ? "*2\r\n$3\r\nGET\r\n" : read.bytes);
  const std::size_t key_at = out.size();
  if (read.bytes.empty()) {
    proto::AppendBulk(out, key.key);
  }
  const std::size_t read_bytes = out.size();
  out.append("*2\r\n$4\r\nPTTL\r\n");
  if (read.bytes.empty()) {
    out.append(out, key_at, read_bytes - key_at);
  } else {
    proto::AppendBulk(out, key.key);
  }
  return read_bytes;
}

std::variant<FillOwner, std::string_view> Pool::SendFill(const CacheKey& key,
                                                         const ReadRequest& read, ReplySink& sink,
                                                         std::uint64_t flight) {
  if (shut_down_) {
    return proto::kErrDraining;
  }
  Link& link = FillLink(key.db, key.hash);
  const std::size_t read_bytes = EncodeFill(key, read);
  const std::string_view both = fill_request_;

  const Duration timeout = deps_.config.command_timeout;
  SendRequest value{.bytes = both.substr(0, read_bytes),
                    .sink = &sink,
                    .token = {flight, kValue},
                    .footprint = nullptr,
                    .timeout = timeout,
                    .repeatable = true};
  const std::string_view refused = link.Send(value);
  if (!refused.empty()) {
    return refused;
  }
  SendRequest ttl{.bytes = both.substr(read_bytes),
                  .sink = &sink,
                  .token = {flight, kTtl},
                  .footprint = nullptr,
                  .timeout = timeout,
                  .repeatable = true,
                  .follows = true};
  const std::string_view second = link.Send(ttl);
  NC_CHECK(second.empty());
  if (ttl_only_) {
    return FillOwner{kTtlOnlyOwner, ttl_only_epoch_};
  }
  return link.owner();
}

void Pool::OnFillLinkReady(Link& link, const Handshake& handshake) {
  speaks_resp3_ = !handshake.resp3_refused();
  const bool redirects = deps_.method == Method::kRedirect ||
                         (deps_.method == Method::kAuto && handshake.resp3_refused());
  if (deps_.tracking == Mode::kOff) {
    // Nobody is asked.
  } else if (redirects) {
    redirection_.Cover(link);
  } else {
    redirection_.Uncover(link);
    if (link.armed()) {
      SetTtlOnly(false, {});
      Log(LogLevel::kInfo, "tracking_armed",
          "db=" + std::to_string(link.spec().db) + (broadcasts() ? " method=bcast" : ""));
    } else {
      OnTrackingRefused(handshake.tracking_refusal());
    }
  }
  UpdateTrackingGauge();
}

void Pool::OnRedirectionArmed(Link& fill) {
  SetTtlOnly(false, {});
  Log(LogLevel::kInfo, "tracking_armed",
      "db=" + std::to_string(fill.spec().db) + " method=redirect");
  UpdateTrackingGauge();
}

void Pool::OnTrackingRefused(std::string_view why) {
  if (deps_.tracking == Mode::kRequired) {
    ttl_only_why_.assign(why);
    Log(LogLevel::kError, "tracking_refused",
        "effect=\"nothing is cached, because tracking.mode is required\" why=" + Quoted(why));
  } else {
    SetTtlOnly(true, why);
  }
  UpdateTrackingGauge();
}

// What was read before is tracked by nobody, and a flight that is under way was too: whoever asks
// now must not join it.
void Pool::OnTrackerLost(std::span<const FillOwner> owners, bool away) {
  if (deps_.parent != nullptr) {
    deps_.parent->OnFillLinkLost(*this, away);
  } else {
    coherence_->OnFillersLost(owners, away);
  }
  coherence_->flights().PoisonAll();
  UpdateTrackingGauge();
}

void Pool::SetTtlOnly(bool ttl_only, std::string_view why) {
  if (ttl_only) {
    ttl_only_why_.assign(why);
    Log(LogLevel::kWarn, "tracking_refused",
        "effect=\"writes made elsewhere show only when an entry's ttl ends; only keys whose rule "
        "asks for it are cached\" why=" +
            Quoted(why));
  }
  if (ttl_only == ttl_only_) {
    return;
  }
  // What was filled under one regime must not be served under the other: entries without tracking
  // would never be invalidated.
  ttl_only_ = ttl_only;
  SayHoldAfterLoss();
  ++ttl_only_epoch_;
  coherence_->Flush(FlushReason::kTrackingLost);
}

bool Pool::standing() const {
  for (const auto& [key, lanes] : lanes_) {
    for (const auto& link : lanes) {
      if (link->state() == Link::State::kReady) {
        return true;
      }
    }
  }
  return false;
}

TrackingState Pool::tracking() const {
  if (ttl_only_) {
    return TrackingState::kTtlOnly;
  }
  for (const auto& [db, links] : fill_) {
    for (const auto& link : links) {
      if (link->armed()) {
        return StateOf(*link);
      }
    }
  }
  return TrackingState::kDown;
}

void Pool::UpdateTrackingGauge() {
  if (deps_.parent != nullptr) {
    deps_.parent->OnTrackingChanged();
  } else {
    stats_.tracking_state.Set(GaugeOf(tracking()));
  }
}

std::string Pool::TrackingText() const {
  switch (tracking()) {
    case TrackingState::kArmed:
      return "armed";
    case TrackingState::kArmedUnordered:
      return broadcasts() ? "armed (bcast)" : "armed (redirect)";
    case TrackingState::kTtlOnly:
      return "ttl-only (" + ttl_only_why_ + ")";
    case TrackingState::kDown:
      break;
  }
  return ttl_only_why_.empty() ? "down" : "refused (" + ttl_only_why_ + ")";
}

// Of any link, fill or tracking: half an interval until it counts as idle, up to one until the next
// look sends the PING, its patience, and up to one until the look that ends it (Link::CheckHealth).

}  // namespace nearcached
