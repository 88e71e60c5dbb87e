#include "proto/reply_scanner.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "proto/encode.h"
#include "tests/unit/proto/cuts.h"

namespace nearcached::proto {
namespace {

using Status = ReplyScanner::Result::Status;

// What the scanner says of one reply.
struct Seen {
  char type = 0;
  bool is_null = false;
  std::int64_t bulk_length = -1;
  std::uint64_t bytes = 0;

  bool operator==(const Seen&) const = default;
};

struct Outcome {
  std::vector<Seen> replies;
  std::string error;
  bool between_replies = true;
  Seen rest;  // of the reply that has not ended, if there is one

  bool operator==(const Outcome&) const = default;
};

Seen About(const ReplyScanner& scanner) {
  return {scanner.type(), scanner.is_null(), scanner.bulk_length(), scanner.bytes()};
}

// Plays a link: each piece is scanned to its end, each byte once.
Outcome Scan(std::string_view stream, const Cut& cut) {
  Outcome outcome;
  ReplyScanner scanner;
  std::uint64_t in_reply = 0;
  for (const std::size_t piece : cut) {
    const ExactCopy copy(stream.substr(0, piece));
    stream.remove_prefix(piece);
    std::string_view input = copy.view();
    while (!input.empty()) {
      const ReplyScanner::Result result = scanner.Scan(input);
      if (result.status == Status::kError) {
        REQUIRE(result.consumed == 0);
        REQUIRE(!scanner.error().empty());
        REQUIRE(scanner.Scan("+OK\r\n").status == Status::kError);
        outcome.error = scanner.error();
        return outcome;
      }
      REQUIRE(result.consumed > 0);
      REQUIRE(result.consumed <= input.size());
      in_reply += result.consumed;
      REQUIRE(scanner.bytes() == in_reply);
      if (result.status == Status::kDone) {
        REQUIRE(scanner.between_replies());
        outcome.replies.push_back(About(scanner));
        in_reply = 0;
      } else {
        REQUIRE(result.consumed == input.size());
        REQUIRE_FALSE(scanner.between_replies());
      }
      input.remove_prefix(result.consumed);
    }
  }
  outcome.between_replies = scanner.between_replies();
  if (!outcome.between_replies) {
    outcome.rest = About(scanner);
  }
  return outcome;
}

Outcome ScanEveryWay(std::string_view stream) {
  Outcome whole = Scan(stream, Uncut(stream.size()));
  for (const Cut& cut : EveryCut(stream.size())) {
    CAPTURE(cut[0]);
    CAPTURE(cut.size());
    const Outcome other = Scan(stream, cut);
    CHECK(other.replies == whole.replies);
    CHECK(other.error == whole.error);
    CHECK(other.between_replies == whole.between_replies);
    CHECK(other.rest == whole.rest);
  }
  return whole;
}

TEST_CASE("every type of reply ends where it ends, and is described") {
  struct Case {
    std::string_view reply;
    bool is_null = false;
    std::int64_t bulk_length = -1;
  };
  const Case cases[] = {
      {"+OK\r\n"},
      {"+\r\n"},
      {"-ERR no\r\n"},
      {":0\r\n"},
      {":-9223372036854775808\r\n"},
      {":+7\r\n"},
      {"$0\r\n\r\n", false, 0},
      {"$5\r\nhello\r\n", false, 5},
      {"$4\r\n\r\n\r\n\r\n", false, 4},
      {"$-1\r\n", true},
      {"*-1\r\n", true},
      {"*0\r\n"},
      {"*2\r\n$1\r\na\r\n:1\r\n"},
      {"*2\r\n$-1\r\n_\r\n"},
      {"*3\r\n*1\r\n*0\r\n*-1\r\n%1\r\n+a\r\n~1\r\n+b\r\n"},
      {"_\r\n", true},
      {",3.14\r\n"},
      {",-inf\r\n"},
      {",nan\r\n"},
      {"#t\r\n"},
      {"#f\r\n"},
      {"!5\r\nERR x\r\n", false, 5},
      {"=7\r\ntxt:abc\r\n", false, 7},
      {"(3492890328409238509324850943850943825024385\r\n"},
      {"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n"},
      {"%0\r\n"},
      {"~2\r\n+a\r\n+b\r\n"},
      {">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"},
      // A lone CR or LF does not end a text.
      {"+a\rb\nc\r\r\n"},
      {"-\n\r\n"},
      {"+a\rx\n\n\r\n"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reply);
    // Another after it, so that an end too late is seen as well.
    const Outcome outcome = ScanEveryWay(std::string(c.reply) + "+next\r\n");
    REQUIRE(outcome.replies.size() == 2);
    CHECK(outcome.replies[0] == Seen{c.reply[0], c.is_null, c.bulk_length, c.reply.size()});
    CHECK(outcome.replies[1] == Seen{'+', false, -1, 7});
  }
}

TEST_CASE("an attribute belongs to the reply after it, and does not disguise it") {
  SUBCASE("before a bulk") {
    const Outcome outcome = ScanEveryWay("|1\r\n+ttl\r\n:3600\r\n$2\r\nhi\r\n");
    CHECK(outcome.replies == std::vector<Seen>{{'$', false, 2, 25}});
  }
  SUBCASE("before a null, with a bulk and a null inside") {
    const Outcome outcome = ScanEveryWay("|1\r\n$1\r\na\r\n*1\r\n_\r\n$-1\r\n");
    CHECK(outcome.replies == std::vector<Seen>{{'$', true, -1, 23}});
  }
  SUBCASE("empty, and before another attribute") {
    const Outcome outcome = ScanEveryWay("|0\r\n|1\r\n|1\r\n+a\r\n+b\r\n+c\r\n+d\r\n:1\r\n");
    CHECK(outcome.replies == std::vector<Seen>{{':', false, -1, 32}});
  }
  SUBCASE("inside an aggregate") {
    const Outcome outcome = ScanEveryWay("*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n");
    CHECK(outcome.replies == std::vector<Seen>{{'*', false, -1, 24}});
  }
  SUBCASE("before a push") {
    const Outcome outcome = ScanEveryWay("|1\r\n+a\r\n+b\r\n>1\r\n+c\r\n");
    CHECK(outcome.replies == std::vector<Seen>{{'>', false, -1, 20}});
  }
}

TEST_CASE("a push inside another reply, as EXEC has it of SUBSCRIBE, is an element of that") {
  const Outcome outcome =
      ScanEveryWay("*2\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+OK\r\n+PONG\r\n");
  CHECK(outcome.error.empty());
  CHECK(outcome.replies.size() == 2);
  CHECK(outcome.between_replies);
}

TEST_CASE("what is known of a reply is known as soon as its line is in") {
  ReplyScanner scanner;
  CHECK(scanner.Scan("$").status == Status::kNeedMore);
  CHECK(scanner.type() == '$');
  CHECK(scanner.bulk_length() == -1);
  CHECK(scanner.Scan("1048576\r\n").status == Status::kNeedMore);
  CHECK(scanner.bulk_length() == 1048576);
  CHECK(scanner.bytes() == 10);
  CHECK(scanner.Scan("abc").consumed == 3);
  CHECK(scanner.bytes() == 13);
  CHECK_FALSE(scanner.between_replies());
}

TEST_CASE("the description of a finished reply stays until the next one begins") {
  ReplyScanner scanner;
  CHECK(scanner.between_replies());
  CHECK(scanner.Scan("$-1\r\n").status == Status::kDone);
  CHECK(scanner.Scan({}).status == Status::kNeedMore);
  CHECK(About(scanner) == Seen{'$', true, -1, 5});
  CHECK(scanner.Scan("*").status == Status::kNeedMore);
  CHECK(About(scanner) == Seen{'*', false, -1, 1});
}

TEST_CASE("what is not RESP is an error that says why, however it arrives") {
  struct Case {
    std::string_view stream;
    std::string_view error;
  };
  const Case cases[] = {
      {"HTTP/1.1 400\r\n", "unexpected byte 'H' where a value should start"},
      {std::string_view("\0", 1), "unexpected byte '\\x00' where a value should start"},
      {"\r\n", "unexpected byte '\\x0d' where a value should start"},
      {"*1\r\nx", "unexpected byte 'x' where a value should start"},
      {"$abc\r\n", "a malformed length '$' 'abc'"},
      {"$\r\n", "a malformed length '$' ''"},
      {"$-2\r\n", "a malformed length '$' '-2'"},
      {"$01\r\n", "a malformed length '$' '01'"},
      {"$+1\r\n", "a malformed length '$' '+1'"},
      {"*-2\r\n", "a malformed length '*' '-2'"},
      {"%-1\r\n", "a malformed length '%' '-1'"},
      {"=-1\r\n", "a malformed length '=' '-1'"},
      {"$9223372036854775808\r\n", "a malformed length '$' '9223372036854775808'"},
      {"$18446744073709551617\r\n", "a malformed length '$' '18446744073709551617'"},
      {"$1\n", "a line feed without carriage return after '$'"},
      {"*1\n", "a line feed without carriage return after '*'"},
      {"$1\r\nab", "no CR LF after the payload of '$'"},
      {"$1\r\na\rb", "no CR LF after the payload of '$'"},
      {"$1\r\na\n\r", "no CR LF after the payload of '$'"},
      {":abc\r\n", "a malformed value ':' 'abc'"},
      {":\r\n", "a malformed value ':' ''"},
      {":+-1\r\n", "a malformed value ':' '+-1'"},
      {":9223372036854775808\r\n", "a malformed value ':' '9223372036854775808'"},
      {"#x\r\n", "a malformed value '#' 'x'"},
      {"#\r\n", "a malformed value '#' ''"},
      {"_x\r\n", "a malformed value '_' 'x'"},
      {"$?\r\n;4\r\nHell\r\n", "streamed strings and aggregates are not supported"},
      {"*?\r\n:1\r\n.\r\n", "streamed strings and aggregates are not supported"},
      {"%?\r\n", "streamed strings and aggregates are not supported"},
      {";4\r\nabcd\r\n", "streamed strings and aggregates are not supported"},
      {".\r\n", "streamed strings and aggregates are not supported"},
      {"*9223372036854775807\r\n*2\r\n", "more values than can be counted"},
      {"%4611686018427387904\r\n", "more values than can be counted"},
      {"|9223372036854775807\r\n", "more values than can be counted"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.stream);
    const Outcome outcome = ScanEveryWay("+OK\r\n" + std::string(c.stream));
    CHECK(outcome.replies.size() == 1);
    CHECK(outcome.error == c.error);
  }
}

TEST_CASE("a line that must be short cannot be endless, a text can") {
  for (const char type : {'$', '*', ':', '_', '#', '%', '~', '>', '|', '!', '='}) {
    CAPTURE(type);
    const Outcome outcome = ScanEveryWay(type + std::string(64, '1'));
    CHECK(outcome.error == "a line that is too long for its type '" + std::string(1, type) + "'");
    CHECK(ScanEveryWay(type + std::string(63, '1')).error.empty());
  }
  for (const char type : {'+', '-', ',', '('}) {
    CAPTURE(type);
    const std::string line = type + std::string(100000, '1');
    CHECK(Scan(line, Uncut(line.size())).rest.bytes == 100001);
    CHECK(Scan(line, ByteByByte(line.size())).rest.bytes == 100001);
  }
}

TEST_CASE("deep nesting and great claims are counted, not stored") {
  static_assert(sizeof(ReplyScanner) <= 192);
  std::string deep;
  for (int i = 0; i < 200000; ++i) {
    deep += "*1\r\n";
  }
  CHECK(Scan(deep + ":1\r\n", Uncut(deep.size() + 4)).replies.size() == 1);
  CHECK(Scan(deep, ByteByByte(deep.size())).rest == Seen{'*', false, -1, deep.size()});
  // 2^31 values a level: the sum is refused before it can wrap.
  std::string wide;
  for (int i = 0; i < 100; ++i) {
    wide += "*2147483647\r\n";
  }
  CHECK(Scan(wide, Uncut(wide.size())).error.empty());
  CHECK(ScanEveryWay("$9223372036854775807\r\nabc").rest ==
        Seen{'$', false, std::numeric_limits<std::int64_t>::max(), 25});
}

TEST_CASE("after an error, reset makes the scanner ready for a new stream") {
  ReplyScanner scanner;
  CHECK(scanner.Scan("?").status == Status::kError);
  scanner.Reset();
  CHECK(scanner.error().empty());
  CHECK(scanner.Scan("+OK\r\n").status == Status::kDone);
}

// Writes random RESP3 values and knows what they are; shares nothing with the scanner.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::mt19937_64& random() { return random_; }

  Seen Reply(std::string& out) {
    const std::size_t first = out.size();
    if (Chance(8)) {
      Attribute(out, 2);
    }
    Seen seen = Value(out, 4, Chance(6));
    seen.bytes = out.size() - first;
    return seen;
  }

 private:
  bool Chance(unsigned one_in) { return random_() % one_in == 0; }

  std::string Bytes(std::size_t size, bool text) {
    std::string bytes(size, ' ');
    for (char& c : bytes) {
      c = text ? static_cast<char>(' ' + random_() % 95) : static_cast<char>(random_());
    }
    return bytes;
  }

  void Attribute(std::string& out, int depth) {
    const std::size_t pairs = random_() % 3;
    out += "|" + std::to_string(pairs) + "\r\n";
    Values(out, 2 * pairs, depth);
  }

  void Values(std::string& out, std::size_t count, int depth) {
    for (std::size_t i = 0; i < count; ++i) {
      if (Chance(20)) {
        Attribute(out, 0);
      }
      Value(out, depth, false);
    }
  }

  Seen Value(std::string& out, int depth, bool push) {
    static constexpr std::string_view kTypes = "+-:$*_,#!=(%~nN";
    const char type = push ? '>' : kTypes[random_() % kTypes.size()];
    const std::size_t size = random_() % (Chance(30) ? 5000 : 30);
    const std::size_t count = depth > 0 ? random_() % 5 : 0;
    switch (type) {
      case '+':
      case '-':
      case ',':
      case '(':
        out += type + Bytes(size, true) + "\r\n";
        return {type, false, -1, 0};
      case ':':
        out += ":" + std::to_string(static_cast<std::int64_t>(random_())) + "\r\n";
        return {type, false, -1, 0};
      case '#':
        out += Chance(2) ? "#t\r\n" : "#f\r\n";
        return {type, false, -1, 0};
      case '_':
        out += "_\r\n";
        return {type, true, -1, 0};
      case 'n':
        out += "$-1\r\n";
        return {'$', true, -1, 0};
      case 'N':
        out += "*-1\r\n";
        return {'*', true, -1, 0};
      case '$':
      case '!':
      case '=':
        out += type + std::to_string(size) + "\r\n" + Bytes(size, false) + "\r\n";
        return {type, false, static_cast<std::int64_t>(size), 0};
      default:
        out += type + std::to_string(count) + "\r\n";
        Values(out, type == '%' ? 2 * count : count, depth - 1);
        return {type, false, -1, 0};
    }
  }

  std::mt19937_64 random_;
};

TEST_CASE("random nested replies in random pieces end where they were written to end") {
  Generator generator(20261122);
  for (int round = 0; round < 400; ++round) {
    std::string stream;
    std::vector<Seen> written;
    for (std::size_t n = 1 + generator.random()() % 10; n > 0; --n) {
      written.push_back(generator.Reply(stream));
    }
    CAPTURE(round);
    CHECK(Scan(stream, Uncut(stream.size())).replies == written);
    CHECK(Scan(stream, ByteByByte(stream.size())).replies == written);
    const std::size_t piece_max = std::size_t{1} << (generator.random()() % 13);
    const Outcome outcome = Scan(stream, RandomCut(generator.random(), stream.size(), piece_max));
    CHECK(outcome.replies == written);
    CHECK(outcome.between_replies);
  }
}

TEST_CASE("random damage to replies gets the same verdict however it arrives") {
  Generator generator(7);
  constexpr std::string_view kLikely = "+-:$*_,#!=(%~>|0123456789\r\n?";
  for (int round = 0; round < 3000; ++round) {
    std::string stream;
    generator.Reply(stream);
    generator.Reply(stream);
    auto& random = generator.random();
    for (std::size_t n = 1 + random() % 3; n > 0; --n) {
      stream[random() % stream.size()] = kLikely[random() % kLikely.size()];
    }
    CAPTURE(round);
    const Outcome whole = Scan(stream, Uncut(stream.size()));
    CHECK(Scan(stream, ByteByByte(stream.size())) == whole);
    CHECK(Scan(stream, RandomCut(random, stream.size(), 16)) == whole);
  }
}

}  // namespace
}  // namespace nearcached::proto
