#include "daemon/policy/prefix_index.h"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

// The longest of `prefixes` that `key` begins with, the first of equals; the slow way.
std::int32_t NaiveFind(const std::vector<std::string_view>& prefixes, std::string_view key) {
  std::int32_t best = -1;
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    if (key.starts_with(prefixes[i]) &&
        (best < 0 || prefixes[i].size() > prefixes[static_cast<std::size_t>(best)].size())) {
      best = static_cast<std::int32_t>(i);
    }
  }
  return best;
}

TEST_CASE("the longest prefix wins, the first of equals") {
  const std::vector<std::string_view> prefixes{"user:", "user:admin:", "", "user:", "u"};
  const PrefixIndex index(prefixes);
  CHECK(index.Find("user:1") == 0);
  CHECK(index.Find("user:admin:1") == 1);
  CHECK(index.Find("user:admin") == 0);
  CHECK(index.Find("user") == 4);
  CHECK(index.Find("x") == 2);
  CHECK(index.Find("") == 2);
}

TEST_CASE("without prefixes nothing is found") {
  const PrefixIndex index({});
  CHECK(index.Find("") == -1);
  CHECK(index.Find("anything") == -1);
}

TEST_CASE("an inner place where prefixes part is no prefix itself") {
  const std::vector<std::string_view> prefixes{"app:a:", "app:b:"};
  const PrefixIndex index(prefixes);
  CHECK(index.Find("app:") == -1);
  CHECK(index.Find("app:c:") == -1);
  CHECK(index.Find("app:b") == -1);
  CHECK(index.Find("app:b:1") == 1);
}

TEST_CASE("every byte value parts prefixes") {
  std::vector<std::string> storage;
  for (int byte = 0; byte < 256; ++byte) {
    storage.emplace_back(std::string("p") + static_cast<char>(byte) + "x");
  }
  const std::vector<std::string_view> prefixes(storage.begin(), storage.end());
  const PrefixIndex index(prefixes);
  for (std::size_t i = 0; i < storage.size(); ++i) {
    CHECK(index.Find(storage[i] + "rest") == static_cast<std::int32_t>(i));
    CHECK(index.Find(storage[i].substr(0, 2)) == -1);
  }
}

TEST_CASE("lookups equal a scan of all prefixes for random prefixes and keys") {
  Rng rng(5);
  // Few letters make shared beginnings common; a high byte makes signed comparisons show.
  const auto word = [&](std::uint64_t longest) {
    std::string text(rng.Below(longest + 1), 'a');
    std::generate(text.begin(), text.end(), [&] { return "ab:\xe9"[rng.Below(4)]; });
    return text;
  };
  int found = 0;
  for (int round = 0; round < 1000; ++round) {
    std::vector<std::string> storage(rng.Below(60));
    std::generate(storage.begin(), storage.end(), [&] { return word(8); });
    const std::vector<std::string_view> prefixes(storage.begin(), storage.end());
    const PrefixIndex index(prefixes);
    for (int i = 0; i < 50; ++i) {
      const std::string key = word(12);
      CAPTURE(key);
      REQUIRE(index.Find(key) == NaiveFind(prefixes, key));
      found += index.Find(key) >= 0 ? 1 : 0;
    }
  }
  CHECK(found > 10'000);
}

}  // namespace
}  // namespace nearcached
