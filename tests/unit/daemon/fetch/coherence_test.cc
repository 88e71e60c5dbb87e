#include "daemon/fetch/coherence.h"

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "tests/support/fake_fetch.h"
#include "tests/support/fake_scheduler.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Rig {
 public:
  FakeScheduler scheduler;
  KeyHasher hasher{1};
  L1 l1{L1Options{.bytes_max = 4 << 20, .negative_share = 0.1}};
  FakeFillChannel channel;
  RecordingSink sink;
  Coherence coherence{scheduler, hasher, l1, channel};

  Rig() { coherence.flights().SetSink(sink); }
  ~Rig() {
    CHECK(coherence.idle());
    CHECK(coherence.stats().holds.value() == 0);
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  [[nodiscard]] CacheKey Key(std::string_view key, DbIndex db = 0) const {
    return {db, key, hasher(key)};
  }
  void Store(std::string_view key, DbIndex db = 0, FillOwner owner = {0, 1}) {
    const auto result = l1.Insert(Key(key, db), "$1\r\nx\r\n", false, scheduler.Now() + 60s,
                                  scheduler.Now(), owner);
    REQUIRE((result == L1::InsertResult::kStored || result == L1::InsertResult::kReplaced));
  }
  bool Cached(std::string_view key, DbIndex db = 0) {
    return l1.Find(Key(key, db), scheduler.Now()).has_value();
  }
  bool Held(std::string_view key) { return coherence.Held(hasher(key)); }
  std::unique_ptr<Footprint> Touch(std::string_view key, bool write) {
    auto footprint = std::make_unique<Footprint>();
    footprint->write = write;
    footprint->keys.push_back({hasher(key), std::string(key), write});
    return footprint;
  }
  std::unique_ptr<Footprint> Begin(std::unique_ptr<Footprint> footprint) {
    coherence.BeginWrite(*footprint);
    return footprint;
  }
  // Begins a fill of `key` as a session would.
  void StartFill(std::string_view key) {
    const FillTerms terms{
        .ttl = 60s, .entry_bytes_max = 1000, .may_fill = !coherence.Held(hasher(key))};
    REQUIRE(coherence.flights().Join(Key(key), {}, terms, {}, Joining::kAny, 100).empty());
  }
  void AnswerFill(std::size_t i) {
    channel.Value(i, "$1\r\nx\r\n");
    channel.Ttl(i, ":-1\r\n");
  }
};

// ---- own writes act twice (R3) ------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a write drops its key when it is sent and again when it is answered") {
  Store("k");
  Store("k", 9);
  Store("other");
  auto footprint = Begin(Touch("k", true));
  CHECK_FALSE(Cached("k"));
  CHECK_FALSE(Cached("k", 9));
  CHECK(Cached("other"));
  Store("k");  // however it got there, it may be older than the write
  coherence.Finish(std::move(footprint), Outcome::kAnswered);
  CHECK_FALSE(Cached("k"));
  CHECK(coherence.stats().own_writes.value() == 1);
  CHECK(coherence.stats().own_entries_dropped.value() == 3);
}

TEST_CASE_FIXTURE(Rig, "between the two acts the key is held: a read begun then fills nothing") {
  auto footprint = Begin(Touch("k", true));
  CHECK(Held("k"));
  CHECK_FALSE(Held("other"));
  CHECK(coherence.stats().holds.value() == 1);
  StartFill("k");
  AnswerFill(0);
  CHECK_FALSE(Cached("k"));
  coherence.Finish(std::move(footprint), Outcome::kAnswered);
  CHECK_FALSE(Held("k"));
  StartFill("k");
  AnswerFill(1);
  CHECK(Cached("k"));
}

TEST_CASE_FIXTURE(Rig, "a read under way when a write begins, or ends, does not fill") {
  StartFill("k");
  auto footprint = Begin(Touch("k", true));
  AnswerFill(0);
  CHECK_FALSE(Cached("k"));
  StartFill("k");
  coherence.Finish(std::move(footprint), Outcome::kAnswered);
  AnswerFill(1);
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Rig, "a key is held until the last of its writes is answered") {
  auto first = Begin(Touch("k", true));
  auto second = Begin(Touch("k", true));
  CHECK(coherence.stats().holds.value() == 1);  // keys, not writes
  coherence.Finish(std::move(first), Outcome::kAnswered);
  CHECK(Held("k"));
  coherence.Finish(std::move(second), Outcome::kAnswered);
  CHECK_FALSE(Held("k"));
}

TEST_CASE_FIXTURE(Rig, "a command that names a key twice lets go of it when it is answered") {
  auto footprint = Touch("k", true);
  footprint->keys.push_back(footprint->keys.front());
  footprint = Begin(std::move(footprint));
  CHECK(Held("k"));
  coherence.Finish(std::move(footprint), Outcome::kAnswered);
  CHECK_FALSE(Held("k"));
}

TEST_CASE_FIXTURE(Rig, "of a command that reads one key and writes another only one is held") {
  auto footprint = Touch("from", false);
  footprint->write = true;
  footprint->keys.push_back({hasher("to"), "to", true});
  Store("from");
  footprint = Begin(std::move(footprint));
  CHECK(Held("to"));
  CHECK_FALSE(Held("from"));
  coherence.Finish(std::move(footprint), Outcome::kAnswered);
  CHECK_FALSE(Held("to"));
}

// ---- reads past L1 (R15) ------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a read past L1 holds nothing and drops its key when it is answered") {
  Store("k");
  auto footprint = Begin(Touch("k", false));
  CHECK(Cached("k"));
  CHECK_FALSE(Held("k"));
  StartFill("k");
  coherence.Finish(std::move(footprint), Outcome::kAnswered);
  CHECK_FALSE(Cached("k"));
  AnswerFill(0);  // was sent before that reply came, and may show an older value
  CHECK_FALSE(Cached("k"));
  CHECK(coherence.stats().own_writes.value() == 0);
}

// ---- flushes (R7) -------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a flushing command drops everything twice and holds every key in between") {
  auto footprint = std::make_unique<Footprint>();
  footprint->write = footprint->wide = footprint->flushes_all = true;
  Store("a");
  StartFill("b");
  footprint = Begin(std::move(footprint));
  CHECK_FALSE(Cached("a"));
  CHECK(Held("anything"));
  AnswerFill(0);
  CHECK_FALSE(Cached("b"));
  Store("a");
  coherence.Finish(std::move(footprint), Outcome::kAnswered);
  CHECK_FALSE(Cached("a"));
  CHECK_FALSE(Held("anything"));
  CHECK(coherence.stats().flushes_command.value() == 2);
}

TEST_CASE_FIXTURE(Rig, "a transaction that flushes and names keys holds and releases both") {
  auto footprint = Touch("k", true);
  footprint->flushes_all = true;
  footprint = Begin(std::move(footprint));
  CHECK(Held("other"));
  coherence.Finish(std::move(footprint), Outcome::kAnswered);
  CHECK_FALSE(Held("k"));
}

TEST_CASE_FIXTURE(Rig,
                  "every kind of flush empties L1, poisons flights and is counted by its reason") {
  const std::array reasons = {FlushReason::kPush, FlushReason::kCommand, FlushReason::kTrackingLost,
                              FlushReason::kAdmin};
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    Store("a");
    StartFill("b");
    coherence.Flush(reasons.at(i));
    CHECK_FALSE(Cached("a"));
    AnswerFill(i);
    CHECK_FALSE(Cached("b"));
  }
  CHECK(coherence.stats().flushes_push.value() == 1);
  CHECK(coherence.stats().flushes_command.value() == 1);
  CHECK(coherence.stats().flushes_tracking.value() == 1);
  CHECK(coherence.stats().flushes_admin.value() == 1);
  CHECK(coherence.stats().pushes.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "a flush by prefix drops those keys in every database, and every flight") {
  Store("user:1");
  Store("user:2", 3);
  Store("post:1");
  StartFill("user:3");
  CHECK(coherence.FlushPrefix("user:") == 2);
  CHECK_FALSE(Cached("user:1"));
  CHECK_FALSE(Cached("user:2", 3));
  CHECK(Cached("post:1"));
  AnswerFill(0);
  CHECK_FALSE(Cached("user:3"));
}

// ---- invalidations and lost links (R2, R6) ------------------------------------------------------

TEST_CASE_FIXTURE(Rig,
                  "what others say of a key counts as the server's word, apart from the figures") {
  Store("a", 4);
  Store("b");
  StartFill("c");
  StartFill("d");
  const std::array<std::string_view, 2> said = {"a", "c"};
  coherence.OnEventKeys(said);
  CHECK_FALSE(Cached("a", 4));
  CHECK(Cached("b"));
  const std::array<std::string_view, 2> asked = {"b", "d"};
  CHECK(coherence.Invalidate(asked) == 1);
  CHECK_FALSE(Cached("b"));
  AnswerFill(0);
  AnswerFill(1);
  CHECK_FALSE(Cached("c"));
  CHECK_FALSE(Cached("d"));
  CHECK(coherence.stats().pushes.value() == 0);
  CHECK(coherence.stats().entries_event.value() == 1);
  CHECK(coherence.stats().entries_admin.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "a prefix drops its keys and poisons their flights, and no others") {
  Store("user:1");
  Store("post:1");
  StartFill("user:2");
  StartFill("post:2");
  coherence.OnEventPrefix("user:");
  CHECK_FALSE(Cached("user:1"));
  CHECK(Cached("post:1"));
  AnswerFill(0);
  AnswerFill(1);
  CHECK_FALSE(Cached("user:2"));
  CHECK(Cached("post:2"));
  CHECK(coherence.stats().entries_event.value() == 1);
}

TEST_CASE_FIXTURE(Rig,
                  "an invalidation drops its keys in all databases and poisons their flights") {
  Store("a");
  Store("a", 4);
  Store("b");
  StartFill("c");
  const std::array<std::string_view, 3> keys = {"a", "c", "never seen"};
  coherence.OnInvalidate(keys);
  CHECK_FALSE(Cached("a"));
  CHECK_FALSE(Cached("a", 4));
  CHECK(Cached("b"));
  AnswerFill(0);
  CHECK_FALSE(Cached("c"));
  CHECK(coherence.stats().pushes.value() == 1);
  CHECK(coherence.stats().pushed_keys.value() == 3);
  CHECK(coherence.stats().entries_invalidated.value() == 2);
}

TEST_CASE_FIXTURE(Rig, "a lost fill link takes what it filled with it, and nothing else") {
  Store("a", 0, {0, 1});
  Store("b", 0, {1, 1});
  coherence.OnFillersLost({{{0, 1}}}, true);
  CHECK_FALSE(Cached("a"));
  CHECK(Cached("b"));
  Store("a", 0, {0, 2});  // the link is back, with a new epoch
  CHECK(Cached("a"));
}

TEST_CASE_FIXTURE(Rig, "what a lost link filled is set aside where stale values may be served") {
  coherence.SetStaleMax(std::chrono::seconds(2));
  Store("a", 0, {0, 1});
  Store("b", 0, {0, 1});
  Store("c", 0, {1, 1});
  const auto stale = [&](std::string_view key) {
    return l1.FindShelved(Key(key), scheduler.Now(), std::chrono::seconds(2)).has_value();
  };
  SUBCASE("the server went away: until it is back, or the time is over") {
    coherence.OnFillersLost({{{0, 1}}}, true);
    CHECK(stale("a"));
    CHECK_FALSE(stale("c"));
    SUBCASE("it is back") {
      coherence.OnUpstreamBack();
    }
    SUBCASE("the time is over") {
      scheduler.Advance(std::chrono::seconds(2));
      coherence.Tick(scheduler.Now());
      CHECK(l1.shelf_empty());
    }
    SUBCASE("its slots are back, or another's") {
      const std::array<FillOwner, 1> another = {{{1, 2}}};
      const std::array<FillOwner, 1> owners = {{{0, 2}}};  // of a later generation
      SUBCASE("back") {
        coherence.OnFillersBack(another);
        CHECK(stale("a"));
        coherence.OnFillersBack(owners);
      }
      SUBCASE("another's") {
        coherence.OnSlotsMoved(another);
        CHECK(stale("a"));
        coherence.OnSlotsMoved(owners);
      }
    }
    SUBCASE("a flush") {
      coherence.Flush(FlushReason::kPrimaryChanged);
    }
    SUBCASE("writes of them") {
      coherence.Finish(Begin(Touch("a", true)), Outcome::kLost);
      CHECK_FALSE(stale("a"));
      CHECK(stale("b"));
      coherence.Finish(Begin(Touch("b", true)), Outcome::kLost);
    }
    SUBCASE("invalidations of them") {
      const std::array<std::string_view, 2> keys = {"a", "b"};
      coherence.OnInvalidate(keys);
    }
    CHECK_FALSE(stale("a"));
    CHECK_FALSE(stale("b"));
  }
  SUBCASE("we closed the link ourselves: it is dropped") {
    coherence.OnFillersLost({{{0, 1}}}, false);
    CHECK_FALSE(stale("a"));
  }
  CHECK_FALSE(Cached("a"));
}

// ---- lost writes --------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "where the server tracks, a lost write is held no longer than its link") {
  auto footprint = Begin(Touch("k", true));
  coherence.Finish(std::move(footprint), Outcome::kLost);
  CHECK_FALSE(Held("k"));
}

TEST_CASE_FIXTURE(Rig,
                  "where it does not, a lost write is held on, and acts once more at the end") {
  coherence.SetHoldAfterLoss(5s, 5s);
  auto footprint = Begin(Touch("k", true));
  auto later = Begin(Touch("later", true));
  coherence.Finish(std::move(footprint), Outcome::kLost);
  scheduler.Advance(1s);
  coherence.Finish(std::move(later), Outcome::kLost);
  CHECK(Held("k"));
  CHECK_FALSE(coherence.idle());

  scheduler.Advance(4s - 1ns);
  coherence.Tick(scheduler.Now());
  CHECK(Held("k"));
  Store("k");  // it may still be executed at the last moment
  scheduler.Advance(1ns);
  coherence.Tick(scheduler.Now());
  CHECK_FALSE(Held("k"));
  CHECK_FALSE(Cached("k"));
  CHECK(Held("later"));
  scheduler.Advance(1s);
  coherence.Tick(scheduler.Now());
  CHECK_FALSE(Held("later"));
}

TEST_CASE_FIXTURE(Rig, "without tracking, neither an answered write nor a lost read is held on") {
  coherence.SetHoldAfterLoss(5s, 5s);
  coherence.Finish(Begin(Touch("w", true)), Outcome::kAnswered);
  coherence.Finish(Begin(Touch("r", false)), Outcome::kLost);
  CHECK_FALSE(Held("w"));
  CHECK_FALSE(Held("r"));
}

// That SWAPDB was executed is announced by no server.
TEST_CASE_FIXTURE(Rig, "a lost flush holds everything on, even where the server tracks") {
  coherence.SetHoldAfterLoss(0s, 5s);
  auto footprint = std::make_unique<Footprint>();
  footprint->write = footprint->flushes_all = true;
  coherence.Finish(Begin(std::move(footprint)), Outcome::kLost);
  CHECK(Held("anything"));
  Store("k");  // filled from what was there before
  scheduler.Advance(5s);
  coherence.Tick(scheduler.Now());
  CHECK_FALSE(Held("anything"));
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Rig, "at shutdown nothing stays held") {
  coherence.SetHoldAfterLoss(5s, 5s);
  coherence.Finish(Begin(Touch("a", true)), Outcome::kLost);
  coherence.Finish(Begin(Touch("b", true)), Outcome::kLost);
  coherence.ReleaseAll();
  CHECK(coherence.idle());
}

}  // namespace
}  // namespace nearcached
