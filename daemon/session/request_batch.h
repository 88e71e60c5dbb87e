// The requests decoded from one piece of input, before any of them is dispatched.
//
// Decoding ahead lets the cache lines of many keys be fetched from memory at once (performance.md
// 5). One per worker, reused; valid while the input it was decoded from is.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/command/ascii.h"
#include "daemon/command/command_table.h"

namespace nearcached {

// One decoded request. Views are valid while it is being dispatched.
struct Request {
  std::span<const std::string_view> args;  // not empty
  std::string_view raw;                    // the bytes to forward
  const CommandRow* row = nullptr;
  std::uint64_t hash = 0;  // of args[1], if `hashed`
  bool hashed = false;
};

struct RequestBatch {
  static constexpr std::size_t kMax = 32;

  // Where a request came from.
  struct Origin {
    std::size_t begin = 0;      // offset of its first byte in the input
    std::size_t first_arg = 0;  // in `args`
    std::uint32_t argc = 0;
  };

  std::array<Origin, kMax> origins{};
  std::array<Request, kMax> requests{};  // their `args` are set once all are decoded
  std::size_t size = 0;
  bool is_cut = false;                 // the client has sent more than what is in it
  std::vector<std::string_view> args;  // of all requests
  std::deque<std::string> encoded;     // requests that did not come in canonical form
  const CommandRow* likely_row = nullptr;

  [[nodiscard]] std::span<const std::string_view> ArgsOf(const Origin& origin) const {
    return {args.data() + origin.first_arg, origin.argc};
  }

  // The row of a call. Clients repeat themselves: the row of the call before is tried first.
  const CommandRow& RowOf(std::span<const std::string_view> call, const CommandTable& commands) {
    if (likely_row != nullptr && EqualsIgnoringCase(call[0], likely_row->name)) {
      return *likely_row;
    }
    const CommandRow& row = commands.Find(call);
    // Only where the name alone says which row it is, and will go on saying so.
    const bool by_name_alone = &row != &commands.unknown() && !row.Is(CommandFlag::kContainer) &&
                               EqualsIgnoringCase(call[0], row.name);
    likely_row = by_name_alone ? &row : nullptr;
    return row;
  }

  // Whether the client had sent something behind `request` before it could know the answer.
  // REQUIRES: the request is the batch's own.
  [[nodiscard]] bool HasMoreBehind(const Request& request) const {
    return is_cut || &request != &requests[size - 1];
  }

  void Clear() {
    size = 0;
    args.clear();
    if (!encoded.empty()) {  // rarely, and clearing an empty deque is not free
      encoded.clear();
    }
    constexpr std::size_t kKeepArgs = 4096;
    if (args.capacity() > kKeepArgs) {
      args.shrink_to_fit();  // one client's million arguments are not kept for the others
    }
  }
};

}  // namespace nearcached
