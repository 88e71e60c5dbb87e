// The command table of one worker: finds the row of a call, and learns rows from the upstream.
//
// Built from the constant rows of this folder; the worker owns it, loop thread only. Lookups ignore
// case, never allocate and cost a few nanoseconds. Rows never move and never go away
// while the table lives, so a `const CommandRow&` may be kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/command/command_row.h"
#include "daemon/command/learned_row.h"
#include "daemon/command/renamed_commands.h"
#include "daemon/command/upstream_command.h"

namespace nearcached {

// The constant rows, sorted by name, subcommands included.
[[nodiscard]] std::span<const CommandRow> BuiltinRows();

class CommandTable {
 public:
  // Bounds on what a confused or hostile upstream can make the table hold.
  static constexpr std::size_t kLearnedRowsMax = 4096;
  static constexpr std::size_t kNameBytesMax = 64;

  CommandTable();
  CommandTable(const CommandTable&) = delete;
  CommandTable& operator=(const CommandTable&) = delete;
  ~CommandTable() = default;

  // The row of a call: args[0] is the name, and where that is a container args[1] chooses the
  // subcommand. A container without a subcommand that is known gives the container's own row. A
  // name that nobody knows gives unknown(). REQUIRES: !args.empty().
  [[nodiscard]] const CommandRow& Find(std::span<const std::string_view> args) const;

  // The row of a name alone: "get", "CONFIG", "config|set". For EXPLAIN and configuration.
  [[nodiscard]] const CommandRow& FindByName(std::string_view name) const;

  // Commands the upstream knows by another name ("name=upstream name"): found by either of the two
  // from now on. Where both are names of commands, each is what it is. Once, before first use.
  void Rename(std::span<const std::string> pairs) { renamed_ = RenamedCommands(pairs); }
  [[nodiscard]] const RenamedCommands& renamed() const { return renamed_; }

  // What stands for every command without a row: forwarded, never cached, and taken for a write to
  // each of its arguments (R8).
  [[nodiscard]] const CommandRow& unknown() const { return unknown_; }

  struct MergeReport {
    std::size_t added = 0;    // commands that were not known before
    std::size_t widened = 0;  // built-in reads that this server calls writes
    std::size_t refused = 0;  // entries beyond a bound or without a usable name
  };

  // Takes in the upstream's COMMAND reply. Commands without a built-in row get one made of what the
  // server says; the latest reply wins. Of a built-in row only one thing can change: when the
  // server calls a command a write, it becomes a write to all its keys for good, and stops being
  // cached. Nothing the server says turns a write into a read or makes a command cacheable.
  MergeReport MergeUpstream(std::span<const UpstreamCommand> commands);

  // Ids run from 0 (kUnknownCommandId) to IdCount() - 1 and are the same in every table of this
  // build.
  [[nodiscard]] static std::size_t IdCount();
  // "get" for the id of GET and "unknown" for kUnknownCommandId: a bounded set, fit for labels.
  // REQUIRES: id < IdCount().
  [[nodiscard]] static std::string_view IdName(std::uint16_t id);

 private:
  // A name in registers: its bytes in lower case in two words, which overlap below 16 bytes. Longer
  // names keep a hash there and are compared in full.
  struct FoldedName {
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
  };
  // One place of the open-addressed index: half a cache line, compared without touching the row.
  struct Slot {
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    CommandRow* row = nullptr;  // null: free
    std::uint16_t size = 0;     // of the name, or of the subcommand alone
    std::uint16_t parent = 0;   // number of the container for a subcommand, else 0
    std::uint16_t number = 0;   // of this row, from 1
  };
  static FoldedName Fold(std::string_view name);
  [[nodiscard]] static std::size_t HashOf(const FoldedName& name, std::uint16_t parent);
  [[nodiscard]] const Slot* LookupByEitherName(std::string_view name) const;
  [[nodiscard]] const Slot* Lookup(std::string_view name, std::uint16_t parent) const;
  void Insert(CommandRow& row, std::uint16_t parent);
  void PlaceSlot(const Slot& slot);
  // `container` is the slot of the container for a subcommand, else null.
  void MergeOne(const UpstreamCommand& command, const Slot* container, MergeReport& report);
  void MergeSubcommands(const UpstreamCommand& command, const Slot& container, MergeReport& report);
  void Widen(CommandRow& row);

  RenamedCommands renamed_;
  CommandRow unknown_;
  std::vector<CommandRow> builtin_;           // never grows after construction
  std::deque<LearnedRow> learned_;            // numbers follow those of builtin_
  std::deque<std::vector<KeySpec>> widened_;  // specifications of widened built-in rows
  std::vector<Slot> slots_;                   // a power of two, at most half full
  std::uint16_t rows_indexed_ = 0;
};

}  // namespace nearcached
