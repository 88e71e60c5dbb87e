// Messages by which applications and other systems say, over Pub/Sub, that keys have changed.
// INVALIDATION.md is the protocol. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nearcached::proto {

struct InvalidationNotice {
  std::vector<std::string> keys;
  std::vector<std::string> prefixes;  // every key that begins so; none of them is empty
  std::string origin;                 // who says so; empty: does not say
  bool everything = false;  // says so itself, or names the empty prefix, or more than names_max
};

enum class NoticeForm : std::uint8_t {
  kText,  // keys line by line, or JSON
  kKey,   // the payload is one key, as it stands: keyevent notifications
};

// The form of what a channel carries: the server's own channels of keyevents carry keys.
[[nodiscard]] NoticeForm NoticeFormOf(std::string_view channel);

// Reads one payload. Null: it names nothing that could be dropped, and `why` says what is wrong
// with it (static storage). More than `names_max` keys and prefixes are not kept but stand for
// everything, so a notice is bounded by its payload and by names_max.
[[nodiscard]] std::optional<InvalidationNotice> ParseNotice(std::string_view payload,
                                                            NoticeForm form, std::size_t names_max,
                                                            std::string_view& why);

}  // namespace nearcached::proto
