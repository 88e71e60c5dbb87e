// Puts the groups of rows together at compile time: one array, sorted by name, with ids; and checks
// what a row must never be.
#include <algorithm>
#include <array>

#include "daemon/command/ascii.h"
#include "daemon/command/command_table.h"
#include "daemon/command/rows_admin.h"
#include "daemon/command/rows_collections.h"
#include "daemon/command/rows_modules.h"
#include "daemon/command/rows_server.h"
#include "daemon/command/rows_sorted.h"
#include "daemon/command/rows_strings.h"

namespace nearcached {
namespace {

constexpr bool ByName(const CommandRow& a, const CommandRow& b) {
  return a.name < b.name;
}

// The groups are sorted each, so merging them pairwise costs little even for a compiler.
template <std::size_t kA, std::size_t kB>
constexpr std::array<CommandRow, kA + kB> Merge(const std::array<CommandRow, kA>& a,
                                                const std::array<CommandRow, kB>& b) {
  std::array<CommandRow, kA + kB> all;
  std::merge(a.begin(), a.end(), b.begin(), b.end(), all.begin(), ByName);
  return all;
}

constexpr auto kSorted =
    Merge(Merge(Merge(std::to_array(rows::kStringRows), std::to_array(rows::kCollectionRows)),
                Merge(std::to_array(rows::kSortedRows), std::to_array(rows::kModuleRows))),
          Merge(std::to_array(rows::kServerRows), std::to_array(rows::kAdminRows)));

constexpr bool IsSubcommand(const CommandRow& row) {
  return row.name.find('|') != std::string_view::npos;
}

// Ids go to the commands in order, from 1; a subcommand follows its parent in the order of names,
// though not always at once ("object" < "object-x" < "object|freq").
template <std::size_t kN>
constexpr std::array<CommandRow, kN> WithIds(std::array<CommandRow, kN> rows) {
  std::uint16_t next = kUnknownCommandId;
  for (CommandRow& row : rows) {
    if (!IsSubcommand(row)) {
      row.id = ++next;
    }
  }
  for (CommandRow& row : rows) {
    if (IsSubcommand(row)) {
      CommandRow parent;
      parent.name = row.name.substr(0, row.name.find('|'));
      row.id = std::lower_bound(rows.begin(), rows.end(), parent, ByName)->id;
    }
  }
  return rows;
}

constexpr auto kRows = WithIds(kSorted);

constexpr std::size_t kIdCount =
    1 + static_cast<std::size_t>(std::count_if(kRows.begin(), kRows.end(),
                                               [](const auto& row) { return !IsSubcommand(row); }));

constexpr auto kIdNames = [] {
  std::array<std::string_view, kIdCount> names;
  names[kUnknownCommandId] = "unknown";
  for (const CommandRow& row : kRows) {
    if (!IsSubcommand(row)) {
      names[row.id] = row.name;
    }
  }
  return names;
}();

template <typename Property>
constexpr bool EveryRow(Property holds) {
  return std::all_of(kRows.begin(), kRows.end(), holds);
}

static_assert(std::adjacent_find(kRows.begin(), kRows.end(),
                                 [](const auto& a, const auto& b) { return a.name >= b.name; }) ==
                  kRows.end(),
              "two rows have one name, or a group is not sorted");
static_assert(EveryRow([](const CommandRow& row) {
                return !row.name.empty() && row.name.size() <= CommandTable::kNameBytesMax &&
                       std::all_of(row.name.begin(), row.name.end(),
                                   [](char c) { return c > ' ' && AsciiLower(c) == c; });
              }),
              "a name is in lower case and fits");
static_assert(EveryRow([](const CommandRow& row) {
                return !IsSubcommand(row) ||
                       (kIdNames[row.id] == row.name.substr(0, row.name.find('|')));
              }),
              "a subcommand has a parent");
static_assert(EveryRow([](const CommandRow& row) {
                return (row.handling == Handling::kRefused) == !row.refusal.empty();
              }),
              "what is refused says why, and nothing else does");
static_assert(EveryRow([](const CommandRow& row) {
                return row.cache_class == CacheClass::kNever ||
                       (row.Is(CommandFlag::kReadOnly) && !row.MayWrite() && !row.keys.empty() &&
                        !row.Is(CommandFlag::kVolatile));
              }),
              "what is cached reads the keys it names and nothing else (R10)");
static_assert(EveryRow([](const CommandRow& row) {
                return !(row.Is(CommandFlag::kWrite) && row.Is(CommandFlag::kReadOnly));
              }),
              "a command writes or it does not");
static_assert(EveryRow([](const CommandRow& row) {
                return !row.Is(CommandFlag::kReadOnly) ||
                       std::all_of(row.keys.begin(), row.keys.end(), [](const KeySpec& spec) {
                         return spec.access == KeyAccess::kRead;
                       });
              }),
              "a command that is read-only writes no key");
static_assert(EveryRow([](const CommandRow& row) {
                return row.handling != Handling::kBlocking ||
                       row.timeout.where != TimeoutArgument::Where::kNone;
              }),
              "what may wait says for how long");

}  // namespace

std::span<const CommandRow> BuiltinRows() {
  return kRows;
}

std::size_t CommandTable::IdCount() {
  return kIdCount;
}

std::string_view CommandTable::IdName(std::uint16_t id) {
  return kIdNames[id];
}

}  // namespace nearcached
