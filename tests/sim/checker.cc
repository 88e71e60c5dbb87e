#include "tests/sim/checker.h"

#include <algorithm>
#include <limits>

#include "daemon/base/sha1.h"
#include "tests/sim/model_commands.h"

namespace nearcached::sim {
namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

std::string Name(const KeyId& id) {
  return std::to_string(id.db) + ":" + id.name;
}

std::string Words(const Args& args) {
  std::string text;
  for (const std::string& arg : args) {
    text.append(text.empty() ? "" : " ").append(arg.substr(0, 60));
  }
  return text;
}

bool EndsWatch(const std::string& command) {
  return command == "DISCARD" || command == "UNWATCH" || command == "RESET";
}

// RESP3 types must not reach a RESP2 client, at any depth.
bool TypesFit(const RawReply& reply, Protocol protocol) {
  static constexpr std::string_view kResp2Types = "+-:$*";
  if (protocol == Protocol::kResp2 && kResp2Types.find(reply.type) == std::string_view::npos) {
    return false;
  }
  if (protocol == Protocol::kResp3 && (reply.bytes == "$-1\r\n" || reply.bytes == "*-1\r\n")) {
    return false;
  }
  if (std::string_view("*%~>").find(reply.type) == std::string_view::npos ||
      reply.bytes == "*-1\r\n") {
    return true;
  }
  const std::vector<RawReply> items = SplitItems(reply);
  return std::all_of(items.begin(), items.end(),
                     [&](const RawReply& item) { return TypesFit(item, protocol); });
}

}  // namespace

std::string TokenOf(int connection, std::uint64_t index) {
  return "c" + std::to_string(connection) + "." + std::to_string(index) + ";";
}

Checker::Checker(Env& env, ModelRedis& model, const SimNetwork& network, Promises promises)
    : env_(env), model_(model), network_(network), promises_(promises) {}

void Checker::Sent(ClientState& client, Request& request) {
  if (!request.marks.empty()) {
    client.marks[request.index] = request.marks;
  }
  NoteScripts(client, request);
  const MonoTime now = env_.scheduler.Now();
  request.sent = now;
  const MonoTime in_flight = network_.Horizon(false);
  request.expiry_horizon = std::max(in_flight, now - promises_.request_timeout * 2);
  const MonoTime pushed = network_.Horizon(true) - promises_.push_delay;
  request.horizon = promises_.tracking ? std::max(pushed, now - promises_.stale_max)
                                       : std::min(request.expiry_horizon, now - promises_.l1_ttl);
  if (promises_.unpushed_max > Duration::zero()) {
    request.horizon = std::min(request.horizon, now - promises_.unpushed_max);
  }
  request.stale_before = stale_served_();
  for (const KeyId& id : request.reads) {
    const auto it = acknowledged_.find(id);
    const std::uint64_t said = announcements_ == nullptr ? 0 : announcements_->FloorOf(id.name);
    request.floors.push_back(
        std::max({said, acknowledged_all_, it == acknowledged_.end() ? 0 : it->second}));
  }
  for (const KeyId& id : request.writes) {
    Disturbed(id.name);
  }
  if (request.writes_everything || request.expect == Expect::kExec) {
    Disturbed("");
  }
}

void Checker::Answered(ClientState& client, const Request& request, const RawReply& reply) {
  ++replies_;
  if (client.uncertain) {
    return;
  }
  // A refused HELLO leaves the protocol as it was, which is known only now.
  if (reply.type != '-' && !TypesFit(reply, request.protocol)) {
    Fail("I1", client, request, reply, "a type of the other protocol");
    return;
  }
  if (promises_.order_by_key &&
      (reply.bytes.starts_with("-MOVED") || reply.bytes.starts_with("-ASK"))) {
    Fail("I1", client, request, reply, "a redirection that was for the product");
    return;
  }
  if (JudgeRefusal(client, request, reply)) {
    return;
  }
  JudgeScript(client, request, reply);
  bool good = true;
  switch (request.expect) {
    case Expect::kLiteral:
      good = reply.bytes == request.literal;
      if (good && EndsWatch(request.args[0])) {
        client.watch_reads.clear();
      }
      break;
    case Expect::kRead:
      good = JudgeRead(client, request, 0, request.args, reply.bytes);
      break;
    case Expect::kMget:
      good = JudgeMget(client, request, reply);
      break;
    case Expect::kExecuted:
    case Expect::kExec:
      good = JudgeExecuted(client, request, reply);
      break;
    case Expect::kParts:
      good = JudgeParts(client, request, reply);
      break;
    case Expect::kEveryNode:
      good = JudgeEveryNode(request, reply);
      break;
    case Expect::kHello:
      good = JudgeHello(request, reply);
      break;
    case Expect::kInteger:
      good = reply.type == ':';
      break;
    case Expect::kSubscribed:
      good = reply.type == (request.protocol == Protocol::kResp3 ? '>' : '*');
      break;
    case Expect::kAny:
      break;
  }
  if (good) {
    JudgeRights(client, request, reply);
    return;
  }
  if (reply.type == '-') {
    JudgeError(client, request, reply);
  } else if (request.expect != Expect::kRead && request.expect != Expect::kMget) {
    Fail("I1", client, request, reply,
         "not the reply to this request" + Candidates(client, request));
  }
}

void Checker::NoteScripts(ClientState& client, Request& request) const {
  constexpr std::size_t kScripts = 3;
  const std::string& command = request.args[0];
  if (command == "MULTI") {
    client.multi_shown = shown_.size() == kScripts;
  } else if (command == "EVALSHA") {
    request.names_shown_script = shown_.contains(request.args[1]);
  } else if (command == "EXEC") {
    request.names_shown_script = client.multi_shown;
  }
}

// I9: a script that was shown once is known for good, whatever becomes of the server.
void Checker::JudgeScript(ClientState& client, const Request& request, const RawReply& reply) {
  if (request.args[0] == "EVAL" && request.expect == Expect::kExecuted && reply.type != '-') {
    shown_.insert(Sha1Hex(request.args[1]));
  }
  const bool unknown =
      request.args[0] == "EXEC"
          ? std::any_of(request.queued.begin(), request.queued.end(),
                        [](const QueuedAccess& access) { return access.command == "EVALSHA"; })
          : request.args[0] == "EVALSHA";
  if (unknown && request.names_shown_script && !scripts_flushed_ &&
      reply.bytes.find("-NOSCRIPT") != std::string::npos) {
    Fail("I9", client, request, reply, "the script had been shown before");
  }
}

// What the server refused for want of a login, of a right, or of a queued command that it had
// refused. (The refusals of requests whose executions are known are among these.)
bool Checker::JudgeRefusal(ClientState& client, const Request& request,
                           const RawReply& reply) const {
  const std::string& name = request.args[0];
  if (client.multi_refused && (name == "EXEC" || name == "DISCARD" || name == "RESET")) {
    client.multi_refused = false;
    client.watch_reads.clear();
    return name == "EXEC" && reply.bytes.starts_with("-EXECABORT ");
  }
  const bool queued = request.literal == "+QUEUED\r\n";
  if (request.expect != Expect::kRead && request.expect != Expect::kMget && !queued &&
      name != "WATCH") {
    return false;
  }
  if (reply.bytes.starts_with("-NOAUTH ")) {
    return !request.logged_in && !model_.traits().password.empty();
  }
  const ModelCommand* const command = FindModelCommand(Upper(name));
  if (!reply.bytes.starts_with("-NOPERM ") || command == nullptr) {
    return false;
  }
  // A read for the default user may have been under way for somebody else already.
  const MonoTime from =
      request.logged_in ? request.sent : std::min(request.sent, request.expiry_horizon);
  const auto keys = KeysOf(*command, request.args);
  const bool denied = std::ranges::any_of(keys, [&](const std::string& key) {
    return model_.users().WasThere(request.user, key, from, false);
  });
  client.multi_refused = client.multi_refused || (denied && queued);
  client.uncertain = client.uncertain || (denied && name == "WATCH");
  return denied;
}

// I10.
void Checker::JudgeRights(const ClientState& client, const Request& request,
                          const RawReply& reply) {
  if (reply.type == '-' || model_.users().empty()) {
    return;
  }
  MonoTime from = request.sent;
  if (!request.logged_in) {
    from = std::min(request.horizon, request.expiry_horizon) - promises_.l1_ttl -
           promises_.stale_if_error - promises_.stale_max;
  }
  for (const KeyId& id : request.reads) {
    if (!model_.users().WasThere(request.user, id.name, from, true)) {
      Fail("I10", client, request, reply,
           "the value of " + Name(id) + ", which its user could not read all the while");
    }
  }
}

void Checker::JudgeError(ClientState& client, const Request& request, const RawReply& reply) {
  ++errors_;
  if (promises_.no_faults) {
    Fail("I1", client, request, reply, "an error that the server did not make, in a calm world");
  }
  // Keys of a slot that is half moved may be apart for longer than a request may take.
  const bool excused =
      request.needs_own_link || request.watched_read || reply.bytes.starts_with("-TRYAGAIN");
  if (promises_.only_moves && !excused) {
    Fail("I1", client, request, reply, "an error because a slot has moved");
  }
  client.uncertain = client.uncertain || request.changes_session;
}

bool Checker::JudgeRead(ClientState& client, const Request& request, std::size_t i,
                        const Args& read, const std::string& bytes) {
  const KeyId& id = request.reads[i];
  const std::vector<Version>& versions = model_.store().History(id);
  const std::uint64_t floor = std::max(request.floors[i], client.seen[id]);
  static const Version kAbsent{};
  // The first version that is still alive after the floor; index 0 is "absent since ever".
  const auto first = static_cast<std::size_t>(
      std::partition_point(versions.begin(), versions.end(),
                           [&](const Version& version) { return version.op <= floor; }) -
      versions.begin());
  for (std::size_t n = first; n <= versions.size(); ++n) {
    const Version& version = n == 0 ? kAbsent : versions[n - 1];
    const Version* next = n < versions.size() ? &versions[n] : nullptr;
    const bool absent = version.value.type == Value::Type::kNone;
    MonoTime horizon = request.horizon;
    if (absent && promises_.absence_max > Duration::zero()) {
      horizon = std::min(horizon, request.sent - promises_.absence_max);
    }
    if (!absent && stale_served_() != request.stale_before) {
      horizon = std::min(horizon, request.sent - promises_.stale_max - promises_.stale_if_error);
    }
    if (next != nullptr && next->at < horizon) {
      continue;
    }
    const auto& expire_at = version.value.expire_at;
    if (expire_at && (next == nullptr || *expire_at <= next->at) &&
        *expire_at < request.expiry_horizon && !MayHaveWrongEnd(versions, n)) {
      continue;
    }
    if (Encode(RenderRead(read, version.value), request.protocol) == bytes) {
      if (!MayRunLate(request) && SeesLaterWrite(client, request, id, bytes)) {
        Fail("I2", client, request, {bytes, bytes[0]},
             "sees a write that this connection sent later");
        return false;
      }
      if (!promises_.replicas) {
        Raise(client, request, id, version.op);
      }
      if (request.watched_read && Upper(read[0]) == "GET") {
        client.watch_reads.emplace_back(id, bytes);
      }
      return true;
    }
  }
  if (bytes[0] != '-') {
    Fail("I2", client, request, {bytes, bytes[0]}, Explain(request, id, read, bytes, floor));
  }
  return false;
}

bool Checker::SeesLaterWrite(const ClientState& client, const Request& request, const KeyId& id,
                             const std::string& bytes) {
  const std::string own = "c" + std::to_string(client.number) + ".";
  const std::size_t at = bytes.rfind(own);
  if (at == std::string::npos) {
    return false;
  }
  const std::uint64_t index = std::strtoull(bytes.c_str() + at + own.size(), nullptr, 10);
  const auto marks = client.marks.find(index);
  // Only a write of this very key counts: order is promised per key (G2), and somebody else may
  // have carried the value here from the key that it was written to (RENAME).
  return index > request.index && marks != client.marks.end() &&
         std::count(marks->second.begin(), marks->second.end(), id) != 0;
}

std::string Checker::Explain(const Request& request, const KeyId& id, const Args& read,
                             const std::string& bytes, std::uint64_t floor) const {
  const std::vector<Version>& versions = model_.store().History(id);
  for (std::size_t n = versions.size(); n-- > 0;) {
    const Version& version = versions[n];
    if (Encode(RenderRead(read, version.value), request.protocol) != bytes) {
      continue;
    }
    const bool last = n + 1 == versions.size();
    const std::uint64_t end = last ? kNever : versions[n + 1].op;
    std::string text = Name(id) + " held this from " + FormatTime(version.at) + " (op " +
                       std::to_string(version.op) + ")";
    text += last ? ", still current" : " until " + FormatTime(versions[n + 1].at);
    if (version.value.expire_at) {
      text += ", TTL until " + FormatTime(*version.value.expire_at);
    }
    text += "; the request was sent at " + FormatTime(request.sent);
    if (end <= floor) {
      return "older than a write acknowledged or a version seen before (op " +
             std::to_string(floor) + "): " + text;
    }
    return "staler than allowed (horizon " + FormatTime(request.horizon) + ", for TTLs " +
           FormatTime(request.expiry_horizon) + "): " + text;
  }
  return Name(id) + " never held this value" +
         (floor > 0 ? " (absence was excluded by op " + std::to_string(floor) + ")" : "");
}

// Without pushes GET and PTTL of a fill are two reads with nothing that ties them together: where
// the key died between them and was written again, the TTL is that of its next life (a known limit,
// ARCHITECTURE.md 4). How old the value may become is still judged.
bool Checker::MayHaveWrongEnd(const std::vector<Version>& versions, std::size_t n) const {
  if (promises_.tracking || n == 0) {
    return false;
  }
  const MonoTime latest = *versions[n - 1].value.expire_at + promises_.request_timeout * 2;
  return std::any_of(versions.begin() + static_cast<std::ptrdiff_t>(n), versions.end(),
                     [&](const Version& later) {
                       return later.value.type != Value::Type::kNone && later.at <= latest;
                     });
}

bool Checker::JudgeMget(ClientState& client, const Request& request, const RawReply& reply) {
  if (reply.type != '*') {
    if (reply.type != '-') {
      Fail("I1", client, request, reply, "not an array");
    }
    return false;
  }
  const std::vector<RawReply> items = SplitItems(reply);
  if (items.size() != request.reads.size()) {
    Fail("I1", client, request, reply, "not one item per key");
    return false;
  }
  bool good = true;
  for (std::size_t i = 0; i < items.size() && good; ++i) {
    good = JudgeRead(client, request, i, {"MGET"}, items[i].bytes);
  }
  return good;
}

std::uint64_t Checker::OrderFloor(ClientState& client, const Request& request,
                                  const std::vector<KeyId>& keys) const {
  std::uint64_t after = promises_.order_by_key ? 0 : client.last_claim;
  for (const KeyId& id : keys) {
    after = std::max({after, client.seen[id], client.claims[id]});
  }
  for (const KeyId& id : request.concerns) {
    after = std::max(after, client.claims[id]);
  }
  return after;
}

bool Checker::MayRunLate(const Request& request) const {
  std::map<std::string, std::string> key_of_tag;
  for (const auto* keys : {&request.reads, &request.writes}) {
    for (const KeyId& id : *keys) {
      const std::string tag = id.name.substr(std::min(id.name.find('{'), id.name.size()));
      if (promises_.slots_move && key_of_tag.try_emplace(tag, id.name).first->second != id.name) {
        return true;
      }
    }
  }
  return false;
}

// The client has been shown that the key was as of `op`.
void Checker::Raise(ClientState& client, const Request& request, const KeyId& id,
                    std::uint64_t op) const {
  if (!MayRunLate(request)) {
    client.seen[id] = std::max(client.seen[id], op);
  }
}

bool Checker::JudgeExecuted(ClientState& client, const Request& request, const RawReply& reply) {
  const std::uint64_t after = OrderFloor(client, request, request.writes);
  std::vector<Executed>* log = model_.FindExecuted(request.line);
  if (log == nullptr) {
    return false;
  }
  // Equal requests of several clients cannot be told apart (DEL k -> :1, twice). Claiming the first
  // free execution matches them all if they can be matched at all, for replies come here in order
  // of time. But which one was this client's is only known to be the first possible one or a later.
  const Executed* earliest = nullptr;
  Executed* unclaimed = nullptr;
  int candidates = 0;
  for (Executed& executed : *log) {
    if (executed.at < request.sent || executed.op <= after ||
        Encode(executed.reply, request.protocol) != reply.bytes) {
      continue;
    }
    ++candidates;
    earliest = earliest == nullptr ? &executed : earliest;
    unclaimed = unclaimed == nullptr && !executed.claimed ? &executed : unclaimed;
  }
  if (unclaimed == nullptr) {
    return false;
  }
  unclaimed->claimed = true;
  client.last_claim = std::max(client.last_claim, earliest->op);
  for (const KeyId& id : request.concerns) {
    client.claims[id] = std::max(client.claims[id], earliest->op);
  }
  Acknowledge(client, request, *earliest);
  if (request.expect == Expect::kExec) {
    if (candidates > 1) {
      client.watch_reads.clear();  // at which of these moments it ran is not known
    }
    JudgeTransaction(client, request, *earliest, reply);
  }
  return true;
}

// A request that was taken apart. Each of its parts carries a token, so no other is like it.
bool Checker::JudgeParts(ClientState& client, const Request& request, const RawReply& reply) {
  std::vector<std::pair<const RequestPart*, Executed*>> found;
  std::int64_t sum = 0;
  for (const RequestPart& part : request.parts) {
    const std::uint64_t after = OrderFloor(client, request, part.writes);
    std::vector<Executed>* log = model_.FindExecuted(part.line);
    if (log == nullptr) {
      return false;
    }
    const auto it = std::ranges::find_if(*log, [&](const Executed& executed) {
      return !executed.claimed && !executed.reply.IsError() && executed.at >= request.sent &&
             executed.op > after;
    });
    if (it == log->end()) {
      return false;
    }
    found.emplace_back(&part, &*it);
    sum += it->reply.kind == Reply::Kind::kInteger ? std::stoll(it->reply.text) : 0;
  }
  const bool counts = found.front().second->reply.kind == Reply::Kind::kInteger;
  if (reply.bytes != Encode(counts ? Reply::Integer(sum) : Reply::Ok(), request.protocol)) {
    return false;
  }
  for (const auto& [part, executed] : found) {
    executed->claimed = true;
    for (const KeyId& id : part->writes) {
      std::uint64_t& newest = acknowledged_[id];
      newest = std::max(newest, executed->op);
      Raise(client, request, id, executed->op);
    }
  }
  return true;
}

// What all primaries were asked. Who was primary is certain only while nothing changes, and equal
// requests of several clients are alike, so the sum is one of those that are possible.
bool Checker::JudgeEveryNode(const Request& request, const RawReply& reply) {
  if (reply.type == '-') {
    return false;
  }
  std::set<std::int64_t> sums = {0};
  for (std::size_t node = 0; node < model_.nodes()->nodes(); ++node) {
    std::set<std::int64_t> next;
    if (!promises_.no_faults || !model_.nodes()->IsPrimary(node)) {
      next = sums;  // it may not have been asked
    }
    const std::vector<Executed>* log = model_.FindExecuted(request.line);
    for (const Executed& executed : log == nullptr ? std::vector<Executed>{} : *log) {
      if (executed.node != node || executed.at < request.sent || executed.reply.IsError()) {
        continue;
      }
      for (const std::int64_t sum : sums) {
        next.insert(sum + (request.writes_everything ? 0 : std::stoll(executed.reply.text)));
      }
    }
    sums = std::move(next);
  }
  if (request.writes_everything) {
    AcknowledgeFlush(request);
    return !sums.empty() && reply.bytes == "+OK\r\n";
  }
  return std::ranges::any_of(sums, [&](std::int64_t sum) {
    return reply.bytes == Encode(Reply::Integer(sum), request.protocol);
  });
}

// A flush of all nodes is no snapshot: what moved while it was under way may have escaped it.
void Checker::AcknowledgeFlush(const Request& request) {
  const std::vector<Executed>* log = model_.FindExecuted(request.line);
  for (const KeyId& id : model_.store().KnownKeys()) {
    const auto home = model_.nodes()->SteadyHome(id.name, request.sent);
    if (log == nullptr || !home) {
      continue;
    }
    const auto first = std::ranges::find_if(*log, [&](const Executed& executed) {
      return executed.node == *home && executed.at >= request.sent;
    });
    if (first != log->end()) {
      acknowledged_[id] = std::max(acknowledged_[id], first->op);
    }
  }
}

std::string Checker::Candidates(ClientState& client, const Request& request) const {
  const std::vector<Executed>* log = model_.FindExecuted(request.line);
  if (request.expect != Expect::kExecuted && request.expect != Expect::kExec) {
    return "; due was " + Printable(request.literal);
  }
  std::string text = "; sent at " + FormatTime(request.sent) + ", must follow op " +
                     std::to_string(client.last_claim);
  for (const KeyId& id : request.writes) {
    text += " and " + std::to_string(client.seen[id]);
  }
  text += "; executions:";
  for (std::size_t i = 0; log != nullptr && i < log->size(); ++i) {
    const Executed& executed = (*log)[i];
    if (executed.at >= request.sent - std::chrono::milliseconds(200)) {
      text += " [" + FormatTime(executed.at) + " op " + std::to_string(executed.op) + " " +
              Printable(Encode(executed.reply, request.protocol)) +
              (executed.claimed ? ", another's]" : "]");
    }
  }
  return text;
}

void Checker::Acknowledge(ClientState& client, const Request& request, const Executed& executed) {
  const bool aborted =
      request.expect == Expect::kExec && executed.reply.kind != Reply::Kind::kArray;
  if (executed.reply.IsError() || aborted) {
    return;
  }
  if (request.writes_everything) {
    acknowledged_all_ = std::max(acknowledged_all_, executed.op);
  }
  const auto raise = [&](const KeyId& id) {
    std::uint64_t& newest = acknowledged_[id];
    newest = std::max(newest, executed.op);
    Raise(client, request, id, executed.op);
  };
  std::for_each(request.writes.begin(), request.writes.end(), raise);
  for (const QueuedAccess& access : request.queued) {
    std::for_each(access.writes.begin(), access.writes.end(), raise);
  }
}

void Checker::JudgeTransaction(ClientState& client, const Request& request,
                               const Executed& executed, const RawReply& reply) {
  if (executed.reply.kind == Reply::Kind::kArray) {
    for (const auto& [id, bytes] : client.watch_reads) {
      const Version* before = model_.store().Before(id, executed.op);
      const Value value = before == nullptr ? Value{} : before->value;
      if (Encode(RenderRead({"GET"}, value), request.protocol) != bytes) {
        Fail("I2", client, request, reply,
             "EXEC succeeded although the watched " + Name(id) + " was read as " +
                 Printable(bytes) + " and had changed before (R9: lost update)");
      }
    }
    for (const QueuedAccess& access : request.queued) {
      // (What was seen at the primary may be older at a replica.)
      for (const KeyId& id : promises_.replicas ? std::vector<KeyId>() : access.reads) {
        const Version* current = model_.store().Before(id, executed.op + 1);
        client.seen[id] = std::max(client.seen[id], current == nullptr ? 0 : current->op);
      }
    }
  }
  client.watch_reads.clear();
}

bool Checker::JudgeHello(const Request& request, const RawReply& reply) const {
  const std::string proto =
      "$5\r\nproto\r\n:" + std::to_string(static_cast<int>(request.protocol)) + "\r\n";
  const char type = request.protocol == Protocol::kResp3 ? '%' : '*';
  return reply.type == type && reply.bytes.find(proto) != std::string::npos;
}

void Checker::OutOfBand(ClientState& client, const RawReply& reply, bool subscribed) {
  const std::vector<RawReply> items = SplitItems(reply);
  const bool message = items.size() == 3 && PayloadOf(items[0]) == "message";
  if (!subscribed || !message) {
    Fail("I1", client, {}, reply, "a push that this client never asked for");
  } else if (!client.messages.insert(PayloadOf(items[2])).second) {
    Fail("I1", client, {}, reply, "a channel message delivered twice");
  }
}

void Checker::TrackedRead(const SimConnection& connection, const KeyId& id) {
  const MonoTime now = env_.scheduler.Now();
  const auto it = fetches_.find(id);
  if (it != fetches_.end()) {
    const Fetch& before = it->second;
    const bool open = before.connection->product_open() && !before.connection->dead() &&
                      before.connection->delivered() < before.reply_offset;
    // The product decides when it sends, which is earlier than now by the way to the server; any
    // disturbance a short while before is taken as its reason.
    const auto disturbed = disturbed_.find(id.name);
    const MonoTime last =
        std::max(disturbed_all_, disturbed == disturbed_.end() ? MonoTime{} : disturbed->second);
    if (promises_.no_faults && promises_.coalescing && open &&
        last + std::chrono::milliseconds(300) < now) {
      env_.Fail("I3", "two fetches of " + Name(id) + " at once: on " + before.connection->name() +
                          " since " + FormatTime(before.at) + " and on " + connection.name());
    }
  }
  // The reply is not sent yet: anything beyond what has been sent so far completes it.
  fetches_[id] = {&connection, connection.sent() + 1, now};
}

void Checker::Disturbed(const std::string& key) {
  if (key.empty()) {
    disturbed_all_ = env_.scheduler.Now();
  } else {
    disturbed_[key] = env_.scheduler.Now();
  }
}

void Checker::Finish() {
  for (const auto& [line, executions] : model_.executed()) {
    const bool marked = line.find(";x") != std::string::npos;
    const auto done = std::count_if(executions.begin(), executions.end(),
                                    [](const Executed& e) { return !e.reply.IsError(); });
    if (marked && done > 1) {
      env_.Fail("I1", "executed " + std::to_string(done) + " times: " + Printable(line));
    }
  }
}

void Checker::Fail(std::string_view invariant, const ClientState& client, const Request& request,
                   const RawReply& reply, const std::string& why) {
  env_.Fail(invariant, "client " + std::to_string(client.number) + " request " +
                           std::to_string(request.index) + " [" + Words(request.args) + "] got " +
                           Printable(reply.bytes) + ": " + why);
}

}  // namespace nearcached::sim
