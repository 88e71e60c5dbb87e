// Most keys match nothing, so what counts is to be sure of that quickly. The first and the last
// byte decide whether any prefix, suffix or whole-key pattern is worth a comparison. Substrings are
// the costly kind: those that share a byte are searched together, by looking for that byte alone,
// and the byte is chosen to be rare in keys. The default patterns ":lock:" and "{lock}" both
// contain a "k", so one pass over the key for "k" settles both.
#include "daemon/policy/key_patterns.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "daemon/policy/byte.h"

namespace nearcached {
namespace {

// How often a byte occurs in the keys people choose, roughly: separators and digits everywhere,
// then the letters of English. Only an order is needed.
int Frequency(char c) {
  constexpr std::string_view kFromCommonToRare = ":0123456789eaitsnorcdlupm_-./hgfbyvkwxjqz";
  const std::size_t at = kFromCommonToRare.find(c);
  return at == std::string_view::npos ? 0 : static_cast<int>(kFromCommonToRare.size() - at);
}

bool BeginsWith(std::string_view text, const std::string& prefix) {
  return text.size() >= prefix.size() &&
         std::memcmp(text.data(), prefix.data(), prefix.size()) == 0;
}

bool EndsWith(std::string_view text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         std::memcmp(text.data() + text.size() - suffix.size(), suffix.data(), suffix.size()) == 0;
}

// The byte that occurs in most of `texts`; of several the rarest in keys.
char BestAnchor(const std::vector<std::string>& texts) {
  char best = 0;
  std::pair<std::ptrdiff_t, int> best_score{0, 0};
  for (const std::string& text : texts) {
    for (const char c : text) {
      const auto holds_c = [c](const std::string& t) { return t.find(c) != std::string::npos; };
      const std::pair score{std::count_if(texts.begin(), texts.end(), holds_c), -Frequency(c)};
      if (score > best_score) {
        best = c;
        best_score = score;
      }
    }
  }
  return best;
}

}  // namespace

KeyPatterns::KeyPatterns(std::span<const std::string> patterns)
    : patterns_(patterns.begin(), patterns.end()) {
  std::vector<std::string> infixes;
  for (const std::string& pattern : patterns_) {
    const bool open_front = pattern.starts_with('*');
    const bool open_back = pattern.size() > 1 && pattern.ends_with('*');
    const std::string text = pattern.substr(
        open_front ? 1 : 0, pattern.size() - (open_front ? 1 : 0) - (open_back ? 1 : 0));
    if (text.empty()) {
      match_all_ = match_all_ || open_front;
    } else if (open_front && open_back) {
      infixes.push_back(text);
    } else if (open_front) {
      suffixes_.push_back(text);
      ends_[Byte(text.back())] = true;
    } else {
      (open_back ? prefixes_ : exact_).push_back(text);
      begins_[Byte(text.front())] = true;
    }
  }
  GroupByAnchor(std::move(infixes));
}

void KeyPatterns::GroupByAnchor(std::vector<std::string> infixes) {
  while (!infixes.empty()) {
    AnchorGroup group;
    group.anchor = BestAnchor(infixes);
    const auto rest = std::stable_partition(
        infixes.begin(), infixes.end(),
        [&](const std::string& text) { return text.find(group.anchor) != std::string::npos; });
    std::transform(infixes.begin(), rest, std::back_inserter(group.infixes),
                   [&](const std::string& text) {
                     return Infix{text, text.find(group.anchor)};
                   });
    infixes.erase(infixes.begin(), rest);
    groups_.push_back(std::move(group));
  }
}

bool KeyPatterns::MatchGroup(const AnchorGroup& group, std::string_view key) {
  const char* const end = key.data() + key.size();
  const char* at = key.data();
  while (at != end) {
    at =
        static_cast<const char*>(std::memchr(at, group.anchor, static_cast<std::size_t>(end - at)));
    if (at == nullptr) {
      return false;
    }
    const auto before = static_cast<std::size_t>(at - key.data());
    for (const Infix& infix : group.infixes) {
      if (infix.anchor_at <= before &&
          BeginsWith(key.substr(before - infix.anchor_at), infix.text)) {
        return true;
      }
    }
    ++at;
  }
  return false;
}

bool KeyPatterns::MatchAny(std::string_view key) const {
  if (match_all_) {
    return true;
  }
  if (key.empty()) {
    return false;  // every other pattern has at least one byte
  }
  if (begins_[Byte(key.front())] &&
      (std::find(exact_.begin(), exact_.end(), key) != exact_.end() ||
       std::any_of(prefixes_.begin(), prefixes_.end(),
                   [&](const std::string& prefix) { return BeginsWith(key, prefix); }))) {
    return true;
  }
  if (ends_[Byte(key.back())] &&
      std::any_of(suffixes_.begin(), suffixes_.end(),
                  [&](const std::string& suffix) { return EndsWith(key, suffix); })) {
    return true;
  }
  return std::any_of(groups_.begin(), groups_.end(),
                     [&](const AnchorGroup& group) { return MatchGroup(group, key); });
}

std::string_view KeyPatterns::FindPattern(std::string_view key) const {
  const auto found = std::find_if(
      patterns_.begin(), patterns_.end(),
      [&](const std::string& pattern) { return KeyPatterns(std::span(&pattern, 1)).Match(key); });
  return found != patterns_.end() ? std::string_view(*found) : std::string_view{};
}

}  // namespace nearcached
