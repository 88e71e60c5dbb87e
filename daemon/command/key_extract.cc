// Key extraction.
//
// The general part walks the row's key specifications as the server does (getKeysUsingKeySpecs in
// its db.c; the rules are on the key specifications page cited in key_spec.h). Four command
// families cannot be said in that form without naming a wrong key in some call, so they have code:
// SORT takes the *last* STORE and GEORADIUS any, MIGRATE's KEYS may be preceded by a password
// "keys", XREADGROUP's group may be called "streams". For them the aim is what the server does when
// it carries the call out, not what its specification says.
//
// Doubt goes one way: a key too many costs a cache miss, a key too few costs a stale answer. So
// whatever does not add up gives kUnknown and every argument.
#include "daemon/command/key_extract.h"

#include <cstddef>
#include <optional>

#include "daemon/base/read_number.h"
#include "daemon/command/ascii.h"
#include "daemon/command/stream_options.h"

namespace nearcached {
namespace {

using Args = std::span<const std::string_view>;
using Visits = std::vector<KeyVisit>;

struct Range {
  std::ptrdiff_t first = 0;
  std::ptrdiff_t last = -1;  // inclusive; below `first`: empty
  std::ptrdiff_t step = 1;
};

// The argument where the keys of `spec` begin; nullopt when its keyword is not in the call.
std::optional<std::ptrdiff_t> FindBegin(const KeySpec& spec, Args args) {
  if (spec.begin_by == KeySpec::Begin::kIndex) {
    return spec.begin;
  }
  const std::ptrdiff_t size = std::ssize(args);
  const bool forward = spec.begin > 0;
  for (std::ptrdiff_t at = forward ? spec.begin : size + spec.begin; at >= 1 && at < size;
       at += forward ? 1 : -1) {
    if (EqualsIgnoringCase(args[static_cast<std::size_t>(at)], spec.keyword)) {
      return at + 1;
    }
  }
  return std::nullopt;
}

// A count of keys; nullopt unless it is a number that the call has room for.
std::optional<std::ptrdiff_t> ReadCount(Args args, std::ptrdiff_t at) {
  if (at < 1 || at >= std::ssize(args)) {
    return std::nullopt;
  }
  const auto count = ReadNumber<std::ptrdiff_t>(args[static_cast<std::size_t>(at)]);
  if (!count || *count < 0 || *count > std::ssize(args)) {
    return std::nullopt;
  }
  return count;
}

std::optional<Range> FindRange(const KeySpec& spec, Args args, std::ptrdiff_t begin) {
  if (spec.find_by == KeySpec::Find::kKeynum) {
    const std::optional<std::ptrdiff_t> count = ReadCount(args, begin + spec.count_at);
    if (!count) {
      return std::nullopt;
    }
    const std::ptrdiff_t first = begin + spec.first;
    return Range{first, first + (*count - 1) * spec.step, spec.step};
  }
  Range range{begin, begin + spec.last, spec.step};
  if (spec.last < 0) {
    range.last = spec.limit > 1 ? begin + (std::ssize(args) - begin) / spec.limit + spec.last
                                : std::ssize(args) + spec.last;
  }
  return range;
}

// False when the range leaves the call.
bool VisitRange(const Range& range, Args args, bool write, Visits& out) {
  if (range.step < 1 ||
      (range.first <= range.last && (range.first < 1 || range.last >= std::ssize(args)))) {
    return false;
  }
  for (std::ptrdiff_t at = range.first; at <= range.last; at += range.step) {
    out.push_back({args[static_cast<std::size_t>(at)], write});
  }
  return true;
}

bool VisitSpecs(const CommandRow& row, Args args, Visits& out) {
  for (const KeySpec& spec : row.keys) {
    const std::optional<std::ptrdiff_t> begin = FindBegin(spec, args);
    if (!begin) {
      continue;
    }
    const std::optional<Range> range = FindRange(spec, args, *begin);
    if (!range || !VisitRange(*range, args, spec.access == KeyAccess::kWrite, out)) {
      return false;
    }
  }
  return true;
}

// SORT key [BY pattern] [LIMIT offset count] [GET pattern …] [ASC|DESC] [ALPHA] [STORE destination]
bool VisitSort(Args args, Visits& out) {
  if (args.size() < 2) {
    return false;
  }
  out.push_back({args[1], false});
  std::size_t destination = 0;
  for (std::size_t at = 2; at < args.size(); ++at) {
    if (EqualsIgnoringCase(args[at], "limit")) {
      at += 2;
    } else if (EqualsIgnoringCase(args[at], "by") || EqualsIgnoringCase(args[at], "get")) {
      at += 1;
    } else if (EqualsIgnoringCase(args[at], "store")) {
      at += 1;
      destination = at;
    }
  }
  if (destination >= args.size()) {
    return false;
  }
  if (destination != 0) {
    out.push_back({args[destination], true});
  }
  return true;
}

// GEORADIUS key longitude latitude radius unit [options], GEORADIUSBYMEMBER key member radius unit
// [options]. STORE and STOREDIST exclude each other, yet servers take both and differ in which of
// several counts, so every one that is named may be written.
bool VisitGeoRadius(Args args, Visits& out) {
  if (args.size() < 2) {
    return false;
  }
  out.push_back({args[1], false});
  for (std::size_t at = 5; at + 1 < args.size(); ++at) {
    if (EqualsIgnoringCase(args[at], "store") || EqualsIgnoringCase(args[at], "storedist")) {
      at += 1;
      out.push_back({args[at], true});
    }
  }
  return true;
}

// MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password] [AUTH2 user password]
// [KEYS key …]
bool VisitMigrate(Args args, Visits& out) {
  if (args.size() < 6) {
    return false;
  }
  if (!args[3].empty()) {
    out.push_back({args[3], true});
    return true;
  }
  for (std::size_t at = 6; at < args.size(); ++at) {
    if (EqualsIgnoringCase(args[at], "auth")) {
      at += 1;
    } else if (EqualsIgnoringCase(args[at], "auth2")) {
      at += 2;
    } else if (EqualsIgnoringCase(args[at], "keys")) {
      return VisitRange({static_cast<std::ptrdiff_t>(at) + 1, std::ssize(args) - 1, 1}, args, true,
                        out);
    }
  }
  // An empty name is a key like any other, as long as KEYS does not say that it stands for several.
  out.push_back({args[3], true});
  return true;
}

// XREAD|XREADGROUP [options] STREAMS key … id …
bool VisitStreams(Args args, bool write, Visits& out) {
  const std::size_t streams = FindStreamOptions(args).streams;
  if (streams == 0) {
    return false;
  }
  const std::size_t rest = args.size() - streams - 1;
  if (rest == 0 || rest % 2 != 0) {
    return false;
  }
  const auto first = static_cast<std::ptrdiff_t>(streams) + 1;
  return VisitRange({first, first + static_cast<std::ptrdiff_t>(rest / 2) - 1, 1}, args, write,
                    out);
}

bool Visit(const CommandRow& row, Args args, Visits& out) {
  switch (row.key_scan) {
    case KeyScan::kSpecs:
      return VisitSpecs(row, args, out);
    case KeyScan::kSort:
      return VisitSort(args, out);
    case KeyScan::kGeoRadius:
      return VisitGeoRadius(args, out);
    case KeyScan::kMigrate:
      return VisitMigrate(args, out);
    case KeyScan::kStreams:
      return VisitStreams(args, row.Is(CommandFlag::kWrite), out);
    case KeyScan::kEveryArgument:
      return false;
  }
  return false;
}

}  // namespace

KeysVerdict ExtractKeys(const CommandRow& row, Args args, Visits& out) {
  out.clear();
  if (Visit(row, args, out)) {
    return out.empty() ? KeysVerdict::kNone : KeysVerdict::kKeys;
  }
  out.clear();
  const bool write = !row.Is(CommandFlag::kReadOnly);
  for (std::size_t at = 1; at < args.size(); ++at) {
    out.push_back({args[at], write});
  }
  return KeysVerdict::kUnknown;
}

}  // namespace nearcached
