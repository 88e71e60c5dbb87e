#include "config/quote.h"

#include <cstddef>

namespace nearcached::config {

std::string QuotedWhole(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xf];
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

std::string QuotedForMessage(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string out = QuotedWhole(text.substr(0, kShown));
  if (text.size() > kShown) {
    out.insert(out.size() - 1, "…");
  }
  return out;
}

}  // namespace nearcached::config
