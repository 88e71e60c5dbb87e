// SHA-1 as Redis names scripts by: 40 lower-case hexadecimal digits. For names only; nothing here
// relies on it being hard to forge. Pure, any thread.
#pragma once

#include <string>
#include <string_view>

namespace nearcached {

// Empty where the library refuses SHA-1, as one in a strict FIPS mode does.
[[nodiscard]] std::string Sha1Hex(std::string_view bytes);

}  // namespace nearcached
