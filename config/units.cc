#include "config/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <system_error>

#include "config/quote.h"

namespace nearcached::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first, so that formatting takes the first that divides.
constexpr std::array<Unit, 5> kDurationUnits = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kByteUnits = {
    {{"tb", kGib * 1024}, {"gb", kGib}, {"mb", kMib}, {"kb", kKib}}};

struct NumberAndUnit {
  std::uint64_t number = 0;
  std::string unit;  // lower case, may be empty
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return lower;
}

std::optional<NumberAndUnit> Split(std::string_view text) {
  NumberAndUnit parts;
  const char* end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, parts.number);
  if (failed != std::errc{}) {
    return std::nullopt;
  }
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  if (!unit.empty() && unit.front() == ' ') {
    unit.remove_prefix(1);
  }
  parts.unit = Lower(unit);
  return parts;
}

bool Overflows(std::uint64_t number, std::uint64_t factor, std::uint64_t max) {
  return number > max / factor;
}

template <std::size_t kSize>
const Unit* FindUnit(const std::array<Unit, kSize>& units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) {
      return &unit;
    }
  }
  return nullptr;
}

// "kib", "kiB", "Ki" are other names of "kb".
std::string ShortByteUnit(std::string unit) {
  if (unit.size() >= 2 && unit[1] == 'i' && (unit.size() == 2 || unit.substr(2) == "b")) {
    return std::string{unit[0], 'b'};
  }
  return unit;
}

}  // namespace

Parsed<Duration> ParseDuration(std::string_view text) {
  using Result = Parsed<Duration>;
  const auto parts = Split(text);
  if (!parts) {
    return Result::Failure(QuotedForMessage(text) +
                           " is not a duration: write a whole number and a unit, as in 250ms, 5s, "
                           "2m or 1h");
  }
  if (parts->unit.empty()) {
    if (parts->number == 0) {
      return Result::Of(Duration{0});
    }
    const std::string number = std::to_string(parts->number);
    return Result::Failure(number + " has no unit: write " + number + "s for seconds or " + number +
                           "ms for milliseconds");
  }
  const Unit* unit = FindUnit(kDurationUnits, parts->unit);
  if (unit == nullptr) {
    return Result::Failure(QuotedForMessage(text) +
                           " is not a duration: the units are ms, s, m, h and d, one of them and "
                           "a whole number");
  }
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (Overflows(parts->number, unit->factor, kMax)) {
    return Result::Failure(QuotedForMessage(text) + " is longer than can be counted");
  }
  return Result::Of(Duration{static_cast<Duration::rep>(parts->number * unit->factor)});
}

std::string FormatDuration(Duration duration) {
  const auto count = duration.count();
  for (const Unit& unit : kDurationUnits) {
    const auto factor = static_cast<Duration::rep>(unit.factor);
    if (count != 0 && count % factor == 0) {
      return std::to_string(count / factor) + std::string(unit.name);
    }
  }
  return "0s";
}

Parsed<std::uint64_t> ParseBytes(std::string_view text) {
  using Result = Parsed<std::uint64_t>;
  const auto parts = Split(text);
  if (!parts) {
    return Result::Failure(QuotedForMessage(text) +
                           " is not a size: write a whole number of bytes, or one with a unit as "
                           "in 512kb, 64mb or 1gb");
  }
  if (parts->unit.empty() || parts->unit == "b") {
    return Result::Of(parts->number);
  }
  if (parts->unit == "k" || parts->unit == "m" || parts->unit == "g" || parts->unit == "t") {
    return Result::Failure(QuotedForMessage(text) + " could mean 1000 or 1024: write " +
                           std::to_string(parts->number) + parts->unit +
                           "b, which counts in 1024 as in redis.conf");
  }
  const Unit* unit = FindUnit(kByteUnits, ShortByteUnit(parts->unit));
  if (unit == nullptr) {
    return Result::Failure(QuotedForMessage(text) +
                           " is not a size: the units are kb, mb, gb and tb (KiB, MiB, GiB and "
                           "TiB mean the same), after a whole number");
  }
  if (Overflows(parts->number, unit->factor, std::numeric_limits<std::uint64_t>::max())) {
    return Result::Failure(QuotedForMessage(text) + " is larger than can be counted");
  }
  return Result::Of(parts->number * unit->factor);
}

std::string FormatBytes(std::uint64_t bytes) {
  for (const Unit& unit : kByteUnits) {
    if (bytes != 0 && bytes % unit.factor == 0) {
      return std::to_string(bytes / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(bytes);
}

}  // namespace nearcached::config
