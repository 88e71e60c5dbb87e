// Turns what a replica has executed into time: up to when it has all that the primary acknowledged.
//
// The primary is asked for its offset every now and then. Whatever was acknowledged to us before
// the question was sent lies within the offset of the answer, because the primary counts a write
// before it replies to it. So a replica that has executed as much of the same history has all of
// it, however long its own answer took. This needs no clock of anybody else, and no guess of how
// long replication takes. Offsets of different histories say nothing about each other.
//
// Pure; time is handed in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/time.h"

namespace nearcached {

class ReplicationClock {
 public:
  // Looks that are remembered: a replica that is behind all of them is not read from anyway.
  static constexpr std::size_t kLooksMax = 128;

  // The primary, asked at `asked`, was there. `asked` never goes back.
  void NotePrimary(std::string_view history, std::int64_t offset, MonoTime asked) {
    if (history != history_ || (!looks_.empty() && offset < looks_.back().offset)) {
      history_.assign(history);
      looks_.clear();
    }
    if (!looks_.empty() && looks_.back().offset == offset) {
      looks_.back().asked = asked;
      return;
    }
    looks_.push_back({offset, asked});
    if (looks_.size() > kLooksMax) {
      looks_.pop_front();
    }
  }

  // A node that has executed so much of this history has all that was acknowledged before the time
  // returned. Nothing: the history is another one, or it is further behind than is remembered.
  [[nodiscard]] std::optional<MonoTime> AppliedThrough(std::string_view history,
                                                       std::int64_t offset) const {
    if (history != history_) {
      return std::nullopt;
    }
    for (auto look = looks_.rbegin(); look != looks_.rend(); ++look) {
      if (look->offset <= offset) {
        return look->asked;
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] bool knows(std::string_view history) const { return history == history_; }

 private:
  struct Look {
    std::int64_t offset = 0;
    MonoTime asked{};
  };
  std::string history_;
  std::deque<Look> looks_;  // offsets and times rise
};

}  // namespace nearcached
