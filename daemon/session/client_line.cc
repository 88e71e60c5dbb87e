#include "daemon/session/client_line.h"

#include <algorithm>
#include <utility>

namespace nearcached {
namespace {

class Line {
 public:
  Line& Add(std::string_view name, std::string_view value) {
    text_.append(text_.empty() ? "" : " ").append(name).append("=").append(value);
    return *this;
  }
  Line& Add(std::string_view name, std::int64_t value) { return Add(name, std::to_string(value)); }
  Line& Add(std::string_view name, std::size_t value) {
    return Add(name, static_cast<std::int64_t>(value));
  }
  std::string Take() { return std::move(text_.append("\n")); }

 private:
  std::string text_;
};

std::uint32_t SubscriptionsOf(const Session& session) {
  return session.pin.passthrough ? session.pin.link->subscriptions() : 0;
}

bool IsLastCommand(const Session& session, std::string_view name) {
  return session.client.last_command != nullptr && session.client.last_command->name == name;
}

std::string FlagsOf(const Session& session) {
  std::string flags;
  if (session.pin.passthrough && IsLastCommand(session, "monitor")) {
    flags += 'O';
  }
  if (SubscriptionsOf(session) != 0) {
    flags += 'P';
  }
  if (session.pin.multi) {
    flags += 'x';
  }
  if (session.pin.blocking) {
    flags += 'b';
  }
  if (session.client.tracking) {
    flags += 't';
  }
  if (session.listener().config.address.starts_with("unix:")) {
    flags += 'U';
  }
  return flags.empty() ? "N" : flags;
}

}  // namespace

bool IsPlainClientWord(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

std::string_view ClientTypeOf(const Session& session) {
  return SubscriptionsOf(session) != 0 ? "pubsub" : "normal";
}

std::string_view ClientUserOf(const Session& session) {
  std::string_view user = "default";
  if (!session.client.user.empty()) {
    return session.client.user;
  }
  if (!session.listener().config.username.empty()) {
    user = session.listener().config.username;
  }
  return user;
}

std::string DescribeClient(const Session& session, MonoTime now, std::size_t at_hand) {
  const auto seconds = [now](MonoTime since) { return ToMillis(now - since) / 1000; };
  const ClientState& client = session.client;
  const std::size_t input = session.input_bytes() + at_hand;
  const std::size_t output = session.output_bytes();
  constexpr std::size_t kPerClient = sizeof(Session);
  Line line;
  line.Add("id", static_cast<std::int64_t>(session.client_id()))
      .Add("addr", session.PeerName())
      .Add("laddr", session.listener().config.address)
      .Add("fd", static_cast<std::int64_t>(static_cast<std::uint32_t>(session.id())))
      .Add("name", client.name)
      .Add("age", seconds(session.accepted_at()))
      .Add("idle", seconds(session.last_active()))
      .Add("flags", FlagsOf(session))
      .Add("db", static_cast<std::int64_t>(client.db))
      .Add("sub", static_cast<std::int64_t>(SubscriptionsOf(session)))
      .Add("psub", std::int64_t{0})
      .Add("ssub", std::int64_t{0})
      .Add("multi", session.pin.multi ? std::int64_t{session.pin.commands_queued} : -1)
      .Add("qbuf", input)
      .Add("qbuf-free", std::int64_t{0})
      .Add("argv-mem", at_hand)
      .Add("multi-mem", std::int64_t{0})
      .Add("rbs", std::int64_t{0})
      .Add("rbp", std::int64_t{0})
      .Add("obl", output)
      .Add("oll", std::int64_t{0})
      .Add("omem", std::int64_t{0})
      .Add("tot-mem", kPerClient + input + output)
      .Add("events", "r")
      .Add("cmd", client.last_command != nullptr ? client.last_command->name : "NULL")
      .Add("user", ClientUserOf(session))
      .Add("redir", client.redirect)
      .Add("resp", client.protocol == proto::Protocol::kResp3 ? std::int64_t{3} : std::int64_t{2})
      .Add("lib-name", client.lib_name)
      .Add("lib-ver", client.lib_version);
  return line.Take();
}

}  // namespace nearcached
