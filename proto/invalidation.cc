#include "proto/invalidation.h"

#include <cstddef>

#include "proto/crlf.h"
#include "proto/short_length.h"

namespace nearcached::proto {
namespace {

constexpr std::string_view kName = "$10\r\ninvalidate\r\n";
constexpr std::string_view kBroken = "$21\r\ntracking-redir-broken\r\n";
// What a message of the channel begins with; a null of RESP2 stands for all keys.
constexpr std::string_view kMessage = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";

// Reads "<type><number>\r\n" from the front of `rest`.
bool TakeLength(std::string_view& rest, char type, std::uint32_t& number) {
  if (!rest.starts_with(type)) {
    return false;
  }
  const char* const end = rest.data() + rest.size();
  const char* const after = ReadShortLength(rest.data() + 1, end, number);
  if (after == nullptr) {
    return false;
  }
  rest.remove_prefix(static_cast<std::size_t>(after - rest.data()));
  return true;
}

bool TakeBulk(std::string_view& rest, std::string_view& bytes) {
  std::uint32_t length = 0;
  if (!TakeLength(rest, '$', length) || rest.size() < length + kCrLf.size() ||
      rest.substr(length, kCrLf.size()) != kCrLf) {
    return false;
  }
  bytes = rest.substr(0, length);
  rest.remove_prefix(length + kCrLf.size());
  return true;
}

// All of `rest` is an array of bulks.
bool TakeKeys(std::string_view rest, std::vector<std::string_view>& keys) {
  std::uint32_t count = 0;
  if (!TakeLength(rest, '*', count)) {
    return false;
  }
  for (; count > 0; --count) {
    std::string_view key;
    if (!TakeBulk(rest, key)) {
      return false;
    }
    keys.push_back(key);
  }
  return rest.empty();
}

}  // namespace

PushKind ParseInvalidation(std::string_view frame, std::vector<std::string_view>& keys) {
  std::uint32_t values = 0;
  bool whole = true;
  if (frame.starts_with(kMessage)) {
    frame.remove_prefix(kMessage.size());
  } else if (TakeLength(frame, '>', values) && frame.starts_with(kName)) {
    frame.remove_prefix(kName.size());
    whole = values == 2;
  } else {
    return PushKind::kOther;
  }
  const std::size_t base = keys.size();
  if (whole && TakeKeys(frame, keys)) {
    return PushKind::kInvalidateKeys;
  }
  // "_", "$-1" and "*-1" say so; of anything else we only know that something has changed.
  keys.resize(base);
  return PushKind::kInvalidateAll;
}

bool IsRedirectionBroken(std::string_view frame) {
  std::uint32_t values = 0;
  return TakeLength(frame, '>', values) && frame.starts_with(kBroken);
}

}  // namespace nearcached::proto
