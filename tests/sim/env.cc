#include "tests/sim/env.h"

#include <cstdio>
#include <utility>

namespace nearcached::sim {
namespace {

// FNV-1a: quality does not matter here, only that equal runs give equal numbers.
std::uint64_t Mix(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace

void Trace::Add(MonoTime now, std::string_view who, std::string_view what) {
  ++events_;
  const auto at = static_cast<std::uint64_t>(now.time_since_epoch().count());
  hash_ = Mix(Mix((hash_ ^ at) * 0x100000001b3ULL, who), what);
  if (last_.size() == kKept) {
    last_.pop_front();
  }
  std::string line = FormatTime(now);
  line.append(" ").append(who).append(" ").append(what.substr(0, 300));
  if (print_) {
    std::printf("%s\n", line.c_str());
  }
  last_.push_back(std::move(line));
}

void Env::Fail(std::string_view invariant, std::string message) {
  if (!failure_) {
    Note("FAIL", message);
    failure_ = Failure{std::string(invariant), std::move(message)};
  }
}

Duration Env::Between(Duration low, Duration high) {
  return low >= high ? low
                     : low + Duration(static_cast<std::int64_t>(
                                 rng.Below(static_cast<std::uint64_t>((high - low).count()) + 1)));
}

std::string FormatTime(MonoTime t) {
  char text[32];
  const auto us = static_cast<long long>(t.time_since_epoch().count() / 1000);
  static_cast<void>(std::snprintf(text, sizeof text, "%lld.%06lld", us / 1000000, us % 1000000));
  return text;
}

std::string Printable(std::string_view bytes) {
  static constexpr std::size_t kMax = 160;
  std::string out;
  for (const char c : bytes.substr(0, kMax)) {
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < ' ' || c > '~') {
      out += '?';
    } else {
      out += c;
    }
  }
  if (bytes.size() > kMax) {
    out += "...";
  }
  return out;
}

}  // namespace nearcached::sim
