#include "daemon/upstream/invalidation_channel.h"

// Pub/Sub promises little: a message is sent once to whoever is subscribed at that moment, and
// nobody is told what was missed. So what the channel is worth rests on three things.
//
//  - A gap is a doubt about everything. When the subscription stands, again or for the first time,
//    whatever may have been published before it did is made up for by dropping all of L1 and
//    everything on its way. Not when it is lost: until it stands again entries are bounded by
//    their ttl (and by the server's tracking, where that is armed), as if there were no channel.
//    Dropping at that moment as well would gain nothing, since what is filled in the gap is no
//    better than what was there.
//  - Silence is found out. The link is written to at every health interval, and given up when an
//    answer is late. In RESP2 a subscribed connection answers PING in its place among messages.
//  - A message acts before anything that follows it is read, and on flights too: a value that was
//    asked for before the message came is not stored (R1, R2).
//
// A message is somebody else's word. The worst that it can do is to drop entries, and how much work
// that is, is bounded: by names_max, by kWalkMax, and by the size of a reply of a control link.
#include <algorithm>
#include <utility>

#include "daemon/base/log.h"
#include "daemon/command/renamed_commands.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// Messages that cannot be read come from a program that will send more of them.
constexpr Duration kLogBadEvery = std::chrono::seconds(10);

// Lost connections are taken up again from this delay on.
Backoff BackoffOf(const config::UpstreamConfig& upstream) {
  return {Duration(upstream.reconnect_delay_min), Duration(upstream.reconnect_delay_max)};
}

// How long the server may take for an answer: as long as a fill link may be silent.
Duration ChannelPatience(const config::UpstreamConfig& upstream) {
  return std::max(Duration(upstream.connect_timeout),
                  Duration(upstream.health_interval) * upstream.health_misses);
}

// What the upstream calls a command of ours.
std::string NameThere(const config::Config& config, std::string_view command) {
  const RenamedCommands renamed(config.commands.rename);
  const std::string_view other = renamed.OtherNameOf(command);
  return std::string(other.empty() ? command : other);
}

bool IsPattern(std::string_view channel) {
  return channel.find_first_of("*?[") != std::string_view::npos;
}

}  // namespace

InvalidationChannel::InvalidationChannel(const Deps& deps, Nodes nodes)
    : deps_(deps), nodes_(std::move(nodes)), backoff_(BackoffOf(deps.config.upstream)) {}

InvalidationChannel::~InvalidationChannel() {
  Stop();
}

void InvalidationChannel::Stop() {
  link_.reset();
  awaited_ = 0;
  deps_.stats.channels_subscribed.Set(0);
}

void InvalidationChannel::Restart() {
  if (link_ != nullptr) {
    deps_.stats.lost.Add();
  }
  Stop();
  trouble_.clear();
  backoff_.Reset();
  dial_at_ = {};
}

void InvalidationChannel::Tick() {
  walked_ = 0;
  const auto& channels = deps_.config.invalidation.channels;
  deps_.stats.channels.Set(static_cast<std::int64_t>(channels.size()));
  if (channels.empty()) {
    return;
  }
  if (link_ != nullptr) {
    LookAfter();
  } else if (deps_.scheduler.Now() >= dial_at_) {
    Subscribe();
  }
}

void InvalidationChannel::LookAfter() {
  const bool idle = link_->waiting() == 0;
  if (trouble_.empty() && !link_->standing() && idle) {
    trouble_ = "the connection was closed";
  }
  if (trouble_.empty() && std::ranges::count(nodes_(), link_->endpoint()) == 0) {
    trouble_ = "the node is no primary any more";
  }
  const MonoTime now = deps_.scheduler.Now();
  if (!trouble_.empty()) {
    Lose();
  } else if (awaited_ == 0 && idle && now >= ping_at_) {
    ping_at_ = now + Duration(deps_.config.upstream.health_interval);
    link_->Ask({NameThere(deps_.config, "ping")},
               [this](const Result<UpstreamReply>& reply) { OnPong(reply); });
  }
}

void InvalidationChannel::Subscribe() {
  const std::vector<Endpoint> nodes = nodes_();
  if (nodes.empty()) {
    return;  // asked again at the next tick
  }
  const Endpoint& endpoint = nodes[attempt_++ % nodes.size()];
  const config::UpstreamConfig& upstream = deps_.config.upstream;
  const bool own_login = upstream.identity != "client";
  link_ = std::make_unique<ControlLink>(
      deps_.scheduler, deps_.dialer, deps_.stats.control,
      ControlLink::Terms{.endpoint = endpoint,
                         .username = own_login ? upstream.username : std::string(),
                         .password = own_login ? upstream.password : std::string(),
                         .timeout = ChannelPatience(upstream)});
  link_->SetOnMessage(
      [this](std::string_view channel, std::string_view payload) { OnMessage(channel, payload); });
  awaited_ = deps_.config.invalidation.channels.size();
  for (const std::string& channel : deps_.config.invalidation.channels) {
    link_->Ask({NameThere(deps_.config, IsPattern(channel) ? "psubscribe" : "subscribe"), channel},
               [this](const Result<UpstreamReply>& reply) { OnSubscribed(reply); });
  }
}

void InvalidationChannel::OnSubscribed(const Result<UpstreamReply>& reply) {
  if (!reply.ok()) {
    trouble_ = reply.error().message;
    return;
  }
  if (reply.value().kind != UpstreamReply::Kind::kArray) {
    trouble_ = "SUBSCRIBE was answered with: " + proto::Printable(reply.value().text);
    return;
  }
  if (--awaited_ > 0 || !trouble_.empty()) {
    return;
  }
  deps_.coherence.Flush(FlushReason::kEvent);
  backoff_.Reset();
  told_.clear();
  ping_at_ = deps_.scheduler.Now() + Duration(deps_.config.upstream.health_interval);
  deps_.stats.subscribed.Add();
  deps_.stats.channels_subscribed.Set(deps_.stats.channels.value());
  Log(LogLevel::kInfo, "invalidation_subscribed", "node=" + link_->endpoint().ToString());
}

void InvalidationChannel::OnPong(const Result<UpstreamReply>& reply) {
  if (!reply.ok()) {
    trouble_ = reply.error().message;
  } else if (reply.value().kind != UpstreamReply::Kind::kArray) {
    trouble_ = "the server knows of no subscription any more";  // a PONG that is no message
  }
}

void InvalidationChannel::Lose() {
  deps_.stats.lost.Add();
  if (told_ != trouble_) {
    Log(LogLevel::kWarn, "invalidation_channel_lost",
        "node=" + link_->endpoint().ToString() + " why=" + Quoted(trouble_) +
            " effect=" + Quoted("changes announced there are seen when a ttl ends"));
    told_ = trouble_;
  }
  Stop();
  trouble_.clear();
  dial_at_ = deps_.scheduler.Now() + backoff_.Next(deps_.rng);
}

void InvalidationChannel::OnMessage(std::string_view channel, std::string_view payload) {
  std::string_view why;
  const auto notice = proto::ParseNotice(payload, proto::NoticeFormOf(channel),
                                         deps_.config.invalidation.names_max, why);
  if (!notice) {
    LogBad(channel, why);
    return;
  }
  const std::string& own = deps_.config.invalidation.origin;
  if (!own.empty() && notice->origin == own) {
    deps_.stats.messages_own.Add();
    return;
  }
  deps_.stats.messages_applied.Add();
  Apply(*notice);
}

void InvalidationChannel::Apply(const proto::InvalidationNotice& notice) {
  deps_.stats.keys.Add(notice.keys.size());
  deps_.stats.prefixes.Add(notice.prefixes.size());
  if (notice.everything) {
    deps_.coherence.Flush(FlushReason::kEvent);
    return;
  }
  const std::vector<std::string_view> keys(notice.keys.begin(), notice.keys.end());
  deps_.coherence.OnEventKeys(keys);
  for (const std::string& prefix : notice.prefixes) {
    ApplyPrefix(prefix);
  }
}

void InvalidationChannel::ApplyPrefix(std::string_view prefix) {
  const std::uint64_t entries = deps_.l1.entries();
  if (walked_ + entries > kWalkMax) {
    deps_.stats.prefixes_too_wide.Add();
    deps_.coherence.Flush(FlushReason::kEvent);
    return;
  }
  walked_ += entries;
  deps_.coherence.OnEventPrefix(prefix);
}

void InvalidationChannel::LogBad(std::string_view channel, std::string_view why) {
  deps_.stats.messages_bad.Add();
  const MonoTime now = deps_.scheduler.Now();
  if (now >= log_bad_at_) {
    log_bad_at_ = now + kLogBadEvery;
    Log(LogLevel::kWarn, "invalidation_message_unreadable",
        "channel=" + Quoted(channel) + " why=" + Quoted(why) +
            " effect=" + Quoted("nothing was dropped; INVALIDATION.md says what is understood"));
  }
}

}  // namespace nearcached
