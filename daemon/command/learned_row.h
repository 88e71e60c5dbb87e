// A row of the command table made of what the upstream said, with the bytes it points to.
//
// Owned by CommandTable, loop thread only. Never moves: its row points into it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/command/command_row.h"
#include "daemon/command/upstream_command.h"

namespace nearcached {

class LearnedRow {
 public:
  // More specifications than any command has; a row with more is read as "every argument".
  static constexpr std::size_t kSpecsMax = 16;
  static constexpr std::size_t kKeywordBytesMax = 64;

  // `name` in lower case, for a subcommand the whole "parent|name".
  explicit LearnedRow(std::string name);
  LearnedRow(const LearnedRow&) = delete;
  LearnedRow& operator=(const LearnedRow&) = delete;
  ~LearnedRow() = default;

  // Makes the row anew from `command`. What is missing or odd there is read as the worst it can
  // mean: a command that is not called read-only writes, keys that are not told are all arguments,
  // a command that blocks does so for ever. Never cached. `parent` is the container's row for a
  // subcommand, else null: its part in connection state and its counters are inherited.
  void Learn(const UpstreamCommand& command, const CommandRow* parent);

  [[nodiscard]] CommandRow& row() { return row_; }

 private:
  // False when the keys cannot be told from what the server says.
  bool LearnKeys(const UpstreamCommand& command);
  bool LearnSpec(const UpstreamKeySpec& from, KeyAccess access);

  std::string name_;
  std::vector<std::string> keywords_;  // reserved before it is pointed into
  std::vector<KeySpec> specs_;
  CommandRow row_;
};

}  // namespace nearcached
