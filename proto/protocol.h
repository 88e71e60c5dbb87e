// The two versions of the Redis serialisation protocol that a client can select with HELLO.
// Plain values, any thread.
#pragma once

#include <cstdint>

namespace nearcached::proto {

// The numbers are those of the wire: HELLO 2, HELLO 3.
enum class Protocol : std::uint8_t { kResp2 = 2, kResp3 = 3 };

}  // namespace nearcached::proto
