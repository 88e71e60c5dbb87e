#include "daemon/fetch/flight_table.h"

#include <chrono>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/daemon/fetch/flights_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kValueX = "$1\r\nx\r\n";
constexpr std::string_view kNil = "$-1\r\n";

TEST_CASE_FIXTURE(Flights, "many requests for one key make one upstream read, and all hear of it") {
  for (std::uint64_t i = 0; i < 50; ++i) {
    CHECK(Join("k", i).empty());
  }
  REQUIRE(channel.sent.size() == 1);
  CHECK(channel.sent[0].key == "k");
  CHECK(table.stats().started.value() == 1);
  CHECK(table.stats().coalesced.value() == 49);
  Answer(0, kValueX, ":-1\r\n");
  REQUIRE(sink.heard.size() == 50);
  CHECK(sink.heard.front() == "0: $1\r\nx\r\n");
  CHECK(sink.heard.back() == "49: $1\r\nx\r\n");
}

TEST_CASE_FIXTURE(Flights, "nobody is answered before the value is in L1") {
  (void)Join("k", 1);
  channel.Value(0, kValueX);
  CHECK(sink.heard.empty());
  CHECK(Cached("k").empty());
  channel.Ttl(0, ":-1\r\n");
  CHECK(Cached("k") == kValueX);
  CHECK(sink.heard.size() == 1);
}

TEST_CASE_FIXTURE(Flights,
                  "whoever asks after the value came is told of the present, and only that fills") {
  (void)Join("k", 1);
  channel.Value(0, kValueX);
  (void)Join("k", 2);
  CHECK(channel.sent.size() == 2);
  channel.Ttl(0, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: $1\r\nx\r\n"});
  CHECK(Cached("k").empty());
  channel.Value(1, kValueX);
  channel.Ttl(1, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"2: $1\r\nx\r\n"});
  CHECK(Cached("k") == kValueX);
}

TEST_CASE_FIXTURE(Flights, "different keys, and one key in different databases, fly apart") {
  (void)Join("a", 1);
  (void)Join("b", 2);
  (void)Join("a", 3, 5);
  REQUIRE(channel.sent.size() == 3);
  Answer(2, "$1\r\nz\r\n", ":-1\r\n");
  Answer(0, kValueX, ":-1\r\n");
  Answer(1, "$1\r\ny\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"3: $1\r\nz\r\n", "1: $1\r\nx\r\n", "2: $1\r\ny\r\n"});
  CHECK(Cached("a") == kValueX);
  CHECK(Cached("a", 5) == "$1\r\nz\r\n");
}

TEST_CASE_FIXTURE(Flights, "where nothing is coalesced every request has a read of its own") {
  joining = Joining::kNone;
  (void)Join("k", 1);
  (void)Join("k", 2);
  CHECK(channel.sent.size() == 2);
  joining = Joining::kAny;
  (void)Join("k", 3);
  CHECK(channel.sent.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    Answer(i, kValueX, ":-1\r\n");
  }
  CHECK(sink.heard.size() == 3);
}

TEST_CASE_FIXTURE(Flights, "a flight takes so many waiters and no more; the next starts another") {
  waiters_max = 2;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    (void)Join("k", i);
  }
  CHECK(channel.sent.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    Answer(i, kValueX, ":-1\r\n");
  }
  CHECK(sink.heard.size() == 5);
}

TEST_CASE_FIXTURE(Flights, "when nothing can be sent the caller is told why, and nobody waits") {
  channel.refusal = "ERR the upstream is away";
  CHECK(Join("k", 1) == "ERR the upstream is away");
  CHECK(table.open() == 0);
  channel.refusal = {};
  CHECK(Join("k", 2).empty());  // the failure left nothing to join
  REQUIRE(channel.sent.size() == 1);
  Answer(0, kValueX, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"2: $1\r\nx\r\n"});
}

// ---- poison (R1, R2) ----------------------------------------------------------------------------

TEST_CASE_FIXTURE(Flights, "a poisoned flight answers those who wait and fills nothing") {
  (void)Join("k", 1);
  SUBCASE("poisoned before the value") {
    Poison("k");
    channel.Value(0, kValueX);
  }
  SUBCASE("poisoned between the value and its TTL") {
    channel.Value(0, kValueX);
    Poison("k");
  }
  channel.Ttl(0, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: $1\r\nx\r\n"});
  CHECK(Cached("k").empty());
  CHECK(table.stats().fills_poisoned.value() == 1);
  CHECK(table.stats().fills_stored.value() == 0);
}

TEST_CASE_FIXTURE(Flights, "whoever asks after an invalidation gets a read sent after it") {
  (void)Join("k", 1);
  Poison("k");
  (void)Join("k", 2);
  REQUIRE(channel.sent.size() == 2);
  Answer(0, kValueX, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: $1\r\nx\r\n"});
  Answer(1, "$3\r\nnew\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"2: $3\r\nnew\r\n"});
  CHECK(Cached("k") == "$3\r\nnew\r\n");
  CHECK(table.stats().detached.value() == 1);
}

TEST_CASE_FIXTURE(Flights, "an old generation that answers last does not overwrite the new one") {
  (void)Join("k", 1);
  Poison("k");
  (void)Join("k", 2);
  Answer(1, "$3\r\nnew\r\n", ":-1\r\n");
  CHECK(Cached("k") == "$3\r\nnew\r\n");
  Answer(0, "$3\r\nold\r\n", ":-1\r\n");
  CHECK(Cached("k").empty());  // what is not kept leaves nothing behind: which is older is unknown
  CHECK(TakeHeard() == Heard{"2: $3\r\nnew\r\n", "1: $3\r\nold\r\n"});
}

TEST_CASE_FIXTURE(Flights,
                  "poison reaches every flight of the key in every database, and no other") {
  waiters_max = 1;
  (void)Join("k", 1);
  (void)Join("k", 2);
  (void)Join("k", 3, 7);
  (void)Join("other", 4);
  Poison("k");
  for (std::size_t i = 0; i < 4; ++i) {
    Answer(i, kValueX, ":-1\r\n");
  }
  CHECK(Cached("k").empty());
  CHECK(Cached("k", 7).empty());
  CHECK(Cached("other") == kValueX);
  CHECK(table.stats().fills_poisoned.value() == 3);
}

TEST_CASE_FIXTURE(Flights, "a flush poisons whatever is under way") {
  (void)Join("a", 1);
  (void)Join("b", 2);
  table.PoisonAll();
  (void)Join("a", 3);
  CHECK(channel.sent.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    Answer(i, kValueX, ":-1\r\n");
  }
  CHECK(Cached("b").empty());
  CHECK(Cached("a") == kValueX);
}

// ---- what is remembered, and for how long (R5) --------------------------------------------------

struct FillCase {
  const char* name;
  std::string_view value;
  std::string_view ttl;
  std::string_view cached;  // right after the answer
  Duration life;            // until then, counted from sending
};

constexpr std::string_view kWrongType = "-WRONGTYPE Operation against a key\r\n";

const FillCase kFills[] = {
    {"a key without an end lives for its ttl", kValueX, ":-1\r\n", kValueX, 10s},
    {"the key's own end comes first", kValueX, ":300\r\n", kValueX, 300ms},
    {"the ttl comes first", kValueX, ":99999\r\n", kValueX, 10s},
    {"the key went between the two reads", kValueX, ":-2\r\n", "", 0s},
    {"the key is about to go", kValueX, ":0\r\n", "", 0s},
    {"a missing key is remembered for a shorter time", kNil, ":-2\r\n", "nil", 2s},
    {"a missing key as RESP3 says it", "_\r\n", ":-2\r\n", "nil", 2s},
    {"the key came between the two reads", kNil, ":-1\r\n", "", 0s},
    {"the key came between the two reads, with an end", kNil, ":500\r\n", "", 0s},
    {"a key of another type", kWrongType, ":-1\r\n", "", 0s},
    {"a server in trouble", "-LOADING Redis is loading\r\n", "-LOADING Redis is loading\r\n", "",
     0s},
    {"PTTL refused", kValueX, "-NOPERM no\r\n", "", 0s},
    {"PTTL answered with nonsense", kValueX, ":\r\n", "", 0s},
    {"GET answered with something that is no string", "*0\r\n", ":-1\r\n", "", 0s},
};

TEST_CASE("what is stored, and until when, follows from both replies") {
  for (const FillCase& c : kFills) {
    CAPTURE(c.name);
    Flights f;
    (void)f.Join("k", 1);
    f.Answer(0, c.value, c.ttl);
    CHECK(f.TakeHeard() == Heard{"1: " + std::string(c.value)});
    CHECK(f.Cached("k") == c.cached);
    CHECK(f.table.stats().fills_refused.value() == (c.cached.empty() ? 1 : 0));
    if (c.life > 0s) {
      f.scheduler.Advance(c.life - 1ms);
      CHECK(f.Cached("k") == c.cached);
      f.scheduler.Advance(1ms);
      CHECK(f.Cached("k").empty());
    }
  }
}

TEST_CASE_FIXTURE(Flights, "the life of an entry counts from when its read was sent") {
  (void)Join("k", 1);
  scheduler.Advance(4s);
  Answer(0, kValueX, ":6000\r\n");
  CHECK(Cached("k") == kValueX);
  scheduler.Advance(2s);
  CHECK(Cached("k").empty());
}

TEST_CASE_FIXTURE(Flights, "a value that ended before it arrived is not stored") {
  (void)Join("k", 1);
  scheduler.Advance(7s);
  Answer(0, kValueX, ":6000\r\n");
  CHECK(Cached("k").empty());
  CHECK(TakeHeard() == Heard{"1: $1\r\nx\r\n"});
}

TEST_CASE_FIXTURE(Flights, "missing keys are not remembered where the rule says so") {
  terms.negative_ttl = 0s;
  (void)Join("k", 1);
  Answer(0, kNil, ":-2\r\n");
  CHECK(Cached("k").empty());
  CHECK(TakeHeard() == Heard{"1: $-1\r\n"});
}

TEST_CASE_FIXTURE(Flights, "while a write of the key is unanswered its readers are answered only") {
  terms.may_fill = false;
  (void)Join("k", 1);
  (void)Join("k", 2);
  CHECK(channel.sent.size() == 1);
  Answer(0, kValueX, ":-1\r\n");
  CHECK(sink.heard.size() == 2);
  CHECK(Cached("k").empty());
}

TEST_CASE_FIXTURE(Flights, "an owner that was dropped meanwhile fills nothing") {
  (void)Join("k", 1);
  l1.DropOwner(channel.owner);
  Answer(0, kValueX, ":-1\r\n");
  CHECK(Cached("k").empty());
  CHECK(table.stats().fills_refused.value() == 1);
}

// ---- large values -------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Flights, "a large value that may be stored is gathered and stored") {
  const std::string body(100'000, 'v');
  const std::string whole = "$100000\r\n" + body + "\r\n";
  (void)JoinAs(1, "k", 1);
  channel.ValuePiece(0, whole.substr(0, 70'000), 100'000, false);
  (void)JoinAs(2, "k", 2);  // nothing was handed out yet: it can still share
  channel.ValuePiece(0, whole.substr(70'000), 100'000, true);
  channel.Ttl(0, ":-1\r\n");
  CHECK(channel.sent.size() == 1);
  CHECK(TakeHeard() == Heard{"1: " + whole, "2: " + whole});
  CHECK(Cached("k") == whole);
}

TEST_CASE_FIXTURE(Flights, "a value that is poisoned while it is gathered still comes whole") {
  CHECK(Join("k", 1).empty());
  channel.ValuePiece(0, "$8\r\nab", 8, false);
  Poison("k");
  channel.ValuePiece(0, "cd", 8, false);
  channel.ValuePiece(0, "efgh\r\n", 8, true);
  channel.Ttl(0, ":-1\r\n");
  std::string all;
  for (const std::string& heard : sink.heard) {
    std::string piece = heard.substr(3);
    if (piece.ends_with("…")) {
      piece.resize(piece.size() - std::string_view("…").size());
    }
    all += piece;
  }
  CHECK(all == "$8\r\nabcdefgh\r\n");
  CHECK(Cached("k").empty());
}

TEST_CASE_FIXTURE(Flights, "a value too large to store goes to every waiter as it comes") {
  terms.entry_bytes_max = 1000;
  (void)JoinAs(1, "k", 1);
  (void)JoinAs(2, "k", 2);
  channel.ValuePiece(0, "$2000\r\nbegin", 2000, false);
  CHECK(TakeHeard() == Heard{"1: $2000\r\nbegin…", "2: $2000\r\nbegin…"});
  (void)Join("k", 3);  // would miss the beginning
  REQUIRE(channel.sent.size() == 2);
  channel.ValuePiece(0, "middle", 2000, false);
  channel.ValuePiece(0, "end\r\n", 2000, true);
  CHECK(TakeHeard() == Heard{"1: middle…", "2: middle…", "1: end\r\n", "2: end\r\n"});
  channel.Ttl(0, ":-1\r\n");
  CHECK(sink.heard.empty());
  CHECK(Cached("k").empty());
  Answer(1, kValueX, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"3: $1\r\nx\r\n"});
}

TEST_CASE_FIXTURE(Flights, "a reply that is not kept leaves nothing older of its key behind") {
  (void)Join("k", 1);
  Answer(0, kValueX, ":-1\r\n");
  REQUIRE(Cached("k") == kValueX);
  // Asked again by somebody who may not be answered from L1. The key has changed meanwhile, and
  // its push is still on another socket.
  SUBCASE("because it is too large") {
    terms.entry_bytes_max = 3;
    (void)Join("k", 2);
    Answer(1, "$4\r\nlong\r\n", ":-1\r\n");
  }
  SUBCASE("because it streams, from its first piece on") {
    terms.entry_bytes_max = 1000;
    (void)Join("k", 2);
    channel.ValuePiece(1, "$2000\r\nbegin", 2000, false);
    CHECK(Cached("k").empty());
    channel.ValuePiece(1, "end\r\n", 2000, true);
    channel.Ttl(1, ":-1\r\n");
  }
  SUBCASE("because it may not be") {
    terms.may_fill = false;
    (void)Join("k", 2);
    Answer(1, "$1\r\ny\r\n", ":-1\r\n");
  }
  SUBCASE("because it is an error") {
    (void)Join("k", 2);
    Answer(1, "-ERR no\r\n", "-ERR no\r\n");
  }
  CHECK(Cached("k").empty());
}

TEST_CASE_FIXTURE(Flights, "a client that asked often for a large value gets one copy at a time") {
  SUBCASE("streamed") {
    terms.entry_bytes_max = 1000;
    (void)JoinAs(1, "k", 1);
    (void)JoinAs(1, "k", 2);
    (void)JoinAs(2, "k", 7);
    (void)JoinAs(1, "k", 3);
    channel.ValuePiece(0, "$2000\r\nbegin", 2000, false);
    CHECK(TakeHeard() == Heard{"1: $2000\r\nbegin…", "7: $2000\r\nbegin…"});
    REQUIRE(channel.sent.size() == 2);  // for 2 and 3
    channel.ValuePiece(0, "end\r\n", 2000, true);
    channel.Ttl(0, ":-1\r\n");
    CHECK(TakeHeard() == Heard{"1: end\r\n", "7: end\r\n"});
    channel.ValuePiece(1, "$2000\r\nbegin", 2000, false);
    CHECK(TakeHeard() == Heard{"2: $2000\r\nbegin…"});
    REQUIRE(channel.sent.size() == 3);  // for 3
    channel.ValuePiece(1, "end\r\n", 2000, true);
    channel.Ttl(1, ":-1\r\n");
    Answer(2, kValueX, ":-1\r\n");
    CHECK(TakeHeard() == Heard{"2: end\r\n", "3: $1\r\nx\r\n"});
  }
  SUBCASE("gathered") {
    const std::string large = "$100000\r\n" + std::string(100'000, 'x') + "\r\n";
    (void)JoinAs(1, "k", 1);
    (void)JoinAs(1, "k", 2);
    (void)JoinAs(2, "k", 7);
    Answer(0, large, ":-1\r\n");
    CHECK(TakeHeard() == Heard{"1: " + large, "7: " + large});
    CHECK(Cached("k") == large);
    REQUIRE(channel.sent.size() == 2);
    Answer(1, kValueX, ":-1\r\n");  // it has changed meanwhile
    CHECK(TakeHeard() == Heard{"2: $1\r\nx\r\n"});
  }
  SUBCASE("an MGET that names the key twice is one request") {
    const std::string large = "$100000\r\n" + std::string(100'000, 'x') + "\r\n";
    (void)JoinAs(1, "k", 1, 0);
    (void)JoinAs(1, "k", 1, 1);
    Answer(0, large, ":-1\r\n");
    CHECK(TakeHeard() == Heard{"1: " + large, "1: " + large});
    CHECK(channel.sent.size() == 1);
  }
}

TEST_CASE_FIXTURE(Flights,
                  "a value that may not be stored is not gathered however small its limit") {
  (void)Join("k", 1);
  Poison("k");
  channel.ValuePiece(0, "$2000\r\nbegin", 2000, false);
  CHECK(TakeHeard() == Heard{"1: $2000\r\nbegin…"});
  channel.ValuePiece(0, "end\r\n", 2000, true);
  channel.Ttl(0, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: end\r\n"});
}

TEST_CASE_FIXTURE(Flights, "key and value together count against the largest entry") {
  terms.entry_bytes_max = 1 + kValueX.size();
  (void)Join("k", 1);
  (void)Join("kk", 2);
  Answer(0, kValueX, ":-1\r\n");
  Answer(1, kValueX, ":-1\r\n");
  CHECK(Cached("k") == kValueX);
  CHECK(Cached("kk").empty());
}

// ---- loss ---------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Flights,
                  "everybody who waits hears of a lost read, once, and nothing is stored") {
  (void)Join("k", 1);
  (void)Join("k", 2);
  channel.LoseValue(0);
  CHECK(TakeHeard() == Heard{"1 lost: ERR lost", "2 lost: ERR lost"});
  CHECK(Join("k", 3).empty());
  CHECK(channel.sent.size() == 2);  // a lost read is nothing to join
  SUBCASE("the TTL is lost too") {
    channel.LoseTtl(0);
  }
  SUBCASE("the TTL comes all the same") {
    channel.Ttl(0, ":-1\r\n");
  }
  CHECK(sink.heard.empty());
  CHECK(Cached("k").empty());
  Answer(1, kValueX, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"3: $1\r\nx\r\n"});
}

TEST_CASE_FIXTURE(Flights, "a value whose TTL is lost is answered, not stored") {
  (void)Join("k", 1);
  channel.Value(0, kValueX);
  channel.LoseTtl(0);
  CHECK(TakeHeard() == Heard{"1: $1\r\nx\r\n"});
  CHECK(Cached("k").empty());
}

TEST_CASE_FIXTURE(Flights,
                  "a streamed value that breaks off is told as broken, one gathered is not") {
  SUBCASE("streamed") {
    terms.entry_bytes_max = 10;
    (void)Join("k", 1);
    channel.ValuePiece(0, "$2000\r\nbegin", 2000, false);
    channel.LoseValue(0, true);
    CHECK(TakeHeard() == Heard{"1: $2000\r\nbegin…", "1 broken: ERR lost"});
  }
  SUBCASE("gathered") {
    (void)Join("k", 1);
    channel.ValuePiece(0, "$2000\r\nbegin", 2000, false);
    channel.LoseValue(0, true);
    CHECK(TakeHeard() == Heard{"1 lost: ERR lost"});
  }
  channel.LoseTtl(0);
}

TEST_CASE_FIXTURE(Flights, "a streamed value that came whole is not told lost with its TTL") {
  terms.entry_bytes_max = 10;
  (void)Join("k", 1);
  channel.ValuePiece(0, "$2000\r\nbegin", 2000, false);
  channel.ValuePiece(0, "end\r\n", 2000, true);
  channel.LoseTtl(0);
  CHECK(TakeHeard() == Heard{"1: $2000\r\nbegin…", "1: end\r\n"});
}

TEST_CASE_FIXTURE(Flights, "the next flight begins clean, whatever the last one in its place was") {
  terms.entry_bytes_max = 10;
  (void)Join("k", 1);
  channel.ValuePiece(0, "$2000\r\nbegin", 2000, false);
  channel.LoseValue(0, true);
  channel.LoseTtl(0);
  (void)TakeHeard();
  terms.entry_bytes_max = 1000;
  (void)Join("q", 2);
  CHECK(channel.sent[1].flight == channel.sent[0].flight);
  Answer(1, kValueX, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"2: $1\r\nx\r\n"});
  CHECK(Cached("q") == kValueX);
}

}  // namespace
}  // namespace nearcached
