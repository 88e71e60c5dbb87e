// Errors by which a server says that something is wrong with it, not with the request.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nearcached {

enum class SickReply : std::uint8_t {
  kLoading,      // reads its data set from disk, or from its primary
  kMasterDown,   // a replica that has lost its primary and may not serve what it has
  kClusterDown,  // the cluster, or the slot, has no primary
  kReadOnly,     // a replica, asked to write
  kMisconf,      // refuses writes because it cannot save
  kBusy,         // a script keeps it
};
inline constexpr std::size_t kSickReplies = 6;
// The first word of the error, by SickReply.
inline constexpr std::array<std::string_view, kSickReplies> kSickReplyNames = {
    "LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "MISCONF", "BUSY"};

// `error` is an error reply, with its '-' and all that follows. Nothing for any other error.
constexpr std::optional<SickReply> SickReplyOf(std::string_view error) {
  for (std::size_t i = 0; i < kSickReplies; ++i) {
    const std::string_view name = kSickReplyNames[i];
    if (error.size() > name.size() + 1 && error.substr(1, name.size()) == name &&
        error[name.size() + 1] == ' ') {
      return static_cast<SickReply>(i);
    }
  }
  return std::nullopt;
}

}  // namespace nearcached
