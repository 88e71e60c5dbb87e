// What may be cached, and for how long: configuration made quick to ask.
//
// Pure: no clock, no I/O, nothing changes after construction; a reload builds a new one. Any thread
// may ask. An answer is a reference into the policy and lives as long as it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "daemon/base/time.h"
#include "daemon/base/tracking_state.h"
#include "daemon/command/command_row.h"
#include "daemon/policy/key_patterns.h"
#include "daemon/policy/prefix_index.h"
#include "daemon/policy/reason.h"

namespace nearcached {

// The answer for one key.
struct KeyPolicy {
  bool cache = false;  // look the key up in L1 and fill it; if false, `reason` says why not
  Reason reason = Reason::kDisabled;
  std::int32_t rule = -1;  // index in the configuration's rules; -1: the defaults of `l1`
  Duration ttl{0};
  Duration negative_ttl{0};    // 0: missing keys are not remembered
  Duration stale_if_error{0};  // 0: not served when the upstream is away
  double ttl_jitter = 0;       // the largest fraction of a ttl that is taken off, 0 … 1
  std::uint64_t entry_bytes_max = 0;
  std::uint64_t commands = 0;  // whose replies are kept, see CachePolicy::Keeps()
};

// The answer to NEARCACHE EXPLAIN.
struct Explanation {
  struct Key {
    std::string_view key;  // points into the arguments
    bool write = false;
    KeyPolicy policy;
    std::string rule;  // `rule "user:" (line 12)` or `defaults of l1`
    std::string why;   // one sentence without a full stop
  };
  bool cacheable = false;                        // every key of the call may be answered from L1
  Reason reason = Reason::kCommandNotCacheable;  // the first that speaks against it
  std::string why;                               // one sentence without a full stop
  std::vector<Key> keys;
};

class CachePolicy {
 public:
  CachePolicy(const config::L1Config& l1, std::span<const config::RuleConfig> rules,
              const config::TrackingConfig& tracking);

  // The policy of a key. The rule with the longest prefix of `key` decides alone (of two with the
  // same prefix the first). A few nanoseconds without rules, under 20 with a hundred; no
  // allocation.
  [[nodiscard]] const KeyPolicy& ForKey(std::string_view key, TrackingState state) const;

  // Whether replies of this command are kept under keys of this policy, if they are cached at all.
  [[nodiscard]] bool Keeps(const KeyPolicy& policy, const CommandRow& row) const {
    return (policy.commands & command_bits_[row.id]) != 0;
  }
  // Whether any key's policy keeps replies of the command: if not, nothing else need be asked.
  [[nodiscard]] bool MayKeep(const CommandRow& row) const {
    return (any_commands_ & command_bits_[row.id]) != 0;
  }

  // How people call a rule: `rule "user:" (line 12)`, or `defaults of l1` for -1.
  [[nodiscard]] const std::string& NameOfRule(std::int32_t rule) const { return SetOf(rule).text; }

  // Says in words what would become of the call, for a client without a transaction. `row` is the
  // row of `args`.
  [[nodiscard]] Explanation Explain(const CommandRow& row, std::span<const std::string_view> args,
                                    TrackingState state) const;

 private:
  // The policies of one rule (or of the defaults) in each tracking state, and for lock-like keys.
  struct RuleSet {
    KeyPolicy by_state[kTrackingStates];
    KeyPolicy lock_like;
    bool allow_locks = false;
    std::string text;  // how EXPLAIN calls it
  };
  static RuleSet MakeRuleSet(const config::L1Config& l1, const config::RuleConfig* rule,
                             std::int32_t index, const config::TrackingConfig& tracking,
                             bool announced);
  [[nodiscard]] Reason ReasonFor(const CommandRow& row, const KeyPolicy& policy,
                                 TrackingState state) const;

  // The policies of a rule, or of the defaults for -1.
  [[nodiscard]] const RuleSet& SetOf(std::int32_t rule) const {
    return sets_[static_cast<std::size_t>(rule) + 1];  // -1 wraps around to 0, as it should
  }

  // By CommandRow::id: a bit for each command whose replies can be cached, 0 for all others.
  std::vector<std::uint64_t> command_bits_;
  std::uint64_t any_commands_ = 0;
  KeyPatterns never_cache_;
  PrefixIndex prefixes_;
  std::vector<RuleSet> sets_;  // [0] the defaults, [i + 1] rule i
};

// `ttl` less a random part of at most `jitter` (0 … 1) of it, so that entries filled together do
// not end together. Jitter only shortens: an L1 copy never outlives what its rule says.
// `jitter_unit` is a random number in [0, 1).
[[nodiscard]] Duration ShortenedTtl(Duration ttl, double jitter, double jitter_unit);

}  // namespace nearcached
