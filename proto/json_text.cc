#include "proto/json_text.h"

#include <charconv>

namespace nearcached::proto {
namespace {

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

void AppendUtf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0U | (code >> 6U));
    put(0x80U | (code & 0x3fU));
  } else if (code < 0x10000) {
    put(0xe0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3fU));
    put(0x80U | (code & 0x3fU));
  } else {
    put(0xf0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3fU));
    put(0x80U | ((code >> 6U) & 0x3fU));
    put(0x80U | (code & 0x3fU));
  }
}

}  // namespace

void JsonText::SkipBlanks() {
  while (at_ < text_.size() && IsBlank(text_[at_])) {
    ++at_;
  }
}

bool JsonText::Peek(char c) {
  SkipBlanks();
  return at_ < text_.size() && text_[at_] == c;
}

bool JsonText::Take(char c) {
  const bool there = Peek(c);
  at_ += there ? 1 : 0;
  return there;
}

bool JsonText::AtEnd() {
  SkipBlanks();
  return at_ == text_.size();
}

bool JsonText::ReadString(std::string& out) {
  out.clear();
  if (!Take('"')) {
    return false;
  }
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (c == '"') {
      return true;
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      return false;
    }
    if (c != '\\') {
      out += c;
    } else if (!ReadEscape(out)) {
      return false;
    }
  }
  return false;
}

bool JsonText::ReadEscape(std::string& out) {
  if (at_ == text_.size()) {
    return false;
  }
  const char c = text_[at_++];
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out += c;
      return true;
    case 'b':
      out += '\b';
      return true;
    case 'f':
      out += '\f';
      return true;
    case 'n':
      out += '\n';
      return true;
    case 'r':
      out += '\r';
      return true;
    case 't':
      out += '\t';
      return true;
    case 'u':
      return ReadCodePoint(out);
    default:
      return false;
  }
}

bool JsonText::ReadHex4(std::uint32_t& out) {
  const std::string_view digits = text_.substr(at_, 4);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
  at_ += digits.size();
  return digits.size() == 4 && parsed.ec == std::errc{} &&
         parsed.ptr == digits.data() + digits.size();
}

// Behind "\u". What is beyond the first plane comes as two of them, which are nothing alone.
bool JsonText::ReadCodePoint(std::string& out) {
  std::uint32_t code = 0;
  if (!ReadHex4(code)) {
    return false;
  }
  if (code >= 0xdc00 && code <= 0xdfff) {
    return false;
  }
  if (code >= 0xd800 && code <= 0xdbff) {
    std::uint32_t low = 0;
    if (!text_.substr(at_).starts_with("\\u")) {
      return false;
    }
    at_ += 2;
    if (!ReadHex4(low) || low < 0xdc00 || low > 0xdfff) {
      return false;
    }
    code = 0x10000 + ((code - 0xd800) << 10U) + (low - 0xdc00);
  }
  AppendUtf8(out, code);
  return true;
}

bool JsonText::ReadBool(bool& out) {
  SkipBlanks();
  if (TakeWord("true")) {
    out = true;
    return true;
  }
  out = false;
  return TakeWord("false");
}

bool JsonText::TakeWord(std::string_view word) {
  const bool there = text_.substr(at_).starts_with(word);
  at_ += there ? word.size() : 0;
  return there;
}

bool JsonText::SkipValue(int depth) {
  if (depth == 0) {
    return false;
  }
  if (Peek('"')) {
    std::string text;
    return ReadString(text);
  }
  if (Take('{')) {
    return SkipMembers('}', depth);
  }
  if (Take('[')) {
    return SkipMembers(']', depth);
  }
  return TakeWord("true") || TakeWord("false") || TakeWord("null") || SkipNumber();
}

// Behind the opening bracket of an object or an array.
bool JsonText::SkipMembers(char close, int depth) {
  if (Take(close)) {
    return true;
  }
  do {
    std::string name;
    if (close == '}' && (!ReadString(name) || !Take(':'))) {
      return false;
    }
    if (!SkipValue(depth - 1)) {
      return false;
    }
  } while (Take(','));
  return Take(close);
}

bool JsonText::SkipDigits() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && IsDigit(text_[at_])) {
    ++at_;
  }
  return at_ > begin;
}

bool JsonText::SkipNumber() {
  (void)TakeWord("-");
  if (!TakeWord("0") && !SkipDigits()) {
    return false;
  }
  if (TakeWord(".") && !SkipDigits()) {
    return false;
  }
  if (TakeWord("e") || TakeWord("E")) {
    (void)(TakeWord("+") || TakeWord("-"));
    return SkipDigits();
  }
  return true;
}

}  // namespace nearcached::proto
