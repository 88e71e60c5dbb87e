#include "proto/invalidation.h"

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "proto/encode.h"
#include "tests/unit/proto/cuts.h"

namespace nearcached::proto {
namespace {

using Keys = std::vector<std::string>;

struct Parsed {
  PushKind kind;
  Keys keys;
};

Parsed Parse(std::string_view frame) {
  const ExactCopy copy(frame);
  std::vector<std::string_view> keys = {"kept"};
  const PushKind kind = ParseInvalidation(copy.view(), keys);
  REQUIRE(!keys.empty());
  CHECK(keys[0] == "kept");
  return {kind, Keys(keys.begin() + 1, keys.end())};
}

std::string Frame(const Keys& keys) {
  std::string frame;
  AppendPushHeader(frame, 2);
  AppendBulk(frame, "invalidate");
  AppendArrayHeader(frame, keys.size());
  for (const std::string& key : keys) {
    AppendBulk(frame, key);
  }
  return frame;
}

TEST_CASE("an invalidation names its keys") {
  for (const Keys& keys : {Keys{"a"}, Keys{"a", "", "c\r\n*1"}, Keys{}, Keys(300, "key")}) {
    const Parsed parsed = Parse(Frame(keys));
    CHECK(parsed.kind == PushKind::kInvalidateKeys);
    CHECK(parsed.keys == keys);
  }
}

TEST_CASE("an invalidation of null is one of everything") {
  CHECK(Parse(">2\r\n$10\r\ninvalidate\r\n_\r\n").kind == PushKind::kInvalidateAll);
  CHECK(Parse(">2\r\n$10\r\ninvalidate\r\n*-1\r\n").kind == PushKind::kInvalidateAll);
}

TEST_CASE("other pushes and other frames are something else") {
  for (const std::string_view frame :
       {"", ">", ">2\r\n", ">2\r\n$10\r\ninvalidat", "*2\r\n$10\r\ninvalidate\r\n*0\r\n",
        ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n", ">1\r\n$22\r\ntracking-redir-broken\r\n",
        ">2\r\n$11\r\ninvalidated\r\n*0\r\n", ">x\r\n$10\r\ninvalidate\r\n*0\r\n", "+OK\r\n"}) {
    CAPTURE(frame);
    const Parsed parsed = Parse(frame);
    CHECK(parsed.kind == PushKind::kOther);
    CHECK(parsed.keys.empty());
  }
}

TEST_CASE("an invalidation that cannot be read is one of everything, and names no key") {
  for (const std::string_view rest :
       {"", "*", "*1\r\n", "*2\r\n$1\r\na\r\n", "*1\r\n$1\r\na\r\nx", "*1\r\n$5\r\na\r\n",
        "*1\r\n$1\r\naXY", "*1\r\n:1\r\n", "*1\r\n$-1\r\n", "*-2\r\n", "*999999999\r\n$1\r\na\r\n",
        "*1\r\n$999999999\r\na\r\n", "*1\r\n$18446744073709551615\r\na\r\n", "$1\r\na\r\n"}) {
    CAPTURE(rest);
    const Parsed parsed = Parse(">2\r\n$10\r\ninvalidate\r\n" + std::string(rest));
    CHECK(parsed.kind == PushKind::kInvalidateAll);
    CHECK(parsed.keys.empty());
  }
  CHECK(Parse(">3\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n$1\r\nb\r\n").kind ==
        PushKind::kInvalidateAll);
  CHECK(Parse(">3\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n").kind == PushKind::kInvalidateAll);
}

TEST_CASE("a RESP2 connection hears the same as messages of a channel") {
  const std::string begin = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
  const std::string two = begin + "*2\r\n$1\r\na\r\n$3\r\nb:1\r\n";
  const Parsed parsed = Parse(two);
  CHECK(parsed.kind == PushKind::kInvalidateKeys);
  CHECK(parsed.keys == std::vector<std::string>{"a", "b:1"});
  for (const std::string_view rest : {"$-1\r\n", "*-1\r\n", "*1\r\n$1\r\na", "$1\r\na\r\n", ""}) {
    CAPTURE(rest);
    CHECK(Parse(begin + std::string(rest)).kind == PushKind::kInvalidateAll);
  }
  CHECK(Parse("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n*1\r\n$1\r\na\r\n").kind == PushKind::kOther);
  CHECK(Parse("*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n").kind ==
        PushKind::kOther);
}

TEST_CASE("that nobody hears any more is no invalidation, and is known") {
  const std::string_view broken = ">2\r\n$21\r\ntracking-redir-broken\r\n:3\r\n";
  CHECK(IsRedirectionBroken(broken));
  CHECK(Parse(broken).kind == PushKind::kOther);
  CHECK_FALSE(IsRedirectionBroken(Frame({"a"})));
  CHECK_FALSE(IsRedirectionBroken("*2\r\n$21\r\ntracking-redir-broken\r\n:3\r\n"));
}

TEST_CASE("no prefix of a frame and no damage to it is read beyond its end") {
  std::mt19937_64 random(11);
  const std::string frame = Frame({"key:1", "", "key:333"});
  for (std::size_t size = 0; size < frame.size(); ++size) {
    CHECK(Parse(std::string_view(frame).substr(0, size)).kind != PushKind::kInvalidateKeys);
  }
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = frame;
    damaged[random() % damaged.size()] = ">*$_-0123456789\r\n"[random() % 17];
    const Parsed parsed = Parse(damaged);
    if (parsed.kind != PushKind::kInvalidateKeys) {
      CHECK(parsed.keys.empty());
    }
  }
}

}  // namespace
}  // namespace nearcached::proto
