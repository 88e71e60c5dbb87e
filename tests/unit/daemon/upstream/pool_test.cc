#include "daemon/upstream/pool.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "proto/wire_errors.h"
#include "tests/support/fake_fetch.h"
#include "tests/support/fake_scheduler.h"
#include "tests/support/fake_server.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;
using Method = config::TrackingConfig::Method;
using Mode = config::TrackingConfig::Mode;
using Protocol = proto::Protocol;
using Heard = std::vector<std::string>;

class Rig : private ExclusiveOwner {
 public:
  FakeScheduler scheduler;
  FakeDialer dialer;
  FakeServer server{dialer};
  SingleTopology topology{Endpoint{.host = "up", .port = 6379, .unix_path = {}}};
  config::UpstreamConfig config;
  Rng rng{1};
  CommandTable commands;
  KeyHasher hasher{1};
  L1 l1{L1Options{.bytes_max = 1 << 20, .negative_share = 0.1}};
  RecordingSink sink;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<Coherence> coherence;
  std::string_view error_line;
  Method method = Method::kAuto;
  std::vector<std::string> broadcast;

  Rig() = default;
  virtual ~Rig() {
    if (pool != nullptr) {
      for (ExclusiveLink* link : std::exchange(lent_, {})) {
        pool->Return(link, false);
      }
      pool->Shutdown();
      CHECK(coherence->idle());
      CHECK(pool->stats().links_ready.value() == 0);
      CHECK(pool->stats().exclusive_idle.value() == 0);
      CHECK(pool->stats().exclusive_active.value() == 0);
      coherence->ReleaseAll();
    }
    coherence.reset();
    pool.reset();
    CHECK(scheduler.timers() == 0);
    for (std::size_t i = 0; i < dialer.dials(); ++i) {
      CHECK(dialer.connection(i).closed());
    }
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void Make(Mode mode = Mode::kAuto) {
    pool = std::make_unique<Pool>(Pool::Deps{.scheduler = scheduler,
                                             .dialer = dialer,
                                             .topology = topology,
                                             .config = config,
                                             .tracking = mode,
                                             .rng = rng,
                                             .commands = commands,
                                             .method = method,
                                             .broadcast = broadcast});
    coherence = std::make_unique<Coherence>(scheduler, hasher, l1, *pool);
    pool->SetCoherence(*coherence);
    coherence->flights().SetSink(sink);
  }
  void Start(Mode mode = Mode::kAuto) {
    Make(mode);
    pool->Start(true);
    Turn();
  }
  void Turn() {
    do {
      pool->Flush();
    } while (server.Pump());
    pool->Flush();
  }
  void Wait(Duration d) {
    for (const MonoTime until = scheduler.Now() + d; scheduler.Now() < until;) {
      scheduler.Advance(std::min<Duration>(100ms, until - scheduler.Now()));
      Turn();
    }
  }

  [[nodiscard]] CacheKey Key(std::string_view key) const { return {0, key, hasher(key)}; }
  TrackingState State() { return pool->StateFor(CacheKey{}); }
  // A GET that fills L1, from asking to answering.
  void Fill(std::string_view key) {
    StartFill(key);
    Answer(key);
  }
  void StartFill(std::string_view key) {
    REQUIRE(coherence->flights()
                .Join(Key(key), {}, {.ttl = 60s, .negative_ttl = 1s, .entry_bytes_max = 1000}, {},
                      Joining::kAny, 100)
                .empty());
    Turn();
  }
  void Answer(std::string_view key) {
    server.Answer("GET " + std::string(key), "$1\r\nx\r\n");
    server.Answer("PTTL " + std::string(key), ":-1\r\n");
  }
  // What the tracking link asks before it is ready.
  void StartTracker(std::string_view run_id) {
    AnswerInfo(run_id);
    tracker = &server.ConnectionOf("SUBSCRIBE __redis__:invalidate");
    server.Answer("SUBSCRIBE __redis__:invalidate",
                  "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n");
    Turn();
  }
  void AnswerInfo(std::string_view run_id) {
    const std::string text = "# Server\r\nrun_id:" + std::string(run_id) + "\r\nhz:10\r\n";
    server.Answer("INFO server", "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n");
    Turn();
  }
  FakeConnection* tracker = nullptr;  // the last one that was started

  bool Cached(std::string_view key) { return l1.Find(Key(key), scheduler.Now()).has_value(); }
  void Send(UpstreamLink& link, std::string_view word) {
    const std::string bytes =
        "*1\r\n$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
    CHECK(link.Send({.bytes = bytes,
                     .sink = &sink,
                     .token = {1, 1},
                     .footprint = nullptr,
                     .timeout = 5s})
              .empty());
    Turn();
  }
  UpstreamLink& LaneOf(DbIndex db, Protocol protocol, std::uint64_t seat) {
    return pool->Lane(db, protocol, seat, false);
  }
  ExclusiveLink* Borrow(DbIndex db = 0, Protocol protocol = Protocol::kResp2) {
    ExclusiveLink* link = pool->Borrow(db, protocol, *this, 7, error_line);
    if (link != nullptr) {
      lent_.push_back(link);
    }
    return link;
  }
  // Borrowed and used once, so that it stands.
  ExclusiveLink* BorrowReady() {
    ExclusiveLink* link = Borrow();
    REQUIRE(link != nullptr);
    Send(*link, "MULTI");
    server.Answer("MULTI", "+OK\r\n");
    return link;
  }
  void Return(ExclusiveLink* link, bool reusable = true) {
    std::erase(lent_, link);
    pool->Return(link, reusable);
    pool->Flush();
  }

 private:
  void OnPassthrough(std::uint64_t /*session*/, std::string_view /*bytes*/,
                     bool /*push*/) override {}
  [[nodiscard]] std::size_t PassthroughBacklog(std::uint64_t /*session*/) const override {
    return 0;
  }
  void OnSubscriptionsEnded(std::uint64_t /*session*/) override {}
  void OnExclusiveLost(std::uint64_t /*session*/, std::string_view /*line*/) override {}
  void OnMayBorrow(std::uint64_t /*session*/) override {}
  void OnLinkExchanged(std::uint64_t /*session*/, ExclusiveLink& /*link*/) override {}

  std::vector<ExclusiveLink*> lent_;
};

// ---- lanes --------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a client keeps its lane; clients are spread over all lanes") {
  config.links = 3;
  Make();
  std::set<UpstreamLink*> lanes;
  for (std::uint64_t session = 0; session < 30; ++session) {
    UpstreamLink& lane = LaneOf(0, Protocol::kResp2, session);
    CHECK(&lane == &LaneOf(0, Protocol::kResp2, session));
    lanes.insert(&lane);
  }
  CHECK(lanes.size() == 3);
  CHECK(dialer.dials() == 0);  // none is opened before it is needed
}

TEST_CASE_FIXTURE(Rig, "who waits for nothing leaves a lane that is stuck, and nobody else does") {
  config.links = 2;
  Make();
  std::uint64_t seat = 0;
  UpstreamLink& stuck = pool->Lane(0, Protocol::kResp2, seat, true);
  Send(stuck, "DEBUG SLEEP 1");
  CHECK(&pool->Lane(0, Protocol::kResp2, seat, true) == &stuck);  // it has only just been asked
  scheduler.Advance(std::chrono::milliseconds(60));
  CHECK(&pool->Lane(0, Protocol::kResp2, seat, false) == &stuck);  // something of it is on the way
  UpstreamLink& other = pool->Lane(0, Protocol::kResp2, seat, true);
  CHECK(&other != &stuck);
  CHECK(&pool->Lane(0, Protocol::kResp2, seat, false) == &other);  // and there it stays
  server.Answer("DEBUG SLEEP 1", "+OK\r\n");
}

TEST_CASE_FIXTURE(Rig, "who waits for nothing leaves a lane that was lost for one that stands") {
  config.links = 2;
  Make();
  std::uint64_t seat = 0;
  UpstreamLink& lost = pool->Lane(0, Protocol::kResp2, seat, true);
  UpstreamLink& other = LaneOf(0, Protocol::kResp2, 1);
  Send(lost, "LLEN a");
  Send(other, "LLEN b");
  server.ConnectionOf("LLEN a").End(Code::kEof, "closed by the upstream");
  CHECK(&pool->Lane(0, Protocol::kResp2, seat, false) == &lost);
  CHECK(&pool->Lane(0, Protocol::kResp2, seat, true) == &other);
  CHECK(&pool->Lane(0, Protocol::kResp2, seat, false) == &other);
  SUBCASE("and stays on its own when none is any better") {
    server.ConnectionOf("LLEN b").End(Code::kEof, "closed by the upstream");
    CHECK(&pool->Lane(0, Protocol::kResp2, seat, true) == &other);
    Wait(1s);  // both stand again
    CHECK(&pool->Lane(0, Protocol::kResp2, seat, true) == &other);
    return;
  }
  server.Answer("LLEN b", ":0\r\n");
}

TEST_CASE_FIXTURE(Rig, "every database and protocol has lanes of its own") {
  config.links = 1;
  Make();
  const std::set<UpstreamLink*> lanes = {
      &LaneOf(0, Protocol::kResp2, 1), &LaneOf(0, Protocol::kResp3, 1),
      &LaneOf(5, Protocol::kResp2, 1), &LaneOf(5, Protocol::kResp3, 1)};
  CHECK(lanes.size() == 4);
  Send(LaneOf(5, Protocol::kResp3, 1), "DBSIZE");
  CHECK(server.Times("SELECT 5") == 1);
  CHECK(server.Times("HELLO 3 SETNAME nearcached") == 1);
  server.Answer("DBSIZE", ":0\r\n");
}

TEST_CASE_FIXTURE(Rig,
                  "the start connects a lane and the fill links, and without L1 the lane alone") {
  config.fill_links = 2;
  SUBCASE("with L1") {
    Start();
    CHECK(dialer.dials() == 3);
    CHECK(pool->up());
  }
  SUBCASE("without") {
    Make();
    pool->Start(false);
    Turn();
    CHECK(dialer.dials() == 1);
  }
}

// ---- tracking -----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "tracking is armed before anything may be filled") {
  server.tracking.clear();
  Start();
  CHECK(State() == TrackingState::kDown);
  CHECK(pool->TrackingText() == "down");
  server.tracking = "+OK\r\n";
  Turn();
  CHECK(State() == TrackingState::kArmed);
  CHECK(pool->TrackingText() == "armed");
  CHECK(pool->stats().tracking_state.value() == 2);
}

TEST_CASE_FIXTURE(Rig,
                  "a server that refuses to track is cached by TTL alone, if that is allowed") {
  server.tracking = "-ERR unknown subcommand\r\n";
  SUBCASE("auto") {
    Start(Mode::kAuto);
    CHECK(State() == TrackingState::kTtlOnly);
    CHECK(pool->TrackingText() == "ttl-only (ERR unknown subcommand)");
    CHECK(pool->stats().tracking_state.value() == 1);
  }
  SUBCASE("required") {
    Start(Mode::kRequired);
    CHECK(State() == TrackingState::kDown);
    CHECK(pool->TrackingText() == "refused (ERR unknown subcommand)");
    CHECK(pool->stats().tracking_state.value() == 0);
  }
}

TEST_CASE_FIXTURE(Rig, "where tracking is off it is not asked for") {
  Start(Mode::kOff);
  CHECK(State() == TrackingState::kTtlOnly);
  CHECK(server.Times("CLIENT TRACKING ON") == 0);
  CHECK(pool->TrackingText() == "ttl-only (tracking.mode is off)");
  Fill("k");
  CHECK(Cached("k"));
}

TEST_CASE_FIXTURE(Rig,
                  "a server without RESP3 is known by its fill link, and cached by TTL alone") {
  server.hello = "-ERR unknown command 'HELLO'\r\n";
  server.tracking = "-ERR unknown subcommand\r\n";
  Start();
  StartTracker("r1");
  CHECK(State() == TrackingState::kTtlOnly);
  CHECK_FALSE(pool->speaks_resp3());
  CHECK(pool->server_version().empty());
}

// ---- redirected and broadcast -------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a redirection is armed once both links are known to stand at one server") {
  method = Method::kRedirect;
  Start();
  CHECK(State() == TrackingState::kDown);
  CHECK(server.Asked() == Heard{"INFO server"});
  StartTracker("r1");
  CHECK(server.Times("CLIENT TRACKING ON REDIRECT 77") == 1);
  CHECK(State() == TrackingState::kDown);
  SUBCASE("they do") {
    AnswerInfo("r1");
    CHECK(State() == TrackingState::kArmedUnordered);
    CHECK(pool->TrackingText() == "armed (redirect)");
    CHECK(pool->stats().tracking_state.value() == 2);
    CHECK(pool->stats().trackers_ready.value() == 1);
  }
  SUBCASE("they do not: the id means somebody else there") {
    AnswerInfo("r2");
    CHECK(State() == TrackingState::kDown);
    CHECK(tracker->closed());
    Wait(config.health_interval * 2);  // not at once: it may stay so
    StartTracker("r2");
    AnswerInfo("r2");
    CHECK(State() == TrackingState::kArmedUnordered);
  }
  SUBCASE("who can tell") {
    server.Answer("INFO server", "-NOPERM no\r\n");
    Turn();
    CHECK(State() == TrackingState::kTtlOnly);
    CHECK(pool->TrackingText().find("run_id") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Rig, "where there is no RESP3 tracking is redirected, if the server can") {
  server.hello = "-NOPROTO no\r\n";
  Start();
  SUBCASE("it can") {
    StartTracker("r1");
    AnswerInfo("r1");
    CHECK(State() == TrackingState::kArmedUnordered);
  }
  SUBCASE("it says nothing of ids") {
    pool->Shutdown();
    server.client_id = "-ERR unknown subcommand\r\n";
    Start();
    CHECK(State() == TrackingState::kTtlOnly);
    CHECK(pool->TrackingText() == "ttl-only (the server does not tell CLIENT ID)");
  }
  SUBCASE("and may not subscribe") {
    AnswerInfo("r1");
    server.Answer("SUBSCRIBE __redis__:invalidate", "-NOPERM no channel\r\n");
    Turn();
    CHECK(State() == TrackingState::kTtlOnly);
    CHECK(pool->TrackingText() == "ttl-only (NOPERM no channel)");
  }
}

class RedirectedRig : public Rig {
 public:
  RedirectedRig() {
    method = Method::kRedirect;
    Start();
    StartTracker("r1");
    AnswerInfo("r1");
    Wait(2s);
    Fill("a");
    Fill("b");
    REQUIRE(Cached("a"));
  }
  static constexpr std::string_view kMessage =
      "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
};

TEST_CASE_FIXTURE(RedirectedRig, "the tracking link's messages are what pushes are") {
  tracker->Feed(std::string(kMessage) + "*1\r\n$1\r\na\r\n");
  CHECK_FALSE(Cached("a"));
  CHECK(Cached("b"));
  StartFill("c");
  tracker->FeedByteByByte(std::string(kMessage) + "*1\r\n$1\r\nc\r\n");  // before the reply
  Answer("c");
  CHECK_FALSE(Cached("c"));
  tracker->Feed(std::string(kMessage) + "$-1\r\n");
  CHECK_FALSE(Cached("b"));
}

TEST_CASE_FIXTURE(RedirectedRig, "without the tracking link nothing is served or filled") {
  StartFill("c");
  SUBCASE("it is lost") {
    tracker->End(Code::kUnavailable);
  }
  SUBCASE("the server says that it is gone") {
    server.ConnectionOf("GET c").Feed(">2\r\n$21\r\ntracking-redir-broken\r\n:77\r\n");
    CHECK(pool->stats().redirects_broken.value() == 1);
  }
  SUBCASE("it is silent") {
    server.ping.clear();
    Wait(pool->SilenceBound());
    server.ping = "+PONG\r\n";
  }
  SUBCASE("it says what nobody asked for") {
    tracker->Feed("+what\r\n");
  }
  CHECK(tracker->closed());
  CHECK_FALSE(Cached("a"));
  CHECK(State() == TrackingState::kDown);
  CHECK(pool->stats().trackers_lost.value() == 1);
  CHECK(pool->stats().trackers_ready.value() == 0);
  Turn();
  const Heard asked = server.Asked();
  if (std::find(asked.begin(), asked.end(), "GET c") != asked.end()) {
    Answer("c");  // it goes to those who wait, and not to L1
  }
  CHECK_FALSE(Cached("c"));
}

TEST_CASE_FIXTURE(RedirectedRig, "a fill link is armed anew with every tracking link") {
  tracker->End(Code::kUnavailable);
  server.client_id = ":78\r\n";
  Turn();
  StartTracker("r1");
  CHECK(server.Times("CLIENT TRACKING ON REDIRECT 78") == 1);
  CHECK(State() == TrackingState::kDown);
  AnswerInfo("r1");
  CHECK(State() == TrackingState::kArmedUnordered);
  CHECK_FALSE(Cached("a"));
  Fill("a");
  CHECK(Cached("a"));
}

TEST_CASE_FIXTURE(RedirectedRig, "an id that the server does not know ends the tracking link") {
  server.tracking = "-ERR The client ID you want redirect to does not exist\r\n";
  server.tracking_connection().End(Code::kUnavailable);
  CHECK_FALSE(Cached("a"));
  Turn();
  CHECK(tracker->closed());
  CHECK(State() == TrackingState::kDown);
  server.tracking = "+OK\r\n";
  Wait(config.health_interval * 2);
  StartTracker("r1");
  AnswerInfo("r1");
  CHECK(State() == TrackingState::kArmedUnordered);
}

TEST_CASE_FIXTURE(RedirectedRig, "when all is renewed, each connection begins from the beginning") {
  pool->Reconnect();
  Turn();
  CHECK_FALSE(Cached("a"));
  StartTracker("r1");
  AnswerInfo("r1");
  CHECK(State() == TrackingState::kArmedUnordered);
}

TEST_CASE_FIXTURE(Rig, "a broadcast names the prefixes, and one fill link is enough") {
  method = Method::kBcast;
  broadcast = {"a:", "b:"};
  config.fill_links = 3;
  Start();
  CHECK(server.Times("CLIENT TRACKING ON BCAST PREFIX a: PREFIX b:") == 1);
  CHECK(State() == TrackingState::kArmedUnordered);
  CHECK(pool->TrackingText() == "armed (bcast)");
  Fill("a:1");
  server.tracking_connection().Feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\na:1\r\n");
  CHECK_FALSE(Cached("a:1"));
}

// ---- fills and pushes ---------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a fill is GET and PTTL on the key's own fill link") {
  config.fill_links = 3;
  Start();
  std::set<FakeConnection*> used;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "key" + std::to_string(i);
    StartFill(key);
    FakeConnection& first = server.ConnectionOf("GET " + key);
    CHECK(&first == &server.ConnectionOf("PTTL " + key));
    Answer(key);
    StartFill(key);
    CHECK(&first == &server.ConnectionOf("GET " + key));
    Answer(key);
    used.insert(&first);
  }
  CHECK(used.size() == 3);
}

TEST_CASE_FIXTURE(Rig, "what a fill link pushes is dropped; a null push drops everything") {
  Start();
  Fill("a");
  Fill("b");
  Fill("c");
  server.tracking_connection().Feed(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$4\r\nnone\r\n");
  CHECK_FALSE(Cached("a"));
  CHECK(Cached("b"));
  server.tracking_connection().Feed(">3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\nx\r\n");
  CHECK(Cached("b"));
  server.tracking_connection().Feed(">2\r\n$10\r\ninvalidate\r\n_\r\n");
  CHECK_FALSE(Cached("b"));
  CHECK(coherence->stats().flushes_push.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "a push that overtakes the value forbids to store it") {
  Start();
  StartFill("k");
  server.tracking_connection().Feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
  Answer("k");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Rig,
                  "a lost fill link makes what it filled unservable, and fills again once back") {
  Start();
  Wait(2s);
  Fill("a");
  StartFill("b");
  server.accepts = false;
  server.tracking_connection().End(Code::kUnavailable);
  CHECK_FALSE(Cached("a"));
  CHECK(State() == TrackingState::kDown);
  CHECK(pool->stats().tracking_state.value() == 0);
  server.accepts = true;
  Turn();
  CHECK(State() == TrackingState::kArmed);
  Answer("b");  // asked again: it is an answer, but what filled it is the connection that is gone
  CHECK_FALSE(Cached("b"));
  Fill("a");
  CHECK(Cached("a"));
}

TEST_CASE_FIXTURE(Rig, "of several fill links only the lost one's entries go") {
  config.fill_links = 2;
  Start();
  Wait(2s);
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) {
    keys.push_back("key" + std::to_string(i));
    Fill(keys.back());
  }
  server.tracking_connection().End(Code::kUnavailable);
  const auto left =
      std::count_if(keys.begin(), keys.end(), [&](const auto& k) { return Cached(k); });
  CHECK(left > 0);
  CHECK(left < 20);
}

TEST_CASE_FIXTURE(Rig,
                  "in TTL-only mode entries outlive the loss of the link, and the mode as well") {
  server.tracking = "-ERR unknown subcommand\r\n";
  Start();
  Wait(2s);
  Fill("k");
  server.accepts = false;
  dialer.connection(1).End(Code::kUnavailable);
  CHECK(Cached("k"));
  CHECK(State() == TrackingState::kTtlOnly);
  server.accepts = true;
  Turn();
  CHECK(Cached("k"));
}

TEST_CASE_FIXTURE(Rig,
                  "what was filled without tracking is dropped when tracking comes, and back") {
  server.tracking = "-ERR unknown subcommand\r\n";
  Start();
  Wait(2s);
  Fill("k");
  server.tracking = "+OK\r\n";
  dialer.connection(1).End(Code::kUnavailable);  // a newer server takes over
  Turn();
  CHECK(State() == TrackingState::kArmed);
  CHECK_FALSE(Cached("k"));
  Fill("k");
  Wait(2s);
  server.tracking = "-ERR unknown subcommand\r\n";
  server.tracking_connection().End(Code::kUnavailable);
  Turn();
  CHECK(State() == TrackingState::kTtlOnly);
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Rig, "a fill begun in one mode does not store in the other") {
  server.tracking = "-ERR unknown subcommand\r\n";
  config.fill_links = 2;
  Start();
  Wait(2s);
  std::string key = "a";
  while (hasher(key) % 2 != 0) {
    key += "a";  // of the first fill link
  }
  StartFill(key);
  server.tracking = "+OK\r\n";
  FakeConnection* other = &dialer.connection(1) == &server.ConnectionOf("GET " + key)
                              ? &dialer.connection(2)
                              : &dialer.connection(1);
  other->End(Code::kUnavailable);
  Turn();
  Answer(key);
  CHECK_FALSE(Cached(key));
}

// ---- exclusive links ----------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "the link returned last is lent first, and stands already") {
  Start();
  ExclusiveLink* first = BorrowReady();
  ExclusiveLink* second = BorrowReady();
  const std::size_t dials = dialer.dials();
  Return(first);
  Return(second);
  CHECK(pool->stats().exclusive_idle.value() == 2);
  CHECK(Borrow() == second);
  CHECK(Borrow() == first);
  CHECK(dialer.dials() == dials);
  CHECK(pool->stats().exclusive_active.value() == 2);
}

TEST_CASE_FIXTURE(Rig, "a link is lent again only in its own database and protocol") {
  Start();
  ExclusiveLink* link = BorrowReady();
  Return(link);
  CHECK(Borrow(1) != link);
  CHECK(Borrow(0, Protocol::kResp3) != link);
  CHECK(Borrow() == link);
}

TEST_CASE_FIXTURE(Rig, "a link that carries a client's state, or its command, is not lent again") {
  Start();
  ExclusiveLink* link = BorrowReady();
  FakeConnection& connection = dialer.latest();
  SUBCASE("the client's state") {
    Return(link, false);
  }
  SUBCASE("an unanswered command") {
    Send(*link, "BLPOP");
    Return(link);
  }
  SUBCASE("a passthrough") {
    link->StartPassthrough();
    Return(link);
  }
  CHECK(connection.closed());
  CHECK(pool->stats().exclusive_idle.value() == 0);
  CHECK(pool->stats().closed_returned.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "so many links are lent and no more, and the refusal names the setting") {
  config.pool.max_active = 2;
  config.pool.max_wait = 0ms;
  Start();
  ExclusiveLink* link = BorrowReady();
  CHECK(Borrow() != nullptr);
  CHECK(Borrow() == nullptr);
  CHECK(error_line.find("upstream.pool.max_active") != std::string_view::npos);
  CHECK(pool->stats().exclusive_exhausted.value() == 1);
  Return(link);
  CHECK(Borrow() == link);
}

TEST_CASE_FIXTURE(Rig, "an idle link of another database makes room, the coldest one first") {
  config.pool.max_active = 2;
  Start();
  ExclusiveLink* cold = BorrowReady();
  FakeConnection& cold_connection = dialer.latest();
  ExclusiveLink* warm = BorrowReady();
  Return(cold);
  Return(warm);
  CHECK(Borrow(3) != nullptr);
  pool->Flush();
  CHECK(cold_connection.closed());
  CHECK(Borrow() == warm);
}

TEST_CASE_FIXTURE(Rig, "so many idle links are kept and no more, and none for ever") {
  config.pool.max_idle = 1;
  config.pool.idle_timeout = 60s;
  Start();
  ExclusiveLink* first = BorrowReady();
  FakeConnection& kept = dialer.latest();
  ExclusiveLink* second = BorrowReady();
  Return(first);
  Return(second);
  CHECK(dialer.latest().closed());
  CHECK(pool->stats().exclusive_idle.value() == 1);
  Wait(59s);
  CHECK_FALSE(kept.closed());
  Wait(2s);
  CHECK(kept.closed());
  CHECK(pool->stats().closed_idle.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "an idle link that the server closed is not lent") {
  Start();
  ExclusiveLink* link = BorrowReady();
  FakeConnection& connection = dialer.latest();
  Return(link);
  connection.End(Code::kEof);
  ExclusiveLink* next = Borrow();
  CHECK(next != link);
  Send(*next, "MULTI");
  server.Answer("MULTI", "+OK\r\n");
  CHECK(sink.heard.back() == "1: +OK\r\n");
}

// ---- the server's commands ----------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "the server is asked for its commands once, and what it knows is learned") {
  server.command = "*1\r\n*6\r\n$7\r\nmyget.x\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n";
  config.links = 2;
  Start();
  Send(LaneOf(0, Protocol::kResp2, 1), "DBSIZE");
  server.Answer("DBSIZE", ":0\r\n");
  CHECK(server.Times("COMMAND") == 1);
  const std::array<std::string_view, 2> call = {"MYGET.X", "k"};
  CHECK(commands.Find(call).name == "myget.x");
}

TEST_CASE_FIXTURE(Rig,
                  "a server that does not tell its commands is asked again with the next link") {
  Start();
  Wait(2s);
  const std::size_t times = server.Times("COMMAND");
  server.tracking_connection().End(Code::kEof);
  Turn();
  CHECK(server.Times("COMMAND") == times + 1);
}

TEST_CASE_FIXTURE(Rig, "another version of the server is asked for its commands as well") {
  server.command = "*0\r\n";
  Start();
  Wait(2s);
  CHECK(pool->server_version() == "7.0.15");
  const std::size_t times = server.Times("COMMAND");
  server.hello = "%1\r\n$7\r\nversion\r\n$5\r\n8.0.0\r\n";
  server.tracking_connection().End(Code::kEof);
  Turn();
  CHECK(pool->server_version() == "8.0.0");
  CHECK(server.Times("COMMAND") == times + 1);
}

// ---- time and the end ---------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig,
                  "every standing link is asked for a sign of life, and a dead one is replaced") {
  Start();
  Wait(3s);
  CHECK(pool->stats().pings.value() >= 4);
  server.ping.clear();  // from now on it says nothing
  const std::size_t dials = dialer.dials();
  Wait(6s);
  CHECK(pool->stats().closed_silent.value() >= 1);
  CHECK(dialer.dials() > dials);
}

TEST_CASE_FIXTURE(Rig, "a lane that is being renewed and never answers again is given up") {
  config.health_interval = 1s;
  config.health_misses = 3;
  config.command_timeout = 2s;
  config.pool.max_lifetime = 10s;
  config.pool.lifetime_jitter = 0;
  Start();
  Wait(9500ms);
  std::uint64_t seat = 0;
  Send(pool->Lane(0, Protocol::kResp2, seat, false), "INCR");
  FakeConnection& silent = server.ConnectionOf("INCR");
  Wait(1s);
  CHECK_FALSE(silent.closed());  // its lifetime is over, and it still owes a reply
  Wait(4s);
  CHECK(silent.closed());
  CHECK(pool->stats().closed_silent.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "a shut down pool tells everyone, refuses, and dials no more") {
  Start();
  StartFill("k");
  Send(LaneOf(0, Protocol::kResp2, 0), "DBSIZE");
  ExclusiveLink* link = BorrowReady();
  Return(link);
  const std::size_t dials = dialer.dials();
  sink.heard.clear();
  pool->Shutdown();
  CHECK(sink.heard.size() == 2);
  CHECK(Borrow() == nullptr);
  CHECK(error_line == proto::kErrDraining);
  CHECK(State() == TrackingState::kDown);
  const auto refused = pool->SendFill(Key("k"), {}, coherence->flights(), 0);
  CHECK(std::get<std::string_view>(refused) == proto::kErrDraining);
  scheduler.Advance(1h);
  CHECK(dialer.dials() == dials);
}

}  // namespace
}  // namespace nearcached
