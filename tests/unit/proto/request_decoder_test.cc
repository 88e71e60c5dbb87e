#include "proto/request_decoder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "proto/encode.h"
#include "tests/unit/proto/cuts.h"

namespace nearcached::proto {
namespace {

using Args = std::vector<std::string>;

// All that a client's bytes come to.
struct Outcome {
  std::vector<Args> requests;  // empty lines and *0 included, as {}
  std::vector<bool> canonical;
  std::size_t consumed = 0;
  std::string error;  // of the last verdict, if that was kError
  bool mid_request = false;

  bool operator==(const Outcome&) const = default;
};

// Plays a session: appends each piece to what is unconsumed and decodes as far as that goes.
Outcome Decode(std::string_view bytes, const Cut& cut, const RequestLimits& limits = {},
               bool unauthenticated = false) {
  Outcome outcome;
  RequestDecoder decoder(limits);
  decoder.set_unauthenticated(unauthenticated);
  std::size_t arrived = 0;
  std::size_t need = 0;  // the most the decoder has asked for in this request
  for (const std::size_t piece : cut) {
    arrived += piece;
    for (;;) {
      const ExactCopy input(bytes.substr(outcome.consumed, arrived - outcome.consumed));
      std::vector<std::string_view> args = {"kept"};
      const DecodeVerdict verdict = decoder.Next(input.view(), args);
      REQUIRE(args.size() == 1 + verdict.argc);
      REQUIRE(args[0] == "kept");
      if (verdict.status == DecodeStatus::kError) {
        REQUIRE(verdict.consumed == 0);
        REQUIRE(decoder.Next(input.view(), args).error == verdict.error);
        outcome.error = verdict.error;
        return outcome;
      }
      if (verdict.status == DecodeStatus::kNeedMore) {
        REQUIRE(verdict.consumed == 0);
        REQUIRE(verdict.need > input.view().size());
        need = std::max(need, verdict.need);
        break;
      }
      REQUIRE(verdict.consumed > 0);
      REQUIRE(verdict.consumed <= input.view().size());
      REQUIRE(verdict.consumed >= need);
      need = 0;
      outcome.requests.emplace_back(args.begin() + 1, args.end());
      outcome.canonical.push_back(verdict.canonical);
      outcome.consumed += verdict.consumed;
    }
  }
  outcome.mid_request = decoder.mid_request();
  return outcome;
}

Outcome DecodeEveryWay(std::string_view bytes, const RequestLimits& limits = {},
                       bool unauthenticated = false) {
  Outcome whole = Decode(bytes, Uncut(bytes.size()), limits, unauthenticated);
  for (const Cut& cut : EveryCut(bytes.size())) {
    CAPTURE(cut[0]);
    CAPTURE(cut.size());
    const Outcome other = Decode(bytes, cut, limits, unauthenticated);
    CHECK(other.requests == whole.requests);
    CHECK(other.canonical == whole.canonical);
    CHECK(other.consumed == whole.consumed);
    CHECK(other.error == whole.error);
    CHECK(other.mid_request == whole.mid_request);
  }
  return whole;
}

std::string Encoded(const Args& args) {
  const std::vector<std::string_view> views(args.begin(), args.end());
  std::string out;
  AppendCommand(out, views);
  return out;
}

TEST_CASE("an array of bulks is a request of its arguments") {
  const Outcome outcome = DecodeEveryWay("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
  CHECK(outcome.requests == std::vector<Args>{{"SET", "k", ""}});
  CHECK(outcome.canonical == std::vector<bool>{true});
  CHECK(outcome.consumed == 26);
  CHECK(outcome.error.empty());
  CHECK_FALSE(outcome.mid_request);
}

TEST_CASE("pipelined requests are decoded one by one, in order, of both forms") {
  const Outcome outcome =
      DecodeEveryWay("*1\r\n$4\r\nPING\r\nECHO hi\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
  CHECK(outcome.requests == std::vector<Args>{{"PING"}, {"ECHO", "hi"}, {"GET", "a"}});
  CHECK(outcome.canonical == std::vector<bool>{true, false, true});
}

TEST_CASE("payloads are opaque: terminators, NULs and type bytes inside them mean nothing") {
  const Args args = {"SET", std::string("a\r\n$1\r\n\0*", 9), std::string("\r\n\r\n")};
  const Outcome outcome = DecodeEveryWay(Encoded(args));
  CHECK(outcome.requests == std::vector<Args>{args});
}

TEST_CASE("an array of no or minus any elements and an empty line are skipped silently") {
  for (const std::string_view nothing :
       {"*0\r\n", "*-1\r\n", "*-9223372036854775808\r\n", "\r\n", "\n", "  \t \r\n", "\v\f\n"}) {
    CAPTURE(nothing);
    const Outcome outcome = DecodeEveryWay(std::string(nothing) + "*1\r\n$4\r\nPING\r\n");
    CHECK(outcome.requests == std::vector<Args>{{}, {"PING"}});
    CHECK(outcome.error.empty());
  }
}

TEST_CASE("what Redis refuses is refused in its words") {
  struct Case {
    std::string_view bytes;
    std::string_view words;
  };
  const Case cases[] = {
      // Counts: non-numeric, spelt twice, out of range, beyond 64 bits.
      {"*\r\n", "invalid multibulk length"},
      {"*abc\r\n", "invalid multibulk length"},
      {"*1a\r\n", "invalid multibulk length"},
      {"* 1\r\n", "invalid multibulk length"},
      {"*+1\r\n", "invalid multibulk length"},
      {"*01\r\n", "invalid multibulk length"},
      {"*-0\r\n", "invalid multibulk length"},
      {"*-\r\n", "invalid multibulk length"},
      {"*1048577\r\n", "invalid multibulk length"},
      {"*2147483648\r\n", "invalid multibulk length"},
      {"*9223372036854775808\r\n", "invalid multibulk length"},
      {"*18446744073709551617\r\n", "invalid multibulk length"},
      {"*99999999999999999999999999\r\n", "invalid multibulk length"},
      {std::string_view("*1\0\r\n", 5), "invalid multibulk length"},
      // Lengths.
      {"*1\r\n$\r\n", "invalid bulk length"},
      {"*1\r\n$abc\r\n", "invalid bulk length"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$-0\r\n", "invalid bulk length"},
      {"*1\r\n$+4\r\n", "invalid bulk length"},
      {"*1\r\n$4 \r\n", "invalid bulk length"},
      {"*1\r\n$04\r\n", "invalid bulk length"},
      {"*1\r\n$536870913\r\n", "invalid bulk length"},
      {"*1\r\n$4294967300\r\n", "invalid bulk length"},
      {"*1\r\n$9223372036854775807\r\n", "invalid bulk length"},
      {"*1\r\n$18446744073709551620\r\n", "invalid bulk length"},
      {"*2\r\n$3\r\nGET\r\n$-5\r\n", "invalid bulk length"},
      // Something else where an argument should start, nested arrays among it.
      {"*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'"},
      {"*2\r\n$3\r\nGET\r\n*1\r\n", "expected '$', got '*'"},
      {"*1\r\n:1\r\n", "expected '$', got ':'"},
      {"*2\r\n$3\r\nGET\r\nxxk\r\n", "expected '$', got 'x'"},
      {"*1\r\n\r\n", "expected '$', got ' '"},
      {"*1\r\n\n\r\n", "expected '$', got ' '"},
      {std::string_view("*1\r\n\0\r\n", 7), "expected '$', got ' '"},
      // Quotes.
      {"GET \"a\r\n", "unbalanced quotes in request"},
      {"GET 'a\r\n", "unbalanced quotes in request"},
      {"GET \"a\"b\r\n", "unbalanced quotes in request"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    const Outcome outcome = DecodeEveryWay(c.bytes);
    CHECK(outcome.error == "ERR Protocol error: " + std::string(c.words));
    CHECK(outcome.requests.empty());
  }
}

TEST_CASE("a request before the error is still decoded") {
  const Outcome outcome = DecodeEveryWay("*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n");
  CHECK(outcome.requests == std::vector<Args>{{"PING"}});
  CHECK(outcome.consumed == 14);
  CHECK(outcome.error == "ERR Protocol error: invalid multibulk length");
}

TEST_CASE("an error stays until the decoder is reset") {
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  CHECK(decoder.Next("*x\r\n", args).status == DecodeStatus::kError);
  const DecodeVerdict again = decoder.Next("*1\r\n$4\r\nPING\r\n", args);
  CHECK(again.status == DecodeStatus::kError);
  CHECK(again.error == "ERR Protocol error: invalid multibulk length");
  CHECK_FALSE(decoder.mid_request());
  decoder.Reset();
  CHECK(decoder.Next("*1\r\n$4\r\nPING\r\n", args).status == DecodeStatus::kRequest);
  CHECK(args == std::vector<std::string_view>{"PING"});
}

TEST_CASE("half a request is not a request, wherever it stops") {
  const std::string request = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
  for (std::size_t size = 1; size < request.size(); ++size) {
    CAPTURE(size);
    const Outcome outcome = DecodeEveryWay(std::string_view(request).substr(0, size));
    CHECK(outcome.requests.empty());
    CHECK(outcome.error.empty());
    CHECK(outcome.mid_request);
  }
}

TEST_CASE("no bytes at all do not begin a request") {
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  const DecodeVerdict verdict = decoder.Next({}, args);
  CHECK(verdict.status == DecodeStatus::kNeedMore);
  CHECK(verdict.need == 1);
  CHECK_FALSE(decoder.mid_request());
}

TEST_CASE("reset in the middle of a request makes way for another") {
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  CHECK(decoder.Next("*3\r\n$3\r\nSET\r\n$5\r\nab", args).status == DecodeStatus::kNeedMore);
  CHECK(decoder.mid_request());
  decoder.Reset();
  CHECK_FALSE(decoder.mid_request());
  CHECK(decoder.Next("*1\r\n$4\r\nPING\r\n", args).argc == 1);
  CHECK(args == std::vector<std::string_view>{"PING"});
}

TEST_CASE("terminators other than CR LF are accepted as in Redis, but not called canonical") {
  for (const std::string_view bytes : {"*1\rX$4\r\nPING\r\n", "*1\r\n$4\rXPING\r\n",
                                       "*1\r\n$4\r\nPINGXY", "*1\r\n$4\r\nPING\r\r"}) {
    CAPTURE(bytes);
    const Outcome outcome = DecodeEveryWay(std::string(bytes) + "*1\r\n$4\r\nECHO\r\n");
    CHECK(outcome.requests == std::vector<Args>{{"PING"}, {"ECHO"}});
    CHECK(outcome.canonical == std::vector<bool>{false, true});
  }
}

TEST_CASE("while a payload is out, need says where it ends") {
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  const DecodeVerdict verdict = decoder.Next("*2\r\n$3\r\nSET\r\n$1000\r\nabc", args);
  CHECK(verdict.status == DecodeStatus::kNeedMore);
  CHECK(verdict.need == 13 + 7 + 1000 + 2);
}

TEST_CASE("lines end at their limit, to the byte") {
  const RequestLimits limits = {.inline_bytes_max = 20};
  SUBCASE("an inline line without end") {
    CHECK(DecodeEveryWay(std::string(20, 'x'), limits).error.empty());
    CHECK(DecodeEveryWay(std::string(20, 'x') + "\n", limits).requests.size() == 1);
    CHECK(DecodeEveryWay(std::string(21, 'x'), limits).error ==
          "ERR Protocol error: too big inline request");
    CHECK(DecodeEveryWay(std::string(21, 'x') + "\n", limits).error ==
          "ERR Protocol error: too big inline request");
  }
  SUBCASE("a count without end") {
    CHECK(DecodeEveryWay("*" + std::string(19, '1'), limits).error.empty());
    CHECK(DecodeEveryWay("*" + std::string(20, '1'), limits).error ==
          "ERR Protocol error: too big mbulk count string");
    CHECK(DecodeEveryWay("*" + std::string(20, '1') + "\r\n", limits).error ==
          "ERR Protocol error: too big mbulk count string");
  }
  SUBCASE("a length without end, and anything else in its place") {
    CHECK(DecodeEveryWay("*1\r\n$" + std::string(19, '1'), limits).error.empty());
    CHECK(DecodeEveryWay("*1\r\n$" + std::string(20, '1'), limits).error ==
          "ERR Protocol error: too big bulk count string");
    CHECK(DecodeEveryWay("*1\r\n" + std::string(21, 'x'), limits).error ==
          "ERR Protocol error: too big bulk count string");
  }
}

TEST_CASE("with the limits of Redis an endless inline line ends after 64 KiB") {
  const std::string line(70000, 'x');
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  std::size_t size = 0;
  DecodeVerdict verdict;
  while (verdict.status == DecodeStatus::kNeedMore && size < line.size()) {
    verdict = decoder.Next(std::string_view(line).substr(0, ++size), args);
  }
  CHECK(verdict.error == "ERR Protocol error: too big inline request");
  CHECK(size == 65537);
}

TEST_CASE("arguments, payloads and whole requests end at their limits, to the byte") {
  SUBCASE("arguments") {
    const RequestLimits limits = {.args_max = 2};
    CHECK(DecodeEveryWay(Encoded({"GET", "k"}), limits).requests.size() == 1);
    CHECK(DecodeEveryWay(Encoded({"SET", "k", "v"}), limits).error ==
          "ERR Protocol error: invalid multibulk length");
    CHECK(DecodeEveryWay("GET k\r\n", limits).requests.size() == 1);
    CHECK(DecodeEveryWay("SET k v\r\n", limits).error == "ERR Protocol error: too many arguments");
  }
  SUBCASE("payloads") {
    const RequestLimits limits = {.bulk_bytes_max = 4};
    CHECK(DecodeEveryWay(Encoded({"PING", "1234"}), limits).requests.size() == 1);
    CHECK(DecodeEveryWay(Encoded({"PING", "12345"}), limits).error ==
          "ERR Protocol error: invalid bulk length");
  }
  SUBCASE("whole requests, refused before their bytes have come") {
    const RequestLimits limits = {.request_bytes_max = 25};
    CHECK(DecodeEveryWay(Encoded({"PING", "12345"}), limits).consumed == 25);
    CHECK(DecodeEveryWay(Encoded({"PING", "123456"}), limits).error ==
          "ERR Protocol error: too big request");
    CHECK(DecodeEveryWay("*2\r\n$4\r\nPING\r\n$6\r\n", limits).error ==
          "ERR Protocol error: too big request");
    // The limit is of one request, not of a pipeline.
    CHECK(DecodeEveryWay(Encoded({"PING", "12345"}) + Encoded({"PING", "12345"}), limits)
              .requests.size() == 2);
  }
}

TEST_CASE("limits beyond what can be represented are as good as none") {
  constexpr std::size_t kHuge = static_cast<std::size_t>(-1);
  const RequestLimits limits = {.args_max = kHuge,
                                .bulk_bytes_max = kHuge,
                                .request_bytes_max = kHuge,
                                .inline_bytes_max = kHuge};
  CHECK(DecodeEveryWay(Encoded({"GET", "k"}), limits).requests.size() == 1);
  CHECK(DecodeEveryWay("GET k\n", limits).requests.size() == 1);
  CHECK(DecodeEveryWay("*2147483647\r\n", limits).mid_request);
  CHECK(DecodeEveryWay("*2147483648\r\n", limits).error ==
        "ERR Protocol error: invalid multibulk length");
  CHECK(DecodeEveryWay("*1\r\n$4294967295\r\n", limits).error ==
        "ERR Protocol error: too big request");
  CHECK(DecodeEveryWay("*1\r\n$9223372036854775807\r\n", limits).error ==
        "ERR Protocol error: too big request");
  CHECK(DecodeEveryWay("*1\r\n$-1\r\n", limits).error == "ERR Protocol error: invalid bulk length");
}

TEST_CASE("a client that has not authenticated may claim little") {
  CHECK(DecodeEveryWay(Encoded(Args(10, "a")), {}, true).requests.size() == 1);
  CHECK(DecodeEveryWay(Encoded(Args(11, "a")), {}, true).error ==
        "ERR Protocol error: unauthenticated multibulk length");
  CHECK(DecodeEveryWay("*1\r\n$16384\r\n", {}, true).error.empty());
  CHECK(DecodeEveryWay("*1\r\n$16385\r\n", {}, true).error ==
        "ERR Protocol error: unauthenticated bulk length");
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  decoder.set_unauthenticated(true);
  decoder.set_unauthenticated(false);
  CHECK(decoder.Next(Encoded(Args(11, "a")), args).argc == 11);
}

TEST_CASE("a claim of a million arguments allocates nothing") {
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  CHECK(decoder.Next("*1048576\r\n$536870912\r\n", args).status == DecodeStatus::kNeedMore);
  CHECK(args.capacity() == 0);
}

// Were any work done again with each read, this would take minutes and the runner's patience.
TEST_CASE("a million arguments in small reads are decoded in linear time") {
  constexpr std::uint32_t kCount = 1024 * 1024;
  constexpr std::size_t kRead = 64;
  std::string request = "*1048576\r\n";
  for (std::uint32_t i = 0; i < kCount; ++i) {
    request.append("$1\r\n").append(1, static_cast<char>('a' + i % 26)).append("\r\n");
  }
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  DecodeVerdict verdict;
  for (std::size_t size = kRead; verdict.status == DecodeStatus::kNeedMore; size += kRead) {
    verdict = decoder.Next(std::string_view(request).substr(0, size), args);
  }
  REQUIRE(verdict.status == DecodeStatus::kRequest);
  CHECK(verdict.argc == kCount);
  CHECK(verdict.consumed == request.size());
  REQUIRE(args.size() == kCount);
  bool all_right = true;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    all_right = all_right && args[i].size() == 1 && args[i][0] == static_cast<char>('a' + i % 26);
  }
  CHECK(all_right);
}

TEST_CASE("quoted words of a whole batch stay readable until the batch is over") {
  const std::string input = "SET \"a b\" 'c d'\r\nGET \"e\\x41\"\r\nGET plain\r\nGET 'f g'\r\n";
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  for (int batch = 0; batch < 3; ++batch) {
    args.clear();
    std::string_view rest = input;
    while (!rest.empty()) {
      const DecodeVerdict verdict = decoder.Next(rest, args);
      REQUIRE(verdict.status == DecodeStatus::kRequest);
      rest.remove_prefix(verdict.consumed);
    }
    CHECK(args == std::vector<std::string_view>{"SET", "a b", "c d", "GET", "eA", "GET", "plain",
                                                "GET", "f g"});
  }
}

TEST_CASE("random requests in random pieces come out as they went in") {
  std::mt19937_64 random(20260214);
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    std::vector<Args> sent;
    const std::size_t requests = 1 + random() % 8;
    for (std::size_t r = 0; r < requests; ++r) {
      Args args(1 + random() % (random() % 10 == 0 ? 300 : 5));
      for (std::string& arg : args) {
        arg.resize(random() % (random() % 20 == 0 ? 3000 : 12));
        for (char& c : arg) {
          c = static_cast<char>(random());
        }
      }
      bytes += Encoded(args);
      sent.push_back(std::move(args));
    }
    CAPTURE(round);
    const std::size_t piece_max = std::size_t{1} << (random() % 14);
    const Outcome outcome = Decode(bytes, RandomCut(random, bytes.size(), piece_max));
    CHECK(outcome.requests == sent);
    CHECK(outcome.canonical == std::vector<bool>(sent.size(), true));
    CHECK(outcome.consumed == bytes.size());
    CHECK_FALSE(outcome.mid_request);
  }
}

// The end of one request after `bytes`, where whatever can be shed is shed after each piece.
struct ShedOutcome {
  std::size_t end = 0;
  bool canonical = false;
  std::string error;
  std::size_t kept_most = 0;  // bytes that had to be passed again

  bool operator==(const ShedOutcome&) const = default;
};

ShedOutcome DecodeShedding(std::string_view bytes, const Cut& cut,
                           const RequestLimits& limits = {}) {
  ShedOutcome outcome;
  RequestDecoder decoder(limits);
  std::size_t arrived = 0;
  for (const std::size_t piece : cut) {
    arrived += piece;
    const ExactCopy input(bytes.substr(outcome.end, arrived - outcome.end));
    std::vector<std::string_view> args;
    const DecodeVerdict verdict = decoder.Next(input.view(), args);
    if (verdict.status == DecodeStatus::kRequest) {
      outcome.end += verdict.consumed;
      outcome.canonical = verdict.canonical;
      return outcome;
    }
    if (verdict.status == DecodeStatus::kError) {
      outcome.error = verdict.error;
      return outcome;
    }
    const std::size_t shed = decoder.Shed(input.view());
    REQUIRE(shed <= input.view().size());
    outcome.end += shed;
    outcome.kept_most = std::max(outcome.kept_most, input.view().size() - shed);
  }
  return outcome;
}

TEST_CASE("of a request that is shed only the end is found, and it is the same end") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 500; ++round) {
    Args args(2 + random() % (random() % 10 == 0 ? 300 : 4));
    for (std::string& arg : args) {
      arg.resize(random() % (random() % 4 == 0 ? 3000 : 12), '\r');
    }
    const std::string request = Encoded(args);
    const std::string bytes = request + Encoded({"PING"});
    CAPTURE(round);
    const std::size_t piece_max = std::size_t{1} << (random() % 14);
    const ShedOutcome outcome = DecodeShedding(bytes, RandomCut(random, bytes.size(), piece_max));
    CHECK(outcome.end == request.size());
    CHECK(outcome.canonical);
    // A length line, or half a terminator; the line of the count is never shed.
    CHECK(outcome.kept_most <= 8);
  }
}

TEST_CASE("what was shed counts for the limit of a request, and is looked at as before") {
  const RequestLimits limits = {.request_bytes_max = 25};
  const std::string fits = Encoded({"PING", "12345"});
  const std::string larger = Encoded({"PING", "123456"});
  CHECK(DecodeShedding(fits, ByteByByte(fits.size()), limits).end == fits.size());
  CHECK(DecodeShedding(larger, ByteByByte(larger.size()), limits).error ==
        "ERR Protocol error: too big request");
  const std::string bare = "*2\r\n$4\r\nPINGxx$1\r\nk\r\n";
  const ShedOutcome outcome = DecodeShedding(bare, ByteByByte(bare.size()));
  CHECK(outcome.end == bare.size());
  CHECK_FALSE(outcome.canonical);
  const std::string broken = "*2\r\n$4\r\nPING\r\n:1\r\n";
  CHECK(DecodeShedding(broken, ByteByByte(broken.size())).error ==
        "ERR Protocol error: expected '$', got ':'");
  // A limit of its own again, once a request that was shed has ended.
  RequestDecoder decoder(limits);
  std::vector<std::string_view> args;
  CHECK(decoder.Next(std::string_view(fits).substr(0, 20), args).status == DecodeStatus::kNeedMore);
  CHECK(decoder.Shed(std::string_view(fits).substr(0, 20)) == 20);
  CHECK(decoder.Next(std::string_view(fits).substr(20), args).status == DecodeStatus::kRequest);
  args.clear();
  CHECK(decoder.Next(fits, args).argc == 2);
}

TEST_CASE("the arguments that are whole are told before the request is") {
  RequestDecoder decoder{RequestLimits{}};
  const std::string bytes = Encoded({"SET", "key", std::string(100, 'v'), "EX", "10"});
  std::vector<std::string_view> args = {"kept"};
  const std::string_view half = std::string_view(bytes).substr(0, 60);
  REQUIRE(decoder.Next(half, args).status == DecodeStatus::kNeedMore);
  decoder.AppendWhole(half, args);
  CHECK(Args(args.begin(), args.end()) == Args{"kept", "SET", "key"});
}

TEST_CASE("an inline request is never shed, and has no arguments before its end") {
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  REQUIRE(decoder.Next("SET k v", args).status == DecodeStatus::kNeedMore);
  decoder.AppendWhole("SET k v", args);
  CHECK(args.empty());
  CHECK(decoder.Shed("SET k v") == 0);
  CHECK(decoder.Next("SET k v\r\n", args).argc == 3);
}

TEST_CASE("random damage gets the same verdict however it arrives") {
  std::mt19937_64 random(4);
  constexpr std::string_view kLikely = "*$-0123456789\r\n \"'\\x:PING";
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = Encoded({"SET", "k\r\n", "value"}) + "GET 'a b'\r\n" + Encoded({"PING"});
    for (std::size_t n = 1 + random() % 4; n > 0; --n) {
      bytes[random() % bytes.size()] = kLikely[random() % kLikely.size()];
    }
    CAPTURE(bytes);
    const Outcome whole = Decode(bytes, Uncut(bytes.size()));
    CHECK(Decode(bytes, ByteByByte(bytes.size())) == whole);
    CHECK(Decode(bytes, RandomCut(random, bytes.size(), 16)) == whole);
  }
}

}  // namespace
}  // namespace nearcached::proto
