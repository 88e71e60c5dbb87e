// Which of the 16,384 slots of a Redis Cluster a key belongs to. Pure functions, any thread.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
#pragma once

#include <cstdint>
#include <string_view>

namespace nearcached {

using Slot = std::uint16_t;
inline constexpr std::uint32_t kSlots = 16'384;

// The part of the key that is hashed: what stands between the first '{' and the first '}' after it,
// unless that is nothing; else the whole key.
[[nodiscard]] std::string_view HashTag(std::string_view key);

// CRC16/XMODEM of the hash tag, modulo kSlots.
[[nodiscard]] Slot SlotOf(std::string_view key);

}  // namespace nearcached
