#include "daemon/command/learned_row.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "daemon/command/ascii.h"

namespace nearcached {
namespace {

// The words of the server's third element that mean something here.
constexpr std::array kFlagWords{
    std::pair{std::string_view{"write"}, CommandFlag::kWrite},
    std::pair{std::string_view{"fast"}, CommandFlag::kFast},
    std::pair{std::string_view{"blocking"}, CommandFlag::kBlocking},
    std::pair{std::string_view{"noscript"}, CommandFlag::kNoScript},
    std::pair{std::string_view{"admin"}, CommandFlag::kAdmin},
    std::pair{std::string_view{"pubsub"}, CommandFlag::kPubSub},
    // Not "no_auth": a learned command is never run over our authenticated links for a stranger.
    std::pair{std::string_view{"no_multi"}, CommandFlag::kNoMulti},
};

bool Contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Narrows what a server sent; false when it makes no sense for an argument list.
bool Narrow(std::int64_t from, std::int16_t& to) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int16_t>::max();
  to = static_cast<std::int16_t>(std::clamp(from, -kMax, kMax));
  return to == from;
}

CommandFlags FlagsOf(const UpstreamCommand& command) {
  CommandFlags flags;
  for (const auto& [word, flag] : kFlagWords) {
    if (Contains(command.flags, word)) {
      flags = flags | flag;
    }
  }
  // "readonly" is believed only where nothing contradicts it. A command that is called neither may
  // do as EVAL does, so it counts as a write.
  if (!flags.Has(CommandFlag::kWrite)) {
    flags = flags |
            (Contains(command.flags, "readonly") ? CommandFlag::kReadOnly : CommandFlag::kWrite);
  }
  if (Contains(command.tips, "nondeterministic_output")) {
    flags = flags | CommandFlag::kVolatile;
  }
  if (!command.subcommands.empty()) {
    flags = flags | CommandFlag::kContainer;
  }
  return flags;
}

// Before Redis 7 three numbers said where the keys are; "movablekeys" says that they do not say
// all. Nothing when they contradict each other: a range that ends before it begins would read as
// "no keys", and end as a stale answer.
std::optional<UpstreamKeySpec> SpecFromRange(const UpstreamCommand& command) {
  if (command.first_key < 1 || (command.last_key >= 0 && command.last_key < command.first_key)) {
    return std::nullopt;
  }
  UpstreamKeySpec spec;
  spec.begin_search = "index";
  spec.index = command.first_key;
  spec.find_keys = "range";
  spec.last_key = command.last_key < 0 ? command.last_key : command.last_key - command.first_key;
  spec.key_step = command.key_step;
  return spec;
}

}  // namespace

LearnedRow::LearnedRow(std::string name) : name_(std::move(name)) {
  row_.name = name_;
}

void LearnedRow::Learn(const UpstreamCommand& command, const CommandRow* parent) {
  const bool told = Contains(command.flags, "write") || Contains(command.flags, "readonly");
  row_ = CommandRow{};
  row_.name = name_;
  if (!Narrow(command.arity, row_.arity)) {
    row_.arity = -1;
  }
  row_.flags = FlagsOf(command);
  row_.key_scan = told && LearnKeys(command) && command.subcommands.empty()
                      ? KeyScan::kSpecs
                      : KeyScan::kEveryArgument;
  row_.keys = specs_;
  if (row_.Is(CommandFlag::kBlocking)) {
    row_.handling = Handling::kBlocking;
    row_.timeout.where = TimeoutArgument::Where::kUnknown;
  }
  if (parent != nullptr) {
    row_.id = parent->id;
    if (parent->handling == Handling::kLocal) {
      row_.handling = Handling::kLocal;
    }
  }
}

bool LearnedRow::LearnKeys(const UpstreamCommand& command) {
  specs_.clear();
  keywords_.clear();
  if (command.key_specs.size() > kSpecsMax) {
    return false;
  }
  keywords_.reserve(command.key_specs.size());
  // A write counts as a write to all its keys: the server's finer words describe what happens to
  // the data, and a needless drop of a key that is only read costs little.
  const KeyAccess access = row_.Is(CommandFlag::kWrite) ? KeyAccess::kWrite : KeyAccess::kRead;
  const bool movable = Contains(command.flags, "movablekeys");
  bool explains_movable = false;
  for (const UpstreamKeySpec& spec : command.key_specs) {
    if (Contains(spec.flags, "not_key")) {
      continue;
    }
    if (Contains(spec.flags, "incomplete") || !LearnSpec(spec, access)) {
      return false;
    }
    explains_movable = explains_movable || spec.begin_search == "keyword" ||
                       spec.find_keys == "keynum" || spec.limit > 1;
  }
  if (command.key_specs.empty() && command.first_key != 0) {
    const std::optional<UpstreamKeySpec> range = SpecFromRange(command);
    if (!range || !LearnSpec(*range, access)) {
      return false;
    }
  }
  return !movable || explains_movable;
}

bool LearnedRow::LearnSpec(const UpstreamKeySpec& from, KeyAccess access) {
  KeySpec spec;
  spec.access = access;
  bool sound = Narrow(from.key_step, spec.step) && spec.step >= 1;
  if (from.begin_search == "index") {
    sound = sound && Narrow(from.index, spec.begin) && spec.begin >= 1;
  } else if (from.begin_search == "keyword") {
    spec.begin_by = KeySpec::Begin::kKeyword;
    sound = sound && Narrow(from.start_from, spec.begin) && spec.begin != 0 &&
            from.keyword.size() <= kKeywordBytesMax;
    std::string keyword = from.keyword;
    std::transform(keyword.begin(), keyword.end(), keyword.begin(), AsciiLower);
    spec.keyword = keywords_.emplace_back(std::move(keyword));
  } else {
    return false;
  }
  if (from.find_keys == "range") {
    sound = sound && Narrow(from.last_key, spec.last) && Narrow(from.limit, spec.limit);
  } else if (from.find_keys == "keynum") {
    spec.find_by = KeySpec::Find::kKeynum;
    sound =
        sound && Narrow(from.key_num_index, spec.count_at) && Narrow(from.first_key, spec.first);
  } else {
    return false;
  }
  specs_.push_back(spec);
  return sound;
}

}  // namespace nearcached
