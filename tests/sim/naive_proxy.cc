#include "tests/sim/naive_proxy.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/resp.h"

namespace nearcached::sim {
namespace {

// An output buffer over a stream that may take less than offered.
class Outlet {
 public:
  void Attach(std::unique_ptr<ByteStream> stream) { stream_ = std::move(stream); }
  void Close() { stream_.reset(); }
  [[nodiscard]] bool open() const { return stream_ != nullptr; }
  [[nodiscard]] bool empty() const { return buffer_.empty(); }
  void Put(std::string_view bytes) { buffer_.append(bytes); }
  void Flush() {
    if (stream_ != nullptr && !buffer_.empty()) {
      const iovec part{buffer_.data(), buffer_.size()};
      buffer_.erase(0, stream_->Write(std::span<const iovec>(&part, 1)));
    }
  }

 private:
  std::unique_ptr<ByteStream> stream_;
  std::string buffer_;
};

struct Slot {
  bool done = false;
  std::string bytes;
};

class NaiveProxy;

// The keys a command names: none, its first argument, or any ("everything").
struct Touched {
  bool everything = false;
  std::vector<std::string> keys;
};

// One client with its lane.
class Session {
 public:
  Session(NaiveProxy& proxy, const Product::OpenStream& open, Dialer& dialer);
  void Step();
  void FlightDone(std::uint64_t slot, const std::string& reply);
  void Flush();
  [[nodiscard]] bool finished() const;
  void Close() { closed_ = true; }

 private:
  struct ClientSide final : ByteStreamHandler {
    explicit ClientSide(Session& s) : session(s) {}
    void OnBytes(std::span<char> bytes) override { session.FromClient(bytes); }
    void OnWritable() override { session.Flush(); }
    void OnEnd(const Error& why) override { session.ClientEnded(why); }
    Session& session;
  };
  struct LaneSide final : ByteStreamHandler {
    explicit LaneSide(Session& s) : session(s) {}
    void OnBytes(std::span<char> bytes) override { session.FromLane(bytes); }
    void OnWritable() override { session.Flush(); }
    void OnEnd(const Error& /*why*/) override { session.lane_ended_ = true; }
    Session& session;
  };
  struct Sent {
    std::uint64_t slot;  // kSwallow: nobody waits for it
    Args args;
    bool touched = false;  // its keys are held until the reply
  };
  static constexpr std::uint64_t kSwallow = ~std::uint64_t{0};

  void FromClient(std::span<char> bytes);
  void ClientEnded(const Error& why);
  void FromLane(std::span<char> bytes);
  void Dispatch(const Args& args);
  void Authenticate();
  void Forward(const Args& args, std::uint64_t slot);
  bool TryCache(const Args& args, std::uint64_t slot);
  void Follow(const Args& args, const std::string& name);
  void Answer(std::uint64_t slot, std::string bytes);
  [[nodiscard]] std::string InProtocol(const std::string& reply) const;

  NaiveProxy& proxy_;
  ClientSide client_side_;
  LaneSide lane_side_;
  Outlet client_;
  Outlet lane_;
  CommandReader commands_;
  ReplyReader lane_replies_;
  std::deque<Args> waiting_;
  std::deque<Sent> sent_;
  std::deque<Slot> slots_;
  std::uint64_t first_slot_ = 0;
  bool awaits_flight_ = false;
  Protocol protocol_ = Protocol::kResp2;
  int db_ = 0;
  bool transaction_ = false;
  bool was_user_ = false;  // it has tried to log in: what it may read, only the server knows
  bool subscribed_ = false;
  bool eof_ = false;
  bool lane_ended_ = false;
  bool closed_ = false;
};

class NaiveProxy final : public Product, ByteStreamHandler {
 public:
  NaiveProxy(PlantedBug bug, const ProductSetup& setup, Scheduler& scheduler, Dialer& dialer)
      : bug_(bug), setup_(setup), scheduler_(scheduler), dialer_(dialer) {
    fill_.Attach(dialer_.Dial({}, *this));
    if (!setup_.password.empty()) {
      Ask({"AUTH", setup_.password});
    }
    Ask({"HELLO", "3"});
    if (setup_.tracking) {
      Ask({"CLIENT", "TRACKING", "ON"});
    }
    hook_ = scheduler_.AtTurnEnd([this] { EndTurn(); });
  }
  NaiveProxy(const NaiveProxy&) = delete;
  NaiveProxy& operator=(const NaiveProxy&) = delete;
  ~NaiveProxy() override = default;

  bool Accept(OpenStream open) override {
    if (draining_) {
      return false;
    }
    sessions_.push_back(std::make_unique<Session>(*this, open, dialer_));
    return true;
  }
  void StartDrain() override {
    draining_ = true;
    for (const auto& session : sessions_) {
      session->Close();
    }
    tick_ = scheduler_.After(std::chrono::milliseconds(1), [] {});
  }
  [[nodiscard]] bool idle() const override { return drained_; }
  [[nodiscard]] std::string CheckState() const override { return {}; }
  [[nodiscard]] std::string CheckDrained() const override { return {}; }
  [[nodiscard]] ProductFigures figures() const override { return figures_; }

  // For sessions.
  [[nodiscard]] bool has(PlantedBug bug) const { return bug_ == bug; }
  [[nodiscard]] const ProductSetup& setup() const { return setup_; }
  [[nodiscard]] bool armed() const { return handshake_left_ == 0 && fill_.open(); }
  // A fresh entry, or null.
  const std::string* Lookup(const std::string& key);
  void Fetch(const std::string& key, Session& session, std::uint64_t slot);
  void Touch(const Touched& touched, bool begins);
  // kSharesIncr: who else waits for this command.
  std::map<std::string, std::vector<std::pair<Session*, std::uint64_t>>> shared_incr;
  void Forget(Session& session);

 private:
  struct Entry {
    std::string reply;
    MonoTime deadline;
  };
  struct Flight {
    std::string key;
    MonoTime sent;
    bool stores = true;
    std::optional<std::string> value;
    std::vector<std::pair<Session*, std::uint64_t>> waiters;
  };

  void OnBytes(std::span<char> bytes) override;
  void OnWritable() override { fill_.Flush(); }
  void OnEnd(const Error& /*why*/) override { fill_.Close(); }
  void Ask(const Args& args) {
    ++handshake_left_;
    fill_.Put(EncodeCommand(args));
  }
  void Heard(const RawReply& push);
  void Landed(const RawReply& reply);
  void Drop(const std::string& key);
  void DropAll();
  void EndTurn();

  PlantedBug bug_;
  ProductSetup setup_;
  Scheduler& scheduler_;
  Dialer& dialer_;
  Outlet fill_;
  ReplyReader fill_replies_;
  int handshake_left_ = 0;
  bool draining_ = false;
  bool drained_ = false;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::map<std::string, Entry> cache_;
  std::map<std::string, std::shared_ptr<Flight>> joinable_;  // shared with flights_
  std::deque<std::shared_ptr<Flight>> flights_;              // in the order of their replies
  std::map<std::string, int> held_;
  int held_all_ = 0;
  ProductFigures figures_;
  std::unique_ptr<Timer> hook_;
  std::unique_ptr<Timer> tick_;
};

Touched TouchedBy(const Args& args, const std::string& name) {
  static const std::set<std::string> kAll = {"EXEC", "EVAL", "FLUSHALL", "FLUSHDB", "SWAPDB"};
  Touched touched;
  touched.everything = kAll.count(name) != 0;
  touched.keys.assign(args.begin() + 1, args.end());
  return touched;
}

Session::Session(NaiveProxy& proxy, const Product::OpenStream& open, Dialer& dialer)
    : proxy_(proxy), client_side_(*this), lane_side_(*this) {
  client_.Attach(open(client_side_));
  lane_.Attach(dialer.Dial({}, lane_side_));
  Authenticate();
}

void Session::Authenticate() {
  if (!proxy_.setup().password.empty()) {
    lane_.Put(EncodeCommand({"AUTH", proxy_.setup().password}));
    sent_.push_back({kSwallow, {"AUTH"}, false});
  }
}

void Session::FromClient(std::span<char> bytes) {
  commands_.Feed(std::string_view(bytes.data(), bytes.size()));
  Args args;
  while (commands_.Next(args)) {
    waiting_.push_back(args);
  }
  if (commands_.broken()) {
    eof_ = true;
  }
  Step();
}

void Session::ClientEnded(const Error& why) {
  eof_ = true;
  closed_ = closed_ || why.code != Code::kEof || proxy_.has(PlantedBug::kDropsAtHalfClose);
}

void Session::Step() {
  while (!waiting_.empty() && (!awaits_flight_ || proxy_.has(PlantedBug::kSeesLaterSet))) {
    const Args args = std::move(waiting_.front());
    waiting_.pop_front();
    Dispatch(args);
  }
}

void Session::Dispatch(const Args& args) {
  const std::uint64_t slot = first_slot_ + slots_.size();
  slots_.emplace_back();
  const std::string name = Upper(args[0]);
  if (name == "GET" && args.size() == 2 && TryCache(args, slot)) {
    return;
  }
  Follow(args, name);
  if (proxy_.has(PlantedBug::kSharesIncr) && name == "INCR" && !transaction_ && db_ == 0) {
    auto& waiters = proxy_.shared_incr[args[1]];
    if (!waiters.empty() && waiters.front().first != this) {
      waiters.emplace_back(this, slot);
      return;
    }
    waiters.emplace_back(this, slot);
  }
  Forward(args, slot);
}

void Session::Follow(const Args& args, const std::string& name) {
  if (name == "SELECT" && args.size() == 2 && args[1].size() == 1) {
    db_ = args[1][0] - '0';
  } else if (name == "HELLO" && args.size() >= 2) {
    protocol_ = args[1] == "3" ? Protocol::kResp3 : Protocol::kResp2;
    was_user_ = was_user_ || args.size() > 2;
  } else if (name == "AUTH") {
    was_user_ = true;
  } else if (name == "RESET") {
    db_ = 0;
    protocol_ = Protocol::kResp2;
    transaction_ = false;
  } else if (name == "MULTI" || (name == "WATCH" && !proxy_.has(PlantedBug::kCachesUnderWatch))) {
    transaction_ = true;
  } else if (name == "EXEC" || name == "DISCARD" || name == "UNWATCH") {
    transaction_ = false;
  } else if (name == "SUBSCRIBE") {
    subscribed_ = true;
  } else if (name == "QUIT") {
    eof_ = true;
  }
}

bool Session::TryCache(const Args& args, std::uint64_t slot) {
  const bool database = db_ == 0 || proxy_.has(PlantedBug::kCrossesDatabases);
  const bool only_watches =
      std::all_of(sent_.begin(), sent_.end(), [](const Sent& s) { return s.args[0] == "WATCH"; });
  const bool order = sent_.empty() || proxy_.has(PlantedBug::kReordered) ||
                     (proxy_.has(PlantedBug::kCachesUnderWatch) && only_watches);
  const bool nobody = !was_user_ || proxy_.has(PlantedBug::kSharesUsers);
  if (!database || !order || !nobody || transaction_ || subscribed_ || !proxy_.armed()) {
    return false;
  }
  if (const std::string* hit = proxy_.Lookup(args[1])) {
    if (proxy_.has(PlantedBug::kReordered)) {
      client_.Put(InProtocol(*hit));
      slots_.pop_back();
      return true;
    }
    Answer(slot, InProtocol(*hit));
    return true;
  }
  awaits_flight_ = true;
  proxy_.Fetch(args[1], *this, slot);
  return true;
}

void Session::Forward(const Args& args, std::uint64_t slot) {
  const bool touches = args[0] != "WATCH" || !proxy_.has(PlantedBug::kCachesUnderWatch);
  if (touches) {
    proxy_.Touch(TouchedBy(args, Upper(args[0])), true);
  }
  lane_.Put(EncodeCommand(args));
  sent_.push_back({slot, args, touches});
  if (Upper(args[0]) == "RESET") {
    Authenticate();  // RESET logs out
  }
  if (proxy_.has(PlantedBug::kSendsTwice) && args[0] == "SET" && !transaction_ && slot % 16 == 0) {
    lane_.Put(EncodeCommand(args));
    sent_.push_back({kSwallow, args, false});
  }
}

void Session::FromLane(std::span<char> bytes) {
  lane_replies_.Feed(std::string_view(bytes.data(), bytes.size()));
  RawReply reply;
  while (lane_replies_.Next(reply)) {
    if (subscribed_ && reply.bytes.find("\r\nmessage\r\n") != std::string::npos) {
      client_.Put(reply.bytes);
      continue;
    }
    if (sent_.empty()) {
      continue;
    }
    const Sent sent = std::move(sent_.front());
    sent_.pop_front();
    if (sent.touched) {
      proxy_.Touch(TouchedBy(sent.args, Upper(sent.args[0])), false);
    }
    if (sent.slot != kSwallow) {
      Answer(sent.slot, reply.bytes);
    }
    if (proxy_.has(PlantedBug::kSharesIncr) && sent.args[0] == "INCR") {
      auto node = proxy_.shared_incr.extract(sent.args[1]);
      if (!node.empty()) {
        for (const auto& [session, slot] : node.mapped()) {
          session->Answer(slot, reply.bytes);
        }
      }
    }
  }
  Step();
}

void Session::FlightDone(std::uint64_t slot, const std::string& reply) {
  awaits_flight_ = false;
  Answer(slot, InProtocol(reply));
  Step();
}

void Session::Answer(std::uint64_t slot, std::string bytes) {
  if (slot < first_slot_ || slots_[slot - first_slot_].done) {
    return;
  }
  slots_[slot - first_slot_] = {true, std::move(bytes)};
  while (!slots_.empty() && slots_.front().done) {
    client_.Put(slots_.front().bytes);
    slots_.pop_front();
    ++first_slot_;
  }
}

std::string Session::InProtocol(const std::string& reply) const {
  const bool rewrite = protocol_ == Protocol::kResp2 && !proxy_.has(PlantedBug::kWrongNil);
  return rewrite && reply == "_\r\n" ? "$-1\r\n" : reply;
}

void Session::Flush() {
  client_.Flush();
  lane_.Flush();
}

bool Session::finished() const {
  const bool settled = slots_.empty() && waiting_.empty() && client_.empty();
  const bool stuck = lane_ended_ && sent_.empty() && client_.empty();
  return closed_ || (eof_ && settled) || stuck;
}

const std::string* NaiveProxy::Lookup(const std::string& key) {
  const auto it = cache_.find(key);
  if (it == cache_.end() || it->second.deadline <= scheduler_.Now()) {
    ++figures_.misses;
    return nullptr;
  }
  ++figures_.hits;
  return &it->second.reply;
}

void NaiveProxy::Fetch(const std::string& key, Session& session, std::uint64_t slot) {
  const auto it = joinable_.find(key);
  if (it != joinable_.end() && !has(PlantedBug::kFetchesTwice)) {
    ++figures_.coalesced;
    it->second->waiters.emplace_back(&session, slot);
    return;
  }
  auto flight = std::make_shared<Flight>();
  flight->key = key;
  flight->sent = scheduler_.Now();
  flight->stores = held_all_ == 0 && held_[key] == 0;
  flight->waiters.emplace_back(&session, slot);
  joinable_[key] = flight;
  flights_.push_back(flight);
  fill_.Put(EncodeCommand({"GET", key}));
  fill_.Put(EncodeCommand({"PTTL", key}));
}

void NaiveProxy::Touch(const Touched& touched, bool begins) {
  const int step = begins ? 1 : -1;
  held_all_ += touched.everything ? step : 0;
  for (const std::string& key : touched.keys) {
    held_[key] += step;
  }
  if (touched.everything) {
    DropAll();
  }
  if (!has(PlantedBug::kStaleAfterOwnWrite)) {
    std::for_each(touched.keys.begin(), touched.keys.end(), [this](const auto& key) { Drop(key); });
  }
}

void NaiveProxy::Drop(const std::string& key) {
  cache_.erase(key);
  const auto it = joinable_.find(key);
  if (it == joinable_.end()) {
    return;
  }
  it->second->stores = false;
  if (has(PlantedBug::kLostWaiter)) {
    it->second->waiters.clear();
  }
  if (!has(PlantedBug::kJoinsOldFlight)) {
    joinable_.erase(it);
  }
}

void NaiveProxy::DropAll() {
  cache_.clear();
  for (const auto& [key, flight] : joinable_) {
    flight->stores = false;
  }
  joinable_.clear();
}

void NaiveProxy::OnBytes(std::span<char> bytes) {
  fill_replies_.Feed(std::string_view(bytes.data(), bytes.size()));
  RawReply reply;
  while (fill_replies_.Next(reply)) {
    if (reply.type == '>') {
      Heard(reply);
    } else if (handshake_left_ > 0) {
      --handshake_left_;
    } else {
      Landed(reply);
    }
  }
}

void NaiveProxy::Heard(const RawReply& push) {
  const std::vector<RawReply> items = SplitItems(push);
  if (items[1].type == '_') {
    if (!has(PlantedBug::kIgnoresFlushes)) {
      DropAll();
    }
  } else if (!has(PlantedBug::kIgnoresPushes)) {
    Drop(PayloadOf(SplitItems(items[1])[0]));
  }
}

void NaiveProxy::Landed(const RawReply& reply) {
  const std::shared_ptr<Flight> flight = flights_.front();
  if (!flight->value) {
    flight->value = reply.bytes;
    return;
  }
  flights_.pop_front();
  const auto it = joinable_.find(flight->key);
  if (it != joinable_.end() && it->second == flight) {
    joinable_.erase(it);
  }
  const long long pttl = std::strtoll(reply.bytes.c_str() + 1, nullptr, 10);
  Duration life = setup_.l1_ttl;
  if (pttl >= 0 && !has(PlantedBug::kIgnoresTtl)) {
    life = std::min(life, Duration(std::chrono::milliseconds(pttl)));
  }
  if (flight->stores && held_all_ == 0 && held_[flight->key] == 0 && flight->value->at(0) != '-' &&
      reply.type == ':') {
    ++figures_.fills;
    cache_[flight->key] = {*flight->value, flight->sent + life};
  }
  for (const auto& [session, slot] : flight->waiters) {
    session->FlightDone(slot, *flight->value);
  }
}

void NaiveProxy::Forget(Session& session) {
  const auto gone = [&](const auto& waiter) { return waiter.first == &session; };
  for (const auto& flight : flights_) {
    std::erase_if(flight->waiters, gone);
  }
  for (auto& [key, waiters] : shared_incr) {
    std::erase_if(waiters, gone);
  }
}

void NaiveProxy::EndTurn() {
  fill_.Flush();
  for (const auto& session : sessions_) {
    session->Flush();
  }
  std::erase_if(sessions_, [this](const auto& session) {
    if (session->finished()) {
      Forget(*session);
      return true;
    }
    return false;
  });
  if (draining_ && sessions_.empty() && bug_ != PlantedBug::kNeverIdle) {
    drained_ = true;
    fill_.Close();
    hook_.reset();
    tick_.reset();
  }
}

}  // namespace

std::string_view NameOf(PlantedBug bug) {
  static constexpr std::array<std::string_view, kPlantedBugs> kNames = {
      "none",           "stale after own write", "lost waiter",         "reordered replies",
      "sees later SET", "ignores TTL",           "joins old flight",    "crosses databases",
      "wrong nil",      "ignores pushes",        "ignores flushes",     "shares INCR",
      "sends twice",    "caches under WATCH",    "drops at half-close", "fetches twice",
      "never idle",     "shares users"};
  return kNames[static_cast<std::size_t>(bug)];
}

std::unique_ptr<Product> MakeNaiveProxy(PlantedBug bug, const ProductSetup& setup,
                                        Scheduler& scheduler, Dialer& dialer) {
  return std::make_unique<NaiveProxy>(bug, setup, scheduler, dialer);
}

}  // namespace nearcached::sim
