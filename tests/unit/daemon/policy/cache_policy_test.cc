#include "daemon/policy/cache_policy.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "config/cached_commands.h"
#include "daemon/base/rng.h"
#include "daemon/command/command_table.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;
using Mode = config::TrackingConfig::Mode;

config::RuleConfig Rule(std::string prefix) {
  config::RuleConfig rule;
  rule.prefix = std::move(prefix);
  return rule;
}

config::RuleConfig RuleWithTtl(std::string prefix, config::Duration ttl) {
  config::RuleConfig rule = Rule(std::move(prefix));
  rule.ttl = ttl;
  return rule;
}

TEST_CASE("without rules all keys are cached while tracking is armed, and none otherwise") {
  const CachePolicy policy({}, {}, {.mode = Mode::kAuto});
  const KeyPolicy& armed = policy.ForKey("user:1", TrackingState::kArmed);
  CHECK(armed.cache);
  CHECK(armed.reason == Reason::kCacheable);
  CHECK(armed.rule == -1);
  CHECK(armed.ttl == 5s);
  CHECK(armed.negative_ttl == 1s);
  CHECK(armed.ttl_jitter == 0.1);
  CHECK(armed.entry_bytes_max == config::kMib);
  const KeyPolicy& ttl_only = policy.ForKey("user:1", TrackingState::kTtlOnly);
  CHECK_FALSE(ttl_only.cache);
  CHECK(ttl_only.reason == Reason::kNoTrackingNoRule);
  const KeyPolicy& down = policy.ForKey("user:1", TrackingState::kDown);
  CHECK_FALSE(down.cache);
  CHECK(down.reason == Reason::kTrackingDown);
}

TEST_CASE("without tracking a key is cached only where a rule names a ttl") {
  const std::vector<config::RuleConfig> rules{RuleWithTtl("static:", 60s), Rule("page:")};
  const CachePolicy policy({}, rules, {.mode = Mode::kAuto});
  CHECK(policy.ForKey("static:1", TrackingState::kTtlOnly).cache);
  CHECK(policy.ForKey("static:1", TrackingState::kTtlOnly).ttl == 60s);
  CHECK(policy.ForKey("page:1", TrackingState::kTtlOnly).reason == Reason::kNoTrackingNoRule);
  CHECK(policy.ForKey("static:1", TrackingState::kDown).reason == Reason::kTrackingDown);
  const CachePolicy off({}, rules, {.mode = Mode::kOff});
  CHECK(off.ForKey("static:1", TrackingState::kTtlOnly).cache);
}

TEST_CASE("where tracking is required no rule makes up for it") {
  const std::vector<config::RuleConfig> rules{RuleWithTtl("static:", 60s)};
  const CachePolicy policy({}, rules, {.mode = Mode::kRequired});
  CHECK(policy.ForKey("static:1", TrackingState::kArmed).cache);
  CHECK(policy.ForKey("static:1", TrackingState::kTtlOnly).reason == Reason::kTrackingRequired);
}

TEST_CASE("where the server broadcasts by prefix, keys that it does not announce are not cached") {
  const config::TrackingConfig bcast{.mode = Mode::kAuto,
                                     .method = config::TrackingConfig::Method::kBcast};
  const std::vector<config::RuleConfig> rules{RuleWithTtl("static:", 60s), Rule("page:")};
  const CachePolicy policy({}, rules, bcast);
  CHECK(policy.ForKey("page:1", TrackingState::kArmedUnordered).cache);
  CHECK(policy.ForKey("user:1", TrackingState::kArmedUnordered).reason == Reason::kNotBroadcast);
  CHECK(policy.ForKey("user:1", TrackingState::kDown).reason == Reason::kTrackingDown);
  CHECK(policy.ForKey("page:1", TrackingState::kTtlOnly).reason == Reason::kNoTrackingNoRule);
  std::vector<config::RuleConfig> off{Rule("page:")};
  off[0].cache = false;
  const CachePolicy everything({}, off, bcast);
  CHECK(everything.ForKey("user:1", TrackingState::kArmedUnordered).cache);
  CHECK(everything.ForKey("page:1", TrackingState::kArmedUnordered).reason == Reason::kKeyRuleOff);
}

TEST_CASE("a rule decides alone, and takes from l1 what it leaves open") {
  config::L1Config l1;
  l1.ttl = 7s;
  config::RuleConfig wide = RuleWithTtl("a:", 30s);
  wide.negative_ttl = 0s;
  config::RuleConfig narrow = Rule("a:b:");
  narrow.ttl_jitter = 0.5;
  narrow.entry_bytes_max = 100;
  const std::vector<config::RuleConfig> rules{wide, narrow};
  const CachePolicy policy(l1, rules, {.mode = Mode::kAuto});
  const KeyPolicy& a = policy.ForKey("a:1", TrackingState::kArmed);
  CHECK(a.rule == 0);
  CHECK(a.ttl == 30s);
  CHECK(a.negative_ttl == 0s);
  CHECK(a.ttl_jitter == 0.1);
  const KeyPolicy& ab = policy.ForKey("a:b:1", TrackingState::kArmed);
  CHECK(ab.rule == 1);
  CHECK(ab.ttl == 7s);  // not 30: rules do not add up
  CHECK(ab.negative_ttl == 1s);
  CHECK(ab.ttl_jitter == 0.5);
  CHECK(ab.entry_bytes_max == 100);
}

TEST_CASE("a rule can switch keys off, and a longer one on again") {
  config::RuleConfig off = Rule("session:");
  off.cache = false;
  const std::vector<config::RuleConfig> rules{off, Rule("session:public:")};
  const CachePolicy policy({}, rules, {.mode = Mode::kAuto});
  CHECK(policy.ForKey("session:1", TrackingState::kArmed).reason == Reason::kKeyRuleOff);
  CHECK(policy.ForKey("session:public:1", TrackingState::kArmed).cache);
}

TEST_CASE("keys that look like locks are never cached, unless their rule says so") {
  config::RuleConfig allowed = Rule("furniture:");
  allowed.allow_locks = true;
  const std::vector<config::RuleConfig> rules{RuleWithTtl("shop:", 9s), allowed};
  const CachePolicy policy({}, rules, {.mode = Mode::kAuto});
  CHECK(policy.ForKey("lock:1", TrackingState::kArmed).reason == Reason::kLockLikeKey);
  const KeyPolicy& ruled = policy.ForKey("shop:lock:1", TrackingState::kArmed);
  CHECK_FALSE(ruled.cache);
  CHECK(ruled.reason == Reason::kLockLikeKey);
  CHECK(ruled.rule == 0);
  CHECK(policy.ForKey("shop:lock:1", TrackingState::kTtlOnly).reason == Reason::kLockLikeKey);
  CHECK(policy.ForKey("furniture:lock:1", TrackingState::kArmed).cache);
}

TEST_CASE("where L1 is disabled nothing is cached, whatever the rules") {
  config::L1Config l1;
  l1.enabled = false;
  const std::vector<config::RuleConfig> rules{RuleWithTtl("", 1s)};
  const CachePolicy policy(l1, rules, {.mode = Mode::kAuto});
  for (std::size_t i = 0; i < kTrackingStates; ++i) {
    CHECK(policy.ForKey("k", static_cast<TrackingState>(i)).reason == Reason::kDisabled);
  }
}

TEST_CASE("for random rules the key's policy is that of the longest prefix") {
  Rng rng(9);
  const auto word = [&](std::uint64_t longest) {
    std::string text(rng.Below(longest + 1), 'a');
    std::generate(text.begin(), text.end(), [&] { return "ab:"[rng.Below(3)]; });
    return text;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<config::RuleConfig> rules(rng.Below(40));
    for (config::RuleConfig& rule : rules) {
      rule = RuleWithTtl(word(7), std::chrono::seconds(1 + rng.Below(1000)));
      rule.cache = rng.Below(4) != 0;
    }
    const CachePolicy policy({}, rules, {.mode = Mode::kAuto});
    for (int i = 0; i < 50; ++i) {
      const std::string key = word(10);
      const config::RuleConfig* best = nullptr;
      for (const config::RuleConfig& rule : rules) {
        if (key.starts_with(rule.prefix) &&
            (best == nullptr || rule.prefix.size() > best->prefix.size())) {
          best = &rule;
        }
      }
      const KeyPolicy& found = policy.ForKey(key, TrackingState::kArmed);
      CAPTURE(key);
      REQUIRE(found.rule == (best == nullptr ? -1 : best - rules.data()));
      REQUIRE(found.cache == (best == nullptr || best->cache));
      REQUIRE(found.ttl == (best == nullptr ? Duration(5s) : Duration(*best->ttl)));
    }
  }
}

TEST_CASE("the commands of a rule stand in for those of l1") {
  const CommandTable table;
  config::L1Config l1;
  std::vector<config::RuleConfig> rules = {Rule("all:"), Rule("none:"), Rule("scripts:")};
  rules[0].commands = {"ALL"};
  rules[1].commands = std::vector<std::string>{};
  rules[2].commands = {"eval_ro"};
  const CachePolicy policy(l1, rules, {.mode = Mode::kAuto});
  const auto keeps = [&](std::string_view key, std::string_view command) {
    return policy.Keeps(policy.ForKey(key, TrackingState::kArmed), table.FindByName(command));
  };
  for (const CommandRow& row : BuiltinRows()) {
    CAPTURE(row.name);
    const bool get = row.name == "get" || row.name == "mget";
    const bool script = row.name == "eval_ro" || row.name == "fcall_ro";
    const bool can_be = row.cache_class != CacheClass::kNever;
    CHECK(keeps("x", row.name) == get);
    CHECK(keeps("all:x", row.name) == (can_be && !script));
    CHECK_FALSE(keeps("none:x", row.name));
    CHECK(keeps("scripts:x", row.name) == (row.name == "eval_ro"));
    CHECK(policy.MayKeep(row) == (can_be && row.name != "fcall_ro"));
  }
}

TEST_CASE("what configuration may name is what the command table can cache") {
  std::vector<std::string_view> cached;
  for (const CommandRow& row : BuiltinRows()) {
    if (row.cache_class != CacheClass::kNever) {
      cached.push_back(row.name);
    }
  }
  CHECK(std::ranges::equal(cached, config::kCachedCommands));
}

TEST_CASE("jitter takes at most its share off a ttl, and never adds to it") {
  CHECK(ShortenedTtl(10s, 0.2, 0.5) == 9s);
  CHECK(ShortenedTtl(10s, 0.2, 0.0) == 10s);
  CHECK(ShortenedTtl(10s, 1.0, 1.0) == 0s);
  Rng rng(3);
  for (int i = 0; i < 20'000; ++i) {
    const Duration ttl = std::chrono::microseconds(rng.Below(10'000'000));
    const double jitter = rng.Unit();
    const Duration left = ShortenedTtl(ttl, jitter, rng.Unit());
    REQUIRE(left <= ttl);
    REQUIRE(ToSeconds(left) >= ToSeconds(ttl) * (1 - jitter) - 1e-6);
  }
}

struct Explained {
  CommandTable table;
  std::vector<config::RuleConfig> rules;
  Explanation operator()(const std::vector<std::string_view>& args,
                         TrackingState state = TrackingState::kArmed) const {
    return CachePolicy({}, rules, {.mode = Mode::kAuto}).Explain(table.Find(args), args, state);
  }
};

TEST_CASE("EXPLAIN says why another read than GET is cached, or not") {
  Explained explain;
  explain.rules = {RuleWithTtl("h:", 30s)};
  explain.rules[0].commands = {"HGETALL", "Hget"};
  CHECK(explain({"hgetall", "h:1"}).cacheable);
  CHECK(explain({"HGET", "h:1", "f"}).cacheable);
  CHECK(explain({"HLEN", "h:1"}).reason == Reason::kCommandNotListed);
  CHECK(explain({"GET", "h:1"}).reason == Reason::kCommandNotListed);  // the list counts alone
  CHECK(explain({"HGETALL", "x"}).reason == Reason::kCommandNotListed);
  CHECK(explain({"GET", "x"}).cacheable);
  CHECK(explain({"HGETALL", "h:1"}, TrackingState::kTtlOnly).reason == Reason::kReadNeedsTracking);
  CHECK(explain({"HGETALL", "h:1"}, TrackingState::kDown).reason == Reason::kTrackingDown);
  const Explanation unordered = explain({"HGETALL", "h:1"}, TrackingState::kArmedUnordered);
  CHECK(unordered.reason == Reason::kReadNeedsOrder);
  CHECK(explain({"GET", "x"}, TrackingState::kArmedUnordered).cacheable);
}

TEST_CASE("EXPLAIN names the rule and the times of a key that would be cached") {
  Explained explain;
  explain.rules = {RuleWithTtl("user:", 30s)};
  explain.rules[0].line = 12;
  const Explanation e = explain({"GET", "user:1"});
  CHECK(e.cacheable);
  CHECK(e.reason == Reason::kCacheable);
  REQUIRE(e.keys.size() == 1);
  CHECK(e.keys[0].key == "user:1");
  CHECK(e.keys[0].rule == "rule \"user:\" (line 12)");
  CHECK(e.keys[0].policy.ttl == 30s);
  CHECK(explain({"GET", "x"}).keys[0].rule == "defaults of l1");
}

TEST_CASE("EXPLAIN says what speaks against each key, and of many keys the first reason") {
  Explained explain;
  explain.rules = {Rule("off\x01\":")};
  explain.rules[0].cache = false;
  const Explanation e = explain({"MGET", "a", "job:lock", "off\x01\":b"});
  CHECK_FALSE(e.cacheable);
  CHECK(e.reason == Reason::kLockLikeKey);
  CHECK(e.why == "the key matches the pattern \"*:lock\" of l1.never_cache");
  REQUIRE(e.keys.size() == 3);
  CHECK(e.keys[0].policy.cache);
  CHECK(e.keys[2].policy.reason == Reason::kKeyRuleOff);
  CHECK(e.keys[2].rule == "rule \"off\\x01\\\":\"");
  CHECK(explain({"GET", "a"}, TrackingState::kDown).reason == Reason::kTrackingDown);
}

TEST_CASE("EXPLAIN tells reads that are not cached from writes, and those from the unknown") {
  const Explained explain;
  const auto why = [&](const std::vector<std::string_view>& args) {
    const Explanation e = explain(args);
    CHECK_FALSE(e.cacheable);
    CHECK(e.reason == Reason::kCommandNotCacheable);
    return e.why;
  };
  CHECK(why({"LPOS", "k", "e"}) == "the replies of this command are never cached");
  CHECK(why({"EXISTS", "a", "b"}).find("one key") != std::string::npos);
  CHECK(why({"EVAL_RO", "s", "2", "a", "b"}).find("one key") != std::string::npos);
  CHECK(why({"SRANDMEMBER", "k"}).find("different answers") != std::string::npos);
  CHECK(why({"SET", "k", "v"}).find("writes") != std::string::npos);
  CHECK(why({"FLUSHALL"}).find("all of L1") != std::string::npos);
  CHECK(why({"EVAL", "s", "1", "k"}).find("others as the server reports") != std::string::npos);
  CHECK(why({"NOSUCH", "k"}).find("nobody knows") != std::string::npos);
  CHECK(why({"SHUTDOWN"}).find("refused") != std::string::npos);
  CHECK(why({"GET"}).find("number of arguments") != std::string::npos);
  CHECK(explain({"SET", "k", "v"}).keys.at(0).write);
}

}  // namespace
}  // namespace nearcached
