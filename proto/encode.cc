#include "proto/encode.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "proto/crlf.h"

namespace nearcached::proto {
namespace {

// A type byte, up to 20 characters of number, CR LF; one append, because the buffer's growth check
// is most of what a short header costs.
template <typename Integer>
void AppendNumberLine(std::string& out, char type, Integer number) {
  std::array<char, 1 + 20 + kCrLf.size()> line{};
  line[0] = type;
  char* end = std::to_chars(line.data() + 1, line.data() + line.size(), number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(line.data(), end);
}

}  // namespace

void AppendSimple(std::string& out, std::string_view text) {
  out.append(1, '+').append(text).append(kCrLf);
}

void AppendError(std::string& out, std::string_view line) {
  out.append(1, '-');
  const std::size_t first = out.size();
  out.append(line);
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
      [](char c) { return c == '\r' || c == '\n'; }, ' ');
  out.append(kCrLf);
}

void AppendInteger(std::string& out, std::int64_t value) {
  AppendNumberLine(out, ':', value);
}

void AppendBulk(std::string& out, std::string_view bytes) {
  AppendNumberLine(out, '$', bytes.size());
  out.append(bytes).append(kCrLf);
}

void AppendNull(std::string& out, Protocol protocol) {
  out.append(protocol == Protocol::kResp3 ? "_\r\n" : "$-1\r\n");
}

void AppendArrayHeader(std::string& out, std::size_t count) {
  AppendNumberLine(out, '*', count);
}

void AppendMapHeader(std::string& out, std::size_t pairs, Protocol protocol) {
  if (protocol == Protocol::kResp3) {
    AppendNumberLine(out, '%', pairs);
  } else {
    AppendArrayHeader(out, 2 * pairs);
  }
}

void AppendSetHeader(std::string& out, std::size_t count, Protocol protocol) {
  if (protocol == Protocol::kResp3) {
    AppendNumberLine(out, '~', count);
  } else {
    AppendArrayHeader(out, count);
  }
}

void AppendPushHeader(std::string& out, std::size_t count) {
  AppendNumberLine(out, '>', count);
}

void AppendBool(std::string& out, bool value, Protocol protocol) {
  if (protocol == Protocol::kResp3) {
    out.append(value ? "#t\r\n" : "#f\r\n");
  } else {
    out.append(value ? ":1\r\n" : ":0\r\n");
  }
}

void AppendDouble(std::string& out, double value, Protocol protocol) {
  std::array<char, 32> digits{};  // the longest shortest form of a double takes 24
  std::string_view text =
      "nan";  // to_chars would keep the sign of a NaN, which RESP3 does not know
  if (!std::isnan(value)) {
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    text = std::string_view(digits.data(), static_cast<std::size_t>(end.ptr - digits.data()));
  }
  if (protocol == Protocol::kResp3) {
    out.append(1, ',').append(text).append(kCrLf);
  } else {
    AppendBulk(out, text);
  }
}

void AppendVerbatim(std::string& out, std::string_view format, std::string_view text,
                    Protocol protocol) {
  if (protocol == Protocol::kResp3) {
    AppendNumberLine(out, '=', format.size() + 1 + text.size());
    out.append(format).append(1, ':').append(text).append(kCrLf);
  } else {
    AppendBulk(out, text);
  }
}

void AppendCommand(std::string& out, std::span<const std::string_view> args) {
  AppendArrayHeader(out, args.size());
  for (const std::string_view arg : args) {
    AppendBulk(out, arg);
  }
}

}  // namespace nearcached::proto
