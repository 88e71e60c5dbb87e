#include "daemon/policy/key_patterns.h"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "config/config.h"
#include "daemon/base/rng.h"

namespace nearcached {
namespace {

// The meaning of a pattern, said plainly.
bool MatchesPattern(std::string_view pattern, std::string_view key) {
  const bool front = pattern.starts_with('*');
  const bool back = pattern.size() > 1 && pattern.ends_with('*');
  std::string_view text = pattern;
  text.remove_prefix(front ? 1 : 0);
  text.remove_suffix(back ? 1 : 0);
  if (pattern.empty()) {
    return false;
  }
  if (front && back) {
    return key.find(text) != std::string_view::npos;
  }
  if (front) {
    return key.ends_with(text);
  }
  return back ? key.starts_with(text) : key == text;
}

TEST_CASE("the default patterns know locks and leave clocks alone") {
  const KeyPatterns patterns(config::L1Config::DefaultNeverCache());
  for (const std::string_view key :
       {"lock:a", "locks:a", "mutex:a", "redlock:a", "semaphore:x", "order:7:lock",
        "app:lock:order:7", "jobs:mutex", "file.lock", "my_lock", "{order}{lock}x", ":lock:"}) {
    CAPTURE(key);
    CHECK(patterns.Match(key));
    CHECK_FALSE(patterns.FindPattern(key).empty());
  }
  for (const std::string_view key : {"", "lock", "clock:now", "block:7", "user:1", "unlocked:", "l",
                                     "k", "kkkkkkkk", ":lock", "x:lock;"}) {
    CAPTURE(key);
    const bool is_lock = key == ":lock";
    CHECK(patterns.Match(key) == is_lock);
    CHECK(patterns.FindPattern(key).empty() == !is_lock);
  }
}

TEST_CASE("each form of a pattern matches where it says") {
  const std::vector<std::string> given{"pre*", "*suf", "*mid*", "whole", "*", ""};
  const auto match = [&](std::size_t i, std::string_view key) {
    return KeyPatterns(std::span(&given[i], 1)).Match(key);
  };
  CHECK(match(0, "prefix"));
  CHECK(match(0, "pre"));
  CHECK_FALSE(match(0, "pr"));
  CHECK_FALSE(match(0, "a pre"));
  CHECK(match(1, "a suf"));
  CHECK_FALSE(match(1, "suffix"));
  CHECK(match(2, "mid"));
  CHECK(match(2, "a mid b"));
  CHECK_FALSE(match(2, "mi d"));
  CHECK(match(3, "whole"));
  CHECK_FALSE(match(3, "wholes"));
  CHECK(match(4, ""));
  CHECK(match(4, "anything"));
  CHECK_FALSE(match(5, ""));
  CHECK_FALSE(match(5, "anything"));
}

TEST_CASE("the pattern that EXPLAIN names is the first that matches") {
  const std::vector<std::string> given{"*b*", "a*", "abc"};
  const KeyPatterns patterns(given);
  CHECK(patterns.FindPattern("abc") == "*b*");
  CHECK(patterns.FindPattern("ac") == "a*");
  CHECK(patterns.FindPattern("c").empty());
}

TEST_CASE("bytes of every value are ordinary in keys and patterns") {
  const std::vector<std::string> given{std::string("\0\xff*", 3), std::string("*\x80\0*", 4)};
  const KeyPatterns patterns(given);
  CHECK(patterns.Match(std::string_view("\0\xff rest", 7)));
  CHECK(patterns.Match(std::string_view("a\x80\0b", 4)));
  CHECK_FALSE(patterns.Match(std::string_view("\0\xfe", 2)));
}

TEST_CASE("random patterns match random keys as their plain meaning says") {
  // Three letters, so that matches and near misses are frequent.
  Rng rng(77);
  const auto word = [&](std::uint64_t longest) {
    std::string text(rng.Below(longest + 1), 'a');
    std::generate(text.begin(), text.end(), [&] { return "abk"[rng.Below(3)]; });
    return text;
  };
  int matched = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> given(rng.Below(6));
    std::generate(given.begin(), given.end(), [&] {
      return (rng.Below(2) == 0 ? "*" : "") + word(4) + (rng.Below(2) == 0 ? "*" : "");
    });
    const KeyPatterns patterns(given);
    for (int i = 0; i < 20; ++i) {
      const std::string key = word(9);
      const auto expected = std::find_if(
          given.begin(), given.end(), [&](const std::string& p) { return MatchesPattern(p, key); });
      CAPTURE(key);
      REQUIRE(patterns.Match(key) == (expected != given.end()));
      REQUIRE(patterns.FindPattern(key) == (expected != given.end() ? *expected : ""));
      matched += expected != given.end() ? 1 : 0;
    }
  }
  CHECK(matched > 10'000);
  CHECK(matched < 35'000);
}

}  // namespace
}  // namespace nearcached
