// Flights of reads other than GET.
#include <chrono>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "daemon/command/command_table.h"
#include "tests/unit/daemon/fetch/flights_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;
using proto::Protocol;

// Reads are told apart by their text alone; the first word is the command.
class Variants : public Flights {
 public:
  std::string_view Ask(std::string_view read, std::uint64_t waiter,
                       Protocol protocol = Protocol::kResp2, std::uint64_t client = 1) {
    CacheKey key = Key("k");
    key.variant = read;
    const CommandRow& row = commands.FindByName(read.substr(0, read.find(' ')));
    return table.Join(key, {read, &row, protocol}, terms, {{client, waiter}, 0, scheduler.Now()},
                      joining, waiters_max);
  }
  // What L1 would answer, "" for nothing.
  std::string Kept(std::string_view read) {
    CacheKey key = Key("k");
    key.variant = read;
    const auto hit = l1.Find(key, scheduler.Now());
    return hit ? (hit->negative ? "absent " : "") + std::string(hit->value) : "";
  }

  const CommandTable commands;
};

TEST_CASE_FIXTURE(Variants, "different reads of a key fly apart, equal ones together") {
  (void)Ask("hget k f", 1);
  (void)Ask("hget k g", 2);
  (void)Ask("hget k f", 3);
  (void)Join("k", 4);
  REQUIRE(channel.sent.size() == 3);
  CHECK(channel.sent[0].request == "hget k f");
  CHECK(channel.sent[1].request == "hget k g");
  CHECK(channel.sent[2].request.empty());
  Answer(0, "$1\r\nf\r\n", ":-1\r\n");
  Answer(1, "$1\r\ng\r\n", ":-1\r\n");
  Answer(2, std::string("$1\r\nx\r\n"), ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: $1\r\nf\r\n", "3: $1\r\nf\r\n", "2: $1\r\ng\r\n",
                             "4: " + std::string("$1\r\nx\r\n")});
  CHECK(Kept("hget k f") == "$1\r\nf\r\n");
  CHECK(Kept("hget k g") == "$1\r\ng\r\n");
  CHECK(Cached("k") == std::string("$1\r\nx\r\n"));
}

TEST_CASE_FIXTURE(Variants, "a RESP2 client is told and kept what the server says in RESP2") {
  (void)Ask("hgetall k", 1);
  Answer(0, "%1\r\n$1\r\nf\r\n$1\r\nv\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: *2\r\n$1\r\nf\r\n$1\r\nv\r\n"});
  CHECK(Kept("hgetall k") == "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
}

TEST_CASE_FIXTURE(Variants, "a RESP3 client is told and kept what came") {
  (void)Ask("hget k f", 1, Protocol::kResp3);
  Answer(0, "_\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: _\r\n"});
  CHECK(Kept("hget k f") == "_\r\n");  // there is a key: the field is what is missing
}

TEST_CASE_FIXTURE(Variants, "what PTTL calls gone is kept as absent, if the reply agrees") {
  (void)Ask("llen k", 1);
  (void)Ask("lindex k 0", 2);
  Answer(0, ":0\r\n", ":-2\r\n");
  Answer(1, "$1\r\nx\r\n", ":-2\r\n");  // it ended between the two replies
  CHECK(Kept("llen k") == "absent :0\r\n");
  CHECK(Kept("lindex k 0").empty());
  scheduler.Advance(2s);  // the ttl of absent keys
  CHECK(Kept("llen k").empty());
}

TEST_CASE_FIXTURE(Variants, "an error is told and not kept") {
  (void)Ask("llen k", 1);
  Answer(0, "-WRONGTYPE no\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: -WRONGTYPE no\r\n"});
  CHECK(Kept("llen k").empty());
  CHECK(table.stats().fills_refused.value() == 1);
}

TEST_CASE_FIXTURE(Variants, "an invalidation poisons every read of the key") {
  (void)Ask("llen k", 1);
  (void)Ask("lrange k 0 1", 2);
  (void)Join("k", 3);
  Poison("k");
  CHECK(table.stats().detached.value() == 3);
  (void)Ask("llen k", 4);
  CHECK(channel.sent.size() == 4);
  Answer(0, ":1\r\n", ":-1\r\n");
  Answer(1, "*0\r\n", ":-1\r\n");
  Answer(2, std::string("$1\r\nx\r\n"), ":-1\r\n");
  CHECK(Kept("llen k").empty());
  CHECK(Kept("lrange k 0 1").empty());
  Answer(3, ":2\r\n", ":-1\r\n");
  CHECK(Kept("llen k") == ":2\r\n");
}

TEST_CASE_FIXTURE(Variants, "who waits for a read of the key joins only what was sent after it") {
  (void)Ask("llen k", 1, Protocol::kResp2, 1);
  (void)Ask("lrange k 0 1", 1, Protocol::kResp2, 2);
  joining = Joining::kYoungest;
  (void)Ask("lrange k 0 1", 2, Protocol::kResp2, 1);  // the youngest of the key
  CHECK(channel.sent.size() == 2);
  (void)Ask("llen k", 2, Protocol::kResp2, 2);  // would be told of an earlier moment than before
  REQUIRE(channel.sent.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    Answer(i, i == 1 ? "*0\r\n" : ":7\r\n", ":-1\r\n");
  }
}

TEST_CASE_FIXTURE(Variants,
                  "what asks again takes along what its client asked of the key after it") {
  (void)Ask("llen k", 1, Protocol::kResp2, 1);
  scheduler.Advance(1s);
  (void)Ask("llen k", 1, Protocol::kResp2, 2);  // when the key may have ended already
  (void)Ask("hlen k", 2, Protocol::kResp2, 2);  // the same client, of an earlier moment then
  (void)Ask("hlen k", 3, Protocol::kResp2, 3);  // another client stays
  REQUIRE(channel.sent.size() == 2);
  Answer(0, ":1\r\n", ":500\r\n");
  CHECK(TakeHeard() == Heard{"1: :1\r\n"});
  REQUIRE(channel.sent.size() == 4);
  CHECK(channel.sent[2].request == "llen k");
  CHECK(channel.sent[3].request == "hlen k");
  Answer(1, ":3\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"3: :3\r\n"});
  Answer(2, ":2\r\n", ":-1\r\n");
  Answer(3, ":4\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: :2\r\n", "2: :4\r\n"});
}

TEST_CASE_FIXTURE(Variants, "what is taken along takes along what its client asked after it") {
  (void)Ask("llen k", 10, Protocol::kResp2, 1);
  scheduler.Advance(1s);
  joining = Joining::kYoungest;
  (void)Ask("llen k", 1, Protocol::kResp2, 2);  // when the key may have ended already
  (void)Ask("hlen k", 2, Protocol::kResp2, 2);
  (void)Ask("llen k", 3, Protocol::kResp2,
            2);  // which serves the first one as well, not the second
  REQUIRE(channel.sent.size() == 3);
  Answer(0, ":1\r\n", ":500\r\n");
  CHECK(TakeHeard() == Heard{"10: :1\r\n"});
  REQUIRE(channel.sent.size() == 5);
  CHECK(channel.sent[3].request == "hlen k");
  CHECK(channel.sent[4].request == "llen k");
  Answer(1, ":2\r\n", ":-1\r\n");
  CHECK(TakeHeard().empty());
  Answer(2, ":3\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: :3\r\n"});
  Answer(3, ":4\r\n", ":-1\r\n");
  Answer(4, ":5\r\n", ":-1\r\n");
  CHECK(TakeHeard() == Heard{"2: :4\r\n", "3: :5\r\n"});
}

TEST_CASE_FIXTURE(Variants, "a large aggregate is gathered while it could fit, and streams then") {
  terms.entry_bytes_max = 40;
  (void)Ask("lrange k 0 -1", 1);
  const std::string item = "$20\r\n" + std::string(20, 'x') + "\r\n";  // 27 bytes
  channel.Piece(0, "*2\r\n" + item.substr(0, 10), '*', false);
  CHECK(sink.heard.empty());
  channel.Piece(0, item.substr(10), '*', false);
  CHECK(sink.heard.empty());
  channel.Piece(0, item, '*', true);
  channel.Ttl(0, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"1: *2\r\n" + item + item});
  CHECK(Kept("lrange k 0 -1").empty());  // it came whole in the end, but is too large
  (void)Ask("lrange k 0 -1", 2);
  channel.Piece(1, "*3\r\n" + item, '*', false);
  channel.Piece(1, item, '*', false);
  CHECK(TakeHeard() == Heard{"2: *3\r\n" + item + item + "…"});
  channel.Piece(1, item, '*', true);
  channel.Ttl(1, ":-1\r\n");
  CHECK(TakeHeard() == Heard{"2: " + item});
}

TEST_CASE_FIXTURE(Variants, "a reply that RESP2 cannot say fails those who wait, and nobody else") {
  (void)Ask("hgetall k", 1);
  (void)Ask("hgetall k", 2);
  channel.Value(0, "|1\r\n+a\r\n+b\r\n%0\r\n");
  REQUIRE(sink.heard.size() == 2);
  CHECK(sink.heard[0].starts_with("1 lost: ERR nearcached: "));
  channel.Ttl(0, ":-1\r\n");
  CHECK(Kept("hgetall k").empty());
  CHECK(sink.heard.size() == 2);
}

}  // namespace
}  // namespace nearcached
