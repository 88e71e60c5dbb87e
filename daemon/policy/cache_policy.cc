#include "daemon/policy/cache_policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "config/broadcast.h"
#include "config/cached_commands.h"
#include "daemon/command/ascii.h"
#include "daemon/command/command_table.h"
#include "daemon/command/key_extract.h"

namespace nearcached {
namespace {

std::vector<std::string_view> PrefixesOf(std::span<const config::RuleConfig> rules) {
  std::vector<std::string_view> prefixes;
  prefixes.reserve(rules.size());
  std::transform(rules.begin(), rules.end(), std::back_inserter(prefixes),
                 [](const config::RuleConfig& rule) { return std::string_view(rule.prefix); });
  return prefixes;
}

// Bytes of a key or prefix as a person can read them in one line.
std::string Printable(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += {'\\', c};
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += {'\\', 'x', kHex[byte >> 4U], kHex[byte & 0xfU]};
    }
  }
  return text + '"';
}

std::string RuleText(const config::RuleConfig& rule) {
  std::string text = "rule " + Printable(rule.prefix);
  if (rule.line != 0) {
    text += " (line " + std::to_string(rule.line) + ")";
  }
  return text;
}

// What speaks against the keys of a rule in a state of tracking, the most lasting reason first.
// `announced`: their changes are among those that the server is asked to tell.
Reason ReasonOf(const config::L1Config& l1, const config::RuleConfig* rule,
                const config::TrackingConfig& tracking, bool announced, TrackingState state) {
  if (!l1.enabled) {
    return Reason::kDisabled;
  }
  if (rule != nullptr && !rule->cache) {
    return Reason::kKeyRuleOff;
  }
  switch (state) {
    case TrackingState::kArmed:
    case TrackingState::kArmedUnordered:
      return announced ? Reason::kCacheable : Reason::kNotBroadcast;
    case TrackingState::kDown:
      return Reason::kTrackingDown;
    case TrackingState::kTtlOnly:
      break;
  }
  if (tracking.mode == config::TrackingConfig::Mode::kRequired) {
    return Reason::kTrackingRequired;
  }
  // Staleness is then bounded by the ttl alone, so somebody has to have chosen one for these keys.
  return rule != nullptr && rule->ttl ? Reason::kCacheable : Reason::kNoTrackingNoRule;
}

// The bit of a command that can be cached; GET and MGET, which share their entries, have one.
std::uint64_t BitOf(std::string_view command) {
  const auto& names = config::kCachedCommands;
  const auto* const at =
      std::lower_bound(names.begin(), names.end(), command == "mget" ? "get" : command);
  return at != names.end() && (*at == command || command == "mget")
             ? std::uint64_t{1} << static_cast<unsigned>(at - names.begin())
             : 0;
}

std::vector<std::uint64_t> BitsById() {
  std::vector<std::uint64_t> bits(CommandTable::IdCount());
  for (const CommandRow& row : BuiltinRows()) {
    if (row.cache_class != CacheClass::kNever) {
      bits[row.id] = BitOf(row.name);
    }
  }
  return bits;
}

std::uint64_t BitsOf(std::span<const std::string> commands) {
  std::uint64_t bits = 0;
  for (const std::string& command : commands) {
    if (!EqualsIgnoringCase(command, config::kAllCommands)) {
      std::string lower = command;
      std::transform(lower.begin(), lower.end(), lower.begin(), AsciiLower);
      bits |= BitOf(lower);
      continue;
    }
    for (const std::string_view name : config::kCachedCommands) {
      bits |= config::IsScriptRead(name) ? 0 : BitOf(name);
    }
  }
  return bits;
}

std::string CommandSentence(const CommandRow& row, std::size_t arguments) {
  if (!row.ArityHolds(arguments)) {
    return "the server refuses this number of arguments";
  }
  if (row.handling == Handling::kRefused) {
    return "the command is refused";
  }
  if (row.Is(CommandFlag::kFlushesAll)) {
    return "the command may change every key: all of L1 is dropped";
  }
  if (row.Is(CommandFlag::kWide)) {
    return "the command may write: the keys it names are dropped from L1, and others as the server "
           "reports them";
  }
  if (row.key_scan == KeyScan::kEveryArgument) {
    return "nobody knows what the command does: it is taken for a write to each of its arguments";
  }
  if (row.MayWrite()) {
    return "the command writes: its keys are dropped from L1";
  }
  if (row.cache_class == CacheClass::kReply) {
    return "replies of this command are cached only where it names one key";
  }
  if (row.Is(CommandFlag::kVolatile)) {
    return "two equal calls of the command may have different answers";
  }
  return std::string(ReasonSentence(Reason::kCommandNotCacheable));
}

}  // namespace

CachePolicy::RuleSet CachePolicy::MakeRuleSet(const config::L1Config& l1,
                                              const config::RuleConfig* rule, std::int32_t index,
                                              const config::TrackingConfig& tracking,
                                              bool announced) {
  KeyPolicy policy;
  policy.rule = index;
  policy.ttl = l1.ttl;
  policy.negative_ttl = l1.negative_ttl;
  policy.stale_if_error = l1.stale_if_error;
  policy.ttl_jitter = l1.ttl_jitter;
  policy.entry_bytes_max = l1.entry_bytes_max;
  policy.commands = BitsOf(rule != nullptr && rule->commands ? *rule->commands : l1.commands);
  RuleSet set;
  set.text = "defaults of l1";
  if (rule != nullptr) {
    policy.ttl = rule->ttl.value_or(l1.ttl);
    policy.negative_ttl = rule->negative_ttl.value_or(l1.negative_ttl);
    policy.stale_if_error = rule->stale_if_error.value_or(l1.stale_if_error);
    policy.ttl_jitter = rule->ttl_jitter.value_or(l1.ttl_jitter);
    policy.entry_bytes_max = rule->entry_bytes_max.value_or(l1.entry_bytes_max);
    set.allow_locks = rule->allow_locks;
    set.text = RuleText(*rule);
  }
  set.lock_like = policy;
  set.lock_like.reason = Reason::kLockLikeKey;
  for (std::size_t i = 0; i < kTrackingStates; ++i) {
    policy.reason = ReasonOf(l1, rule, tracking, announced, static_cast<TrackingState>(i));
    policy.cache = policy.reason == Reason::kCacheable;
    set.by_state[i] = policy;
  }
  return set;
}

CachePolicy::CachePolicy(const config::L1Config& l1, std::span<const config::RuleConfig> rules,
                         const config::TrackingConfig& tracking)
    : command_bits_(BitsById()), never_cache_(l1.never_cache), prefixes_(PrefixesOf(rules)) {
  sets_.reserve(rules.size() + 1);
  const bool all_announced = tracking.method != config::TrackingConfig::Method::kBcast ||
                             config::BroadcastPrefixes(rules).empty();
  sets_.push_back(MakeRuleSet(l1, nullptr, -1, tracking, all_announced));
  for (const config::RuleConfig& rule : rules) {
    const auto index = static_cast<std::int32_t>(sets_.size()) - 1;
    sets_.push_back(MakeRuleSet(l1, &rule, index, tracking, true));
  }
  for (const RuleSet& set : sets_) {
    any_commands_ |= set.lock_like.commands;
  }
}

const KeyPolicy& CachePolicy::ForKey(std::string_view key, TrackingState state) const {
  const RuleSet& set = SetOf(prefixes_.Find(key));
  const KeyPolicy& policy = set.by_state[static_cast<std::size_t>(state)];
  if (policy.cache && !set.allow_locks && never_cache_.Match(key)) {
    return set.lock_like;
  }
  return policy;
}

Explanation CachePolicy::Explain(const CommandRow& row, std::span<const std::string_view> args,
                                 TrackingState state) const {
  Explanation explanation;
  std::vector<KeyVisit> visits;
  const KeysVerdict verdict = ExtractKeys(row, args, visits);
  const bool command_cacheable = row.cache_class != CacheClass::kNever &&
                                 row.ArityHolds(args.size()) && verdict == KeysVerdict::kKeys &&
                                 (row.cache_class != CacheClass::kReply || visits.size() == 1);
  explanation.reason = command_cacheable ? Reason::kCacheable : Reason::kCommandNotCacheable;
  explanation.why = command_cacheable ? std::string(ReasonSentence(Reason::kCacheable))
                                      : CommandSentence(row, args.size());
  for (const KeyVisit& visit : visits) {
    const KeyPolicy& policy = ForKey(visit.key, state);
    Explanation::Key key{visit.key, visit.write, policy, SetOf(policy.rule).text,
                         std::string(ReasonSentence(policy.reason))};
    if (policy.reason == Reason::kLockLikeKey) {
      key.why = "the key matches the pattern " + Printable(never_cache_.FindPattern(visit.key)) +
                " of l1.never_cache";
    }
    if (const Reason reason = ReasonFor(row, policy, state);
        explanation.reason == Reason::kCacheable && reason != Reason::kCacheable) {
      explanation.reason = reason;
      explanation.why = reason == policy.reason ? key.why : std::string(ReasonSentence(reason));
    }
    explanation.keys.push_back(std::move(key));
  }
  explanation.cacheable = explanation.reason == Reason::kCacheable;
  return explanation;
}

// What speaks against keeping the command's replies under a key, the key's own reason first.
Reason CachePolicy::ReasonFor(const CommandRow& row, const KeyPolicy& policy,
                              TrackingState state) const {
  if (!policy.cache) {
    return policy.reason;
  }
  if (!Keeps(policy, row)) {
    return Reason::kCommandNotListed;
  }
  if (row.cache_class != CacheClass::kReply || state == TrackingState::kArmed) {
    return Reason::kCacheable;
  }
  return IsArmed(state) ? Reason::kReadNeedsOrder : Reason::kReadNeedsTracking;
}

Duration ShortenedTtl(Duration ttl, double jitter, double jitter_unit) {
  const double cut = std::clamp(jitter * jitter_unit, 0.0, 1.0);
  return ttl - Duration(static_cast<std::int64_t>(static_cast<double>(ttl.count()) * cut));
}

}  // namespace nearcached
