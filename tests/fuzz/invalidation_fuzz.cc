// Whatever a push frame holds, reading it stays inside the frame; the keys it names are those of
// the frame, and encode to it again; and a frame that calls itself an invalidation is never
// mistaken for something that may be ignored.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proto/encode.h"
#include "proto/invalidation.h"

namespace {

using nearcached::proto::ParseInvalidation;
using nearcached::proto::PushKind;

// The two forms of an invalidation, up to its keys: RESP3's, and what RESP2 makes of it.
constexpr std::string_view kPush = ">2\r\n$10\r\ninvalidate\r\n";
constexpr std::string_view kMessage = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";

void Require(bool held) {
  if (!held) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view frame(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> keys;
  const PushKind kind = ParseInvalidation(frame, keys);
  const bool message = frame.starts_with(kMessage);
  if (kind != PushKind::kInvalidateKeys) {
    Require(keys.empty());
    Require(kind == PushKind::kInvalidateAll || !(message || frame.starts_with(kPush)));
    return 0;
  }
  std::string encoded(message ? kMessage : kPush);
  nearcached::proto::AppendCommand(encoded, keys);
  Require(encoded == frame);
  return 0;
}
