// Whether a key matches one of a few patterns: "prefix*", "*suffix", "*substring*" or a whole key.
//
// Made for l1.never_cache: asked on every read, so one pass over the key at most. Immutable after
// construction, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nearcached {

class KeyPatterns {
 public:
  explicit KeyPatterns(std::span<const std::string> patterns);

  // No allocation, and one pass over the key for each byte that the substring patterns share.
  [[nodiscard]] bool Match(std::string_view key) const {
    return !patterns_.empty() && MatchAny(key);
  }

  // The first pattern that matches, for EXPLAIN; empty when none does. The slow way, pattern by
  // pattern. The view lives as long as this object.
  [[nodiscard]] std::string_view FindPattern(std::string_view key) const;

 private:
  struct Infix {
    std::string text;
    std::size_t anchor_at = 0;  // where its group's anchor is in `text`
  };
  // Patterns that share a byte: the key is searched for that byte once.
  struct AnchorGroup {
    char anchor = 0;
    std::vector<Infix> infixes;
  };
  [[nodiscard]] bool MatchAny(std::string_view key) const;
  void GroupByAnchor(std::vector<std::string> infixes);
  [[nodiscard]] static bool MatchGroup(const AnchorGroup& group, std::string_view key);

  std::vector<std::string> patterns_;  // as configured
  std::vector<std::string> exact_;
  std::vector<std::string> prefixes_;
  std::vector<std::string> suffixes_;
  std::vector<AnchorGroup> groups_;
  // Per byte value: may a key that begins or ends with it match? Most keys are let off by these.
  std::array<bool, 256> begins_{};
  std::array<bool, 256> ends_{};
  bool match_all_ = false;  // the pattern "*"
};

}  // namespace nearcached
