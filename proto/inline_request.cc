#include "proto/inline_request.h"

#include <cstddef>
#include <optional>

namespace nearcached::proto {
namespace {

// isspace() of the C locale, which decides what separates words...
bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// ... while only these end a word that has begun, so that "a\vb" is one word, as in Redis.
bool EndsWord(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Walks one line. `out` is where the next unescaped byte goes; it never overtakes the line,
// because every escape is longer than what it stands for.
class Words {
 public:
  Words(std::string_view line, std::unique_ptr<char[]>& block) : line_(line), block_(block) {}

  bool AtEnd() {
    while (i_ < line_.size() && IsSpace(line_[i_])) {
      ++i_;
    }
    return i_ == line_.size();
  }

  // REQUIRES: !AtEnd(). nullopt: a quote is not closed, or closed in the middle of a word.
  std::optional<std::string_view> Next() {
    const std::size_t first = i_;
    while (i_ < line_.size() && !EndsWord(line_[i_])) {
      if (line_[i_] == '"' || line_[i_] == '\'') {
        return NextQuoted(first);
      }
      ++i_;
    }
    return line_.substr(first, i_ - first);
  }

 private:
  // The word that starts at `first` has a quote at i_, and up to there no other.
  std::optional<std::string_view> NextQuoted(std::size_t first) {
    if (block_ == nullptr) {
      block_ = std::make_unique_for_overwrite<char[]>(line_.size());
    }
    const std::size_t word = out_;
    for (const char c : line_.substr(first, i_ - first)) {
      Put(c);
    }
    // An opening quote may come after plain bytes, a closing one ends the word: a"b c" is "ab c".
    while (i_ < line_.size() && !EndsWord(line_[i_])) {
      const char c = line_[i_++];
      if (c == '"' || c == '\'') {
        const bool closed = c == '"' ? TakeDoubleQuoted() : TakeSingleQuoted();
        if (!closed || (i_ < line_.size() && !IsSpace(line_[i_]))) {
          return std::nullopt;
        }
        break;
      }
      Put(c);
    }
    return std::string_view(block_.get() + word, out_ - word);
  }

  // Both: i_ is after the opening quote, and on success after the closing one.
  bool TakeDoubleQuoted() {
    while (i_ < line_.size()) {
      const char c = line_[i_++];
      if (c == '"') {
        return true;
      }
      if (c != '\\' || i_ == line_.size()) {
        Put(c);
      } else if (line_[i_] == 'x' && i_ + 2 < line_.size() && HexDigit(line_[i_ + 1]) >= 0 &&
                 HexDigit(line_[i_ + 2]) >= 0) {
        Put(static_cast<char>(HexDigit(line_[i_ + 1]) * 16 + HexDigit(line_[i_ + 2])));
        i_ += 3;
      } else {
        Put(Unescape(line_[i_++]));
      }
    }
    return false;
  }

  bool TakeSingleQuoted() {
    while (i_ < line_.size()) {
      const char c = line_[i_++];
      if (c == '\'') {
        return true;
      }
      if (c == '\\' && i_ < line_.size() && line_[i_] == '\'') {
        Put(line_[i_++]);
      } else {
        Put(c);
      }
    }
    return false;
  }

  void Put(char c) { block_[out_++] = c; }

  const std::string_view line_;
  std::unique_ptr<char[]>& block_;
  std::size_t i_ = 0;
  std::size_t out_ = 0;
};

}  // namespace

bool SplitInline(std::string_view line, std::vector<std::string_view>& args,
                 std::unique_ptr<char[]>& unescaped) {
  const std::size_t base = args.size();
  std::unique_ptr<char[]> block;
  Words words(line, block);
  while (!words.AtEnd()) {
    const std::optional<std::string_view> word = words.Next();
    if (!word) {
      args.resize(base);
      return false;
    }
    args.push_back(*word);
  }
  if (block != nullptr) {
    unescaped = std::move(block);
  }
  return true;
}

}  // namespace nearcached::proto
