// A small strict reader of JSON (RFC 8259), for messages whose shape is known: it walks the text
// and hands out strings; it builds no tree.
//
// Every function moves behind what it has read and returns true, or returns false, after which the
// reader is of no use. Strings come out as bytes: escapes resolved to UTF-8, everything else as it
// stands, valid UTF-8 or not. Pure; the text outlives the reader. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nearcached::proto {

class JsonText {
 public:
  // Values inside values, as deep as Skip() goes.
  static constexpr int kDepthMax = 32;

  explicit JsonText(std::string_view text) : text_(text) {}

  // Whether `c` comes next, behind blanks. Take moves behind it, Peek does not.
  [[nodiscard]] bool Take(char c);
  [[nodiscard]] bool Peek(char c);
  // Nothing but blanks is left.
  [[nodiscard]] bool AtEnd();

  // Replaces `out`.
  [[nodiscard]] bool ReadString(std::string& out);
  [[nodiscard]] bool ReadBool(bool& out);
  // Any value, whatever is in it.
  [[nodiscard]] bool Skip() { return SkipValue(kDepthMax); }

 private:
  void SkipBlanks();
  bool SkipValue(int depth);
  bool SkipMembers(char close, int depth);
  bool SkipNumber();
  bool SkipDigits();
  bool TakeWord(std::string_view word);
  bool ReadEscape(std::string& out);
  bool ReadHex4(std::uint32_t& out);
  bool ReadCodePoint(std::string& out);

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace nearcached::proto
