#include "tests/sim/resp.h"

#include <charconv>
#include <optional>

namespace nearcached::sim {
namespace {

constexpr std::size_t kIncomplete = 0;
constexpr std::size_t kBroken = static_cast<std::size_t>(-1);

// The number between the type byte at `at` and its CRLF. `end` becomes the position after it.
std::optional<long long> HeaderNumber(std::string_view in, std::size_t at, std::size_t& end) {
  const std::size_t crlf = in.find("\r\n", at);
  if (crlf == std::string_view::npos) {
    return std::nullopt;
  }
  long long n = 0;
  const char* const first = in.data() + at + 1;
  const char* const last = in.data() + crlf;
  const auto [ptr, ec] = std::from_chars(first, last, n);
  end = ec == std::errc() && ptr == last ? crlf + 2 : kBroken;
  return n;
}

// Length of the element that begins at `at`, kIncomplete or kBroken.
std::size_t Measure(std::string_view in, std::size_t at) {
  if (at >= in.size()) {
    return kIncomplete;
  }
  const char type = in[at];
  if (std::string_view("+-:_#,(").find(type) != std::string_view::npos) {
    const std::size_t crlf = in.find("\r\n", at);
    return crlf == std::string_view::npos ? kIncomplete : crlf + 2 - at;
  }
  if (std::string_view("$=!*%~>").find(type) == std::string_view::npos) {
    return kBroken;
  }
  std::size_t end = 0;
  const auto n = HeaderNumber(in, at, end);
  if (!n) {
    return kIncomplete;
  }
  if (end == kBroken || *n < -1) {
    return kBroken;
  }
  if (*n == -1) {
    return end - at;
  }
  if (type == '$' || type == '=' || type == '!') {
    const std::size_t total = end + static_cast<std::size_t>(*n) + 2;
    return in.size() < total ? kIncomplete : total - at;
  }
  const long long items = type == '%' ? *n * 2 : *n;
  for (long long i = 0; i < items; ++i) {
    const std::size_t length = Measure(in, end);
    if (length == kIncomplete || length == kBroken) {
      return length;
    }
    end += length;
  }
  return end - at;
}

void EncodeItems(const Reply& reply, Protocol protocol, std::string& out) {
  for (const Reply& item : reply.items) {
    out += Encode(item, protocol);
  }
}

bool SplitInline(std::string_view line, Args& out) {
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t space = std::min(line.find(' ', at), line.size());
    if (space > at) {
      out.emplace_back(line.substr(at, space - at));
    }
    at = space + 1;
  }
  return !out.empty();
}

}  // namespace

std::string Encode(const Reply& reply, Protocol protocol) {
  const bool resp3 = protocol == Protocol::kResp3;
  const auto count = [&](char type, std::size_t n) { return type + std::to_string(n) + "\r\n"; };
  std::string out;
  switch (reply.kind) {
    case Reply::Kind::kNone:
      break;
    case Reply::Kind::kSimple:
      out = "+" + reply.text + "\r\n";
      break;
    case Reply::Kind::kError:
      out = "-" + reply.text + "\r\n";
      break;
    case Reply::Kind::kInteger:
      out = ":" + reply.text + "\r\n";
      break;
    case Reply::Kind::kBulk:
      out = count('$', reply.text.size()) + reply.text + "\r\n";
      break;
    case Reply::Kind::kNil:
      out = resp3 ? "_\r\n" : "$-1\r\n";
      break;
    case Reply::Kind::kNilArray:
      out = resp3 ? "_\r\n" : "*-1\r\n";
      break;
    case Reply::Kind::kArray:
      out = count('*', reply.items.size());
      EncodeItems(reply, protocol, out);
      break;
    case Reply::Kind::kMap:
      out = resp3 ? count('%', reply.items.size() / 2) : count('*', reply.items.size());
      EncodeItems(reply, protocol, out);
      break;
    case Reply::Kind::kSet:
      out = count(resp3 ? '~' : '*', reply.items.size());
      EncodeItems(reply, protocol, out);
      break;
    case Reply::Kind::kDouble:
      out = resp3 ? "," + reply.text + "\r\n" : count('$', reply.text.size()) + reply.text + "\r\n";
      break;
    case Reply::Kind::kPairs:
      out = count('*', resp3 ? reply.items.size() / 2 : reply.items.size());
      for (std::size_t i = 0; i < reply.items.size(); ++i) {
        out += (resp3 && i % 2 == 0 ? count('*', 2) : "") + Encode(reply.items[i], protocol);
      }
      break;
    case Reply::Kind::kPush:
      out = count(resp3 ? '>' : '*', reply.items.size());
      EncodeItems(reply, protocol, out);
      break;
  }
  return out;
}

std::string EncodeCommand(const Args& args) {
  std::string out = "*" + std::to_string(args.size()) + "\r\n";
  for (const std::string& arg : args) {
    out.append("$").append(std::to_string(arg.size())).append("\r\n").append(arg).append("\r\n");
  }
  return out;
}

std::string Upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') {
      c = static_cast<char>(c - 'a' + 'A');
    }
  }
  return out;
}

bool ReplyReader::Next(RawReply& out) {
  const std::size_t length = broken_ ? kBroken : Measure(buffer_, start_);
  if (length == kBroken) {
    broken_ = true;
    return false;
  }
  if (length == kIncomplete) {
    buffer_.erase(0, start_);
    start_ = 0;
    return false;
  }
  out.bytes = buffer_.substr(start_, length);
  out.type = out.bytes[0];
  start_ += length;
  return true;
}

bool CommandReader::Next(Args& out) {
  out.clear();
  while (!broken_ && !buffer_.empty() && out.empty()) {
    if (buffer_[0] == '*') {
      const std::size_t length = Measure(buffer_, 0);
      if (length == kIncomplete) {
        return false;
      }
      if (length == kBroken) {
        broken_ = true;
        return false;
      }
      for (const RawReply& item : SplitItems({buffer_.substr(0, length), '*'})) {
        broken_ = broken_ || item.type != '$';
        out.push_back(PayloadOf(item));
      }
      if (broken_) {
        out.clear();
      }
      buffer_.erase(0, length);
      continue;
    }
    const std::size_t newline = buffer_.find('\n');
    if (newline == std::string::npos) {
      return false;
    }
    std::string line = buffer_.substr(0, newline);
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    buffer_.erase(0, newline + 1);
    SplitInline(line, out);
  }
  return !out.empty();
}

std::vector<RawReply> SplitItems(const RawReply& aggregate) {
  std::vector<RawReply> items;
  std::size_t at = aggregate.bytes.find("\r\n") + 2;
  while (at < aggregate.bytes.size()) {
    const std::size_t length = Measure(aggregate.bytes, at);
    items.push_back({aggregate.bytes.substr(at, length), aggregate.bytes[at]});
    at += length;
  }
  return items;
}

std::string PayloadOf(const RawReply& element) {
  const std::string& bytes = element.bytes;
  const std::size_t crlf = bytes.find("\r\n");
  if (element.type != '$' && element.type != '=') {
    return bytes.substr(1, crlf - 1);
  }
  return crlf + 2 >= bytes.size() ? "" : bytes.substr(crlf + 2, bytes.size() - crlf - 4);
}

}  // namespace nearcached::sim
