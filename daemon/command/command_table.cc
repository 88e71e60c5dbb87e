// The index of the command table.
//
// A hit costs about a microsecond in all, and every request begins with a lookup, so the lookup
// compares no strings: a name of up to 16 bytes is folded to lower case inside two registers,
// hashed with two multiplications, and compared with the two words that its slot keeps. For a name
// that is present that is one cache line for the slot and one for the row.
//
// A perfect hash would save the probe, but rows are learned at run time, and half-full linear
// probing needs 1.2 probes on average. A flood of made-up names can find the longest run of slots
// and no more than that: lookups insert nothing. Subcommands live in the same index under the
// number of their container.
#include "daemon/command/command_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/command/ascii.h"

namespace nearcached {
namespace {

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);

// Bytes of `size` as a number, whatever the byte order: it is only compared and hashed.
template <typename Word>
std::uint64_t Load(const char* from) {
  Word word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// Sets bit 0x20 of those of the eight bytes that are 'A' … 'Z', and of no others: the two sums
// carry into a byte's high bit where its low seven bits are at least 'A', and above 'Z'.
std::uint64_t LowerWord(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHigh = 0x80U * kOnes;
  const std::uint64_t low = word & ~kHigh;
  const std::uint64_t from_a = low + (0x80U - 'A') * kOnes;
  const std::uint64_t above_z = low + (0x7FU - 'Z') * kOnes;
  return word | (((from_a & ~above_z & ~word & kHigh)) >> 2U);
}

std::uint64_t Mix(std::uint64_t word) {
  word *= 0x9e3779b97f4a7c15U;
  return word ^ (word >> 32U);
}

std::string_view SubcommandOf(std::string_view name) {
  const std::size_t bar = name.find('|');
  return bar == std::string_view::npos ? std::string_view{} : name.substr(bar + 1);
}

// The part of a row's name that its slot stands for.
std::string_view OwnName(const CommandRow& row) {
  const std::string_view sub = SubcommandOf(row.name);
  return sub.empty() ? row.name : sub;
}

// The name under its container, in lower case; nullopt when it cannot be one.
std::optional<std::string> OwnNameOf(const UpstreamCommand& command, bool is_subcommand) {
  std::string_view name = command.name;
  if (is_subcommand && !SubcommandOf(name).empty()) {
    name = SubcommandOf(name);
  }
  const auto fits = [](char c) { return c > ' ' && c <= '~' && c != '|'; };
  if (name.empty() || name.size() > CommandTable::kNameBytesMax ||
      !std::all_of(name.begin(), name.end(), fits)) {
    return std::nullopt;
  }
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), AsciiLower);
  return lower;
}

bool SaysWrite(const UpstreamCommand& command) {
  return std::find(command.flags.begin(), command.flags.end(), "write") != command.flags.end();
}

}  // namespace

CommandTable::CommandTable() {
  unknown_.name = IdName(kUnknownCommandId);
  unknown_.flags = CommandFlag::kWrite;
  unknown_.key_scan = KeyScan::kEveryArgument;

  const std::span<const CommandRow> rows = BuiltinRows();
  builtin_.assign(rows.begin(), rows.end());
  slots_.resize(std::bit_ceil(builtin_.size() * 2));
  // Containers first: a subcommand is filed under the number of its container.
  for (CommandRow& row : builtin_) {
    if (SubcommandOf(row.name).empty()) {
      Insert(row, 0);
    }
  }
  for (CommandRow& row : builtin_) {
    const std::string_view sub = SubcommandOf(row.name);
    if (!sub.empty()) {
      const Slot* container = Lookup(row.name.substr(0, row.name.size() - sub.size() - 1), 0);
      NC_CHECK(container != nullptr);
      Insert(row, container->number);
    }
  }
}

CommandTable::FoldedName CommandTable::Fold(std::string_view name) {
  const char* at = name.data();
  const std::size_t size = name.size();
  FoldedName folded;
  if (size >= kWordBytes && size <= 2 * kWordBytes) {
    folded.head = LowerWord(Load<std::uint64_t>(at));
    folded.tail = LowerWord(Load<std::uint64_t>(at + size - kWordBytes));
  } else if (size >= 4 && size < kWordBytes) {
    folded.head = LowerWord(Load<std::uint32_t>(at) | (Load<std::uint32_t>(at + size - 4) << 32U));
  } else if (size < 4) {  // the middle byte is the first or the last again in shorter names
    folded.head = LowerWord(Load<std::uint8_t>(at) | (Load<std::uint8_t>(at + size / 2) << 8U) |
                            (Load<std::uint8_t>(at + size - 1) << 16U));
  } else {
    for (std::size_t i = 0; i + kWordBytes <= size; i += kWordBytes) {
      folded.head = Mix(folded.head ^ LowerWord(Load<std::uint64_t>(at + i)));
    }
    folded.tail = LowerWord(Load<std::uint64_t>(at + size - kWordBytes));
  }
  return folded;
}

std::size_t CommandTable::HashOf(const FoldedName& name, std::uint16_t parent) {
  return Mix(Mix(name.head + parent) ^ name.tail);
}

const CommandTable::Slot* CommandTable::Lookup(std::string_view name, std::uint16_t parent) const {
  if (name.empty() || name.size() > kNameBytesMax) {
    return nullptr;
  }
  const FoldedName folded = Fold(name);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = HashOf(folded, parent) & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.row == nullptr) {
      return nullptr;
    }
    if (slot.head == folded.head && slot.tail == folded.tail && slot.size == name.size() &&
        slot.parent == parent &&
        (name.size() <= 2 * kWordBytes || EqualsIgnoringCase(name, OwnName(*slot.row)))) {
      return &slot;
    }
  }
}

void CommandTable::PlaceSlot(const Slot& slot) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = HashOf({slot.head, slot.tail}, slot.parent) & mask;
  while (slots_[at].row != nullptr) {
    at = (at + 1) & mask;
  }
  slots_[at] = slot;
}

void CommandTable::Insert(CommandRow& row, std::uint16_t parent) {
  if ((std::size_t{rows_indexed_} + 1) * 2 > slots_.size()) {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.row != nullptr) {
        PlaceSlot(slot);
      }
    }
  }
  const std::string_view name = OwnName(row);
  const FoldedName folded = Fold(name);
  ++rows_indexed_;
  PlaceSlot({folded.head, folded.tail, &row, static_cast<std::uint16_t>(name.size()), parent,
             rows_indexed_});
}

const CommandTable::Slot* CommandTable::LookupByEitherName(std::string_view name) const {
  const Slot* slot = Lookup(name, 0);
  if (slot == nullptr && !renamed_.empty()) {
    slot = Lookup(renamed_.OtherNameOf(name), 0);
  }
  return slot;
}

const CommandRow& CommandTable::Find(std::span<const std::string_view> args) const {
  const Slot* slot = LookupByEitherName(args[0]);
  if (slot == nullptr) {
    return unknown_;
  }
  if (slot->row->Is(CommandFlag::kContainer) && args.size() > 1) {
    const Slot* sub = Lookup(args[1], slot->number);
    return sub != nullptr ? *sub->row : *slot->row;
  }
  return *slot->row;
}

const CommandRow& CommandTable::FindByName(std::string_view name) const {
  const std::size_t bar = name.find('|');
  if (bar == std::string_view::npos) {
    const Slot* slot = LookupByEitherName(name);
    return slot != nullptr ? *slot->row : unknown_;
  }
  const Slot* container = LookupByEitherName(name.substr(0, bar));
  const Slot* sub =
      container != nullptr ? Lookup(name.substr(bar + 1), container->number) : nullptr;
  return sub != nullptr ? *sub->row : unknown_;
}

CommandTable::MergeReport CommandTable::MergeUpstream(std::span<const UpstreamCommand> commands) {
  MergeReport report;
  for (const UpstreamCommand& command : commands) {
    MergeOne(command, nullptr, report);
  }
  return report;
}

void CommandTable::MergeOne(const UpstreamCommand& command, const Slot* container,
                            MergeReport& report) {
  const std::optional<std::string> own = OwnNameOf(command, container != nullptr);
  if (!own) {
    ++report.refused;
    return;
  }
  const std::uint16_t parent = container != nullptr ? container->number : std::uint16_t{0};
  const Slot* slot = Lookup(*own, parent);
  if (slot == nullptr) {
    std::string name = container != nullptr ? std::string(container->row->name) + "|" + *own : *own;
    if (learned_.size() == kLearnedRowsMax || name.size() > kNameBytesMax) {
      ++report.refused;
      return;
    }
    LearnedRow& learned = learned_.emplace_back(std::move(name));
    learned.Learn(command, container != nullptr ? container->row : nullptr);
    Insert(learned.row(), parent);
    ++report.added;
  } else if (slot->number > builtin_.size()) {
    learned_[slot->number - builtin_.size() - 1].Learn(
        command, container != nullptr ? container->row : nullptr);
  } else if (!slot->row->Is(CommandFlag::kWrite) && SaysWrite(command)) {
    Widen(*slot->row);
    ++report.widened;
  }
  if (container == nullptr) {
    MergeSubcommands(command, *Lookup(*own, 0), report);
  }
}

void CommandTable::MergeSubcommands(const UpstreamCommand& command, const Slot& container,
                                    MergeReport& report) {
  if (!container.row->Is(CommandFlag::kContainer)) {
    return;
  }
  const Slot parent = container;  // a copy: merging may move the slots
  for (const UpstreamCommand& sub : command.subcommands) {
    MergeOne(sub, &parent, report);
  }
}

void CommandTable::Widen(CommandRow& row) {
  std::vector<KeySpec>& specs = widened_.emplace_back(row.keys.begin(), row.keys.end());
  for (KeySpec& spec : specs) {
    spec.access = KeyAccess::kWrite;
  }
  row.keys = specs;
  row.flags = row.flags.Without(CommandFlag::kReadOnly) | CommandFlag::kWrite;
  row.cache_class = CacheClass::kNever;
  if (row.handling == Handling::kGet || row.handling == Handling::kMget ||
      row.handling == Handling::kRead) {
    row.handling = Handling::kForward;
  }
}

}  // namespace nearcached
