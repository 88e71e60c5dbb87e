#include "config/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>
#include <type_traits>
#include <vector>

#include "config/item_checks.h"
#include "config/listen_address.h"
#include "config/quote.h"
#include "config/units.h"
#include "config/upstream_url.h"

namespace nearcached::config {
namespace {

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <typename... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

std::string FormatFraction(double fraction) {
  std::array<char, 32> buffer{};
  const auto [end, failed] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), fraction);
  return failed == std::errc{} ? std::string(buffer.data(), end) : std::string("?");
}

std::string FormatMode(std::uint32_t mode) {
  std::string digits;
  for (int shift = 9; shift >= 0; shift -= 3) {
    digits += static_cast<char>('0' + ((mode >> shift) & 7));
  }
  return digits;
}

// A bound of the row's range in the row's unit.
std::string FormatBound(Type type, double bound) {
  switch (type) {
    case Type::kDuration:
      return FormatDuration(Duration{static_cast<Duration::rep>(bound)});
    case Type::kBytes:
      return FormatBytes(static_cast<std::uint64_t>(bound));
    case Type::kFraction:
      return FormatFraction(bound);
    case Type::kMode:
      return FormatMode(static_cast<std::uint32_t>(bound));
    default:
      return std::to_string(static_cast<std::uint64_t>(bound));
  }
}

std::string OutOfRange(const Row& row, std::string_view text) {
  if (row.range.min == row.range.max) {
    return "is " + std::string(text) + ", but only " + FormatBound(row.type, row.range.min) +
           " is supported so far";
  }
  return "is " + std::string(text) + ", must be " + RangeText(row);
}

bool InRange(const Row& row, double value) {
  return value >= row.range.min && value <= row.range.max;
}

// --- One reader per type of C++; each returns an error sentence or nothing ---

std::string Read(const Row& /*row*/, std::string_view text, bool& out) {
  if (text == "true" || text == "false") {
    out = text == "true";
    return {};
  }
  return QuotedForMessage(text) + " is neither true nor false";
}

std::string ReadMode(const Row& row, std::string_view text, std::uint32_t& out) {
  std::string_view digits = text;
  if (digits.starts_with("0o")) {
    digits.remove_prefix(2);
  }
  std::uint32_t mode = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, failed] = std::from_chars(digits.data(), end, mode, 8);
  // Three digits at least: "77" is more likely half of 0770 than a mode for others alone.
  if (failed != std::errc{} || rest != end || digits.size() < 3) {
    return QuotedForMessage(text) + " is no permission in octal: write 0660, or 0600, or 0666";
  }
  if (!InRange(row, mode)) {
    return OutOfRange(row, text);
  }
  out = mode;
  return {};
}

std::string Read(const Row& row, std::string_view text, std::uint32_t& out) {
  if (row.type == Type::kMode) {
    return ReadMode(row, text, out);
  }
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, number);
  if (failed == std::errc::invalid_argument || rest != end) {
    const std::string expected = row.range.min == row.range.max
                                     ? FormatBound(row.type, row.range.min)
                                     : "a number " + RangeText(row);
    return QuotedForMessage(text) + " is not a whole number: write " + expected;
  }
  if (failed != std::errc{} || !InRange(row, static_cast<double>(number))) {
    return OutOfRange(row, text.size() > 20 ? "a number of many digits" : text);
  }
  out = static_cast<std::uint32_t>(number);
  return {};
}

std::string Read(const Row& row, std::string_view text, std::uint64_t& out) {
  const auto bytes = ParseBytes(text);
  if (!bytes.ok()) {
    return bytes.error;
  }
  if (!InRange(row, static_cast<double>(*bytes.value))) {
    return OutOfRange(row, text);
  }
  out = *bytes.value;
  return {};
}

std::string Read(const Row& row, std::string_view text, Duration& out) {
  const auto duration = ParseDuration(text);
  if (!duration.ok()) {
    return duration.error;
  }
  if (!InRange(row, static_cast<double>(duration.value->count()))) {
    return OutOfRange(row, text);
  }
  out = *duration.value;
  return {};
}

std::string Read(const Row& row, std::string_view text, double& out) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, number);
  if (failed != std::errc{} || rest != end || !std::isfinite(number)) {
    return QuotedForMessage(text) + " is not a fraction: write a number " + RangeText(row) +
           ", as in 0.1 for a tenth";
  }
  if (!InRange(row, number)) {
    return OutOfRange(row, FormatFraction(number));
  }
  out = number;
  return {};
}

std::string ReadChoice(const Row& row, std::string_view text, std::size_t& place) {
  for (place = 0; place < row.choices.size(); ++place) {
    if (row.choices[place] == text) {
      return {};
    }
  }
  return "is " + QuotedForMessage(text) + ", must be " + RangeText(row);
}

std::string Read(const Row& row, std::string_view text, TrackingConfig::Mode& out) {
  std::size_t place = 0;
  std::string error = ReadChoice(row, text, place);
  if (error.empty()) {
    out = static_cast<TrackingConfig::Mode>(place);  // schema.cc lists them in this order
  }
  return error;
}

std::string Read(const Row& row, std::string_view text, TrackingConfig::Method& out) {
  std::size_t place = 0;
  std::string error = ReadChoice(row, text, place);
  if (error.empty()) {
    out = static_cast<TrackingConfig::Method>(place);  // as above
  }
  return error;
}

std::string Read(const Row& row, std::string_view text, TopologyKind& out) {
  std::size_t place = 0;
  std::string error = ReadChoice(row, text, place);
  if (error.empty()) {
    out = static_cast<TopologyKind>(place);  // as above
  }
  return error;
}

std::string Read(const Row& row, std::string_view text, std::string& out) {
  std::string error;
  if (row.type == Type::kAddress && !text.empty()) {
    error = ParseListenAddress(text).error;
  } else if (row.type == Type::kUrl) {
    error = ParseUpstreamUrl(text).error;
  } else if (row.type == Type::kPrefix) {
    error = CheckPrefix(text);
  } else if (row.type == Type::kChoice) {
    std::size_t place = 0;
    error = ReadChoice(row, text, place);
  }
  if (error.empty()) {
    out = text;
  }
  return error;
}

template <typename T>
std::string Read(const Row& row, std::string_view text, std::optional<T>& out) {
  T value{};
  std::string error = Read(row, text, value);
  if (error.empty()) {
    out = value;
  }
  return error;
}

// --- One writer per type of C++ ---

std::string Write(const Row& /*row*/, bool value) {
  return value ? "true" : "false";
}
std::string Write(const Row& row, std::uint32_t value) {
  return row.type == Type::kMode ? FormatMode(value) : std::to_string(value);
}
std::string Write(const Row& /*row*/, std::uint64_t value) {
  return FormatBytes(value);
}
std::string Write(const Row& /*row*/, double value) {
  return FormatFraction(value);
}
std::string Write(const Row& /*row*/, Duration value) {
  return FormatDuration(value);
}
std::string Write(const Row& /*row*/, const std::string& value) {
  return value;
}
std::string Write(const Row& row, TrackingConfig::Mode value) {
  return std::string(row.choices[static_cast<std::size_t>(value)]);
}
std::string Write(const Row& row, TrackingConfig::Method value) {
  return std::string(row.choices[static_cast<std::size_t>(value)]);
}
std::string Write(const Row& row, TopologyKind value) {
  return std::string(row.choices[static_cast<std::size_t>(value)]);
}

std::string Write(const Row& /*row*/, const std::vector<std::string>& patterns) {
  std::string out = "[";
  for (const std::string& pattern : patterns) {
    out += out.size() > 1 ? ", \"" : "\"";
    for (const char c : pattern) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7f) {
        // YAML would fold a line break, and refuses the others.
        constexpr std::string_view kHex = "0123456789abcdef";
        out.append("\\x").append(1, kHex[byte >> 4U]).append(1, kHex[byte & 0xfU]);
        continue;
      }
      if (c == '"' || c == '\\') {
        out += '\\';
      }
      out += c;
    }
    out += '"';
  }
  return out + "]";
}

template <typename T>
std::string Write(const Row& row, const std::optional<T>& value) {
  return value ? Write(row, *value) : std::string();
}

}  // namespace

std::string SetValue(const Row& row, std::size_t index, std::string_view text, Config& config) {
  return std::visit(
      Overloaded{[](const ElementsAccess&) { return std::string("is a list"); },
                 [](const Access<std::vector<std::string>>&) { return std::string("is a list"); },
                 [](const Access<std::optional<std::vector<std::string>>>&) {
                   return std::string("is a list");
                 },
                 [&](const auto& access) { return Read(row, text, access.mutate(config, index)); }},
      row.field);
}

std::string CheckItem(const Row& row, std::string_view item) {
  if (row.type == Type::kPattern) {
    return CheckPattern(item);
  }
  if (row.type == Type::kCommands) {
    return CheckCommandName(item);
  }
  if (row.type == Type::kCached) {
    return CheckCachedCommand(item);
  }
  if (row.type == Type::kRenames) {
    return CheckRename(item);
  }
  if (row.type == Type::kChannels) {
    return item.empty() ? "\"\" is no channel: write its name, as in \"cache:changes\"" : "";
  }
  std::string error = ParseHostPort(item, 0).error;
  return error.empty() ? error : QuotedForMessage(item) + ": " + error;
}

bool HasValue(const Row& row, std::size_t index, const Config& config) {
  return std::visit(
      Overloaded{[](const ElementsAccess&) { return false; },
                 [&](const auto& access) {
                   const auto& value = access.read(config, index);
                   if constexpr (IsOptional<std::remove_cvref_t<decltype(value)>>::value) {
                     return value.has_value();
                   } else {
                     return true;
                   }
                 }},
      row.field);
}

std::string FormatValue(const Row& row, std::size_t index, const Config& config) {
  return std::visit(
      Overloaded{[](const ElementsAccess&) { return std::string(); },
                 [&](const auto& access) { return Write(row, access.read(config, index)); }},
      row.field);
}

std::string ShownValue(const Row& row, std::size_t index, const Config& config) {
  std::string value = FormatValue(row, index, config);
  if (row.type == Type::kUrl) {
    const auto url = ParseUpstreamUrl(value);
    return url.ok() ? url.value->PlaceOnly() : "******";
  }
  return row.secret() && !value.empty() ? "******" : value;
}

void CopyValue(const Row& row, std::size_t index, const Config& from, Config& to) {
  std::visit(
      Overloaded{[](const ElementsAccess&) {},
                 [&](const auto& access) { access.mutate(to, index) = access.read(from, index); }},
      row.field);
}

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kBool:
      return "true or false";
    case Type::kCount:
      return "number";
    case Type::kFraction:
      return "fraction";
    case Type::kDuration:
      return "duration";
    case Type::kBytes:
      return "size";
    case Type::kAddress:
      return "address";
    case Type::kUrl:
      return "URL";
    case Type::kHosts:
      return "list of hosts";
    case Type::kPattern:
      return "list of patterns";
    case Type::kCommands:
      return "list of commands";
    case Type::kCached:
      return "list of cached commands";
    case Type::kRenames:
      return "list of renames";
    case Type::kChannels:
      return "list of channels";
    case Type::kPrefix:
      return "prefix";
    case Type::kChoice:
      return "word";
    case Type::kMode:
      return "octal permission";
    case Type::kElements:
      return "list of maps";
    case Type::kText:
      break;
  }
  return "text";
}

std::string RangeText(const Row& row) {
  if (!row.choices.empty()) {
    std::string out = "one of ";
    for (const std::string_view choice : row.choices) {
      out += choice;
      out += choice == row.choices.back() ? "" : ", ";
    }
    return out;
  }
  if (row.range.max == 0) {
    return {};
  }
  if (row.range.min == row.range.max) {
    return "only " + FormatBound(row.type, row.range.min);
  }
  return "between " + FormatBound(row.type, row.range.min) + " and " +
         FormatBound(row.type, row.range.max);
}

}  // namespace nearcached::config
