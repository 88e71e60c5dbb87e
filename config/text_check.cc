#include "config/text_check.h"

#include <utility>

#include "config/units.h"

namespace nearcached::config {
namespace {

class TextCheck {
 public:
  TextCheck(std::string_view text, const std::string& file, ProblemList& problems)
      : text_(text), file_(file), problems_(problems) {}

  bool Passes() {
    if (text_.size() > kConfigFileMax) {
      return Refuse(0, "is larger than " + FormatBytes(kConfigFileMax) +
                           ", which no configuration needs: is it the right file?");
    }
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (!Step(i)) {
        return false;
      }
    }
    return true;
  }

 private:
  bool Step(std::size_t i) {
    const char c = text_[i];
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f) {
      return Refuse(line_, "holds a control character (byte " + std::to_string(byte) +
                               "), so it is no text: is it the right file?");
    }
    if (c == '\n') {
      ++line_;
    }
    // A quote opens a text only where a value may begin: "don't" does not.
    const bool may_begin =
        i == 0 || std::string_view(" \t\r\n[{,:").find(text_[i - 1]) != std::string_view::npos;
    if (quote_ != '\0') {
      quote_ = c == quote_ ? '\0' : quote_;
    } else if (in_comment_) {
      in_comment_ = c != '\n';
    } else if (c == '#' && may_begin) {
      in_comment_ = true;
    } else if ((c == '"' || c == '\'') && may_begin) {
      quote_ = c;
    } else if (c == '[' || c == '{') {
      ++open_;
    } else if ((c == ']' || c == '}') && open_ > 0) {
      --open_;
    }
    // Well above the depth the loader allows, and reports with more precision.
    constexpr std::size_t kOpenMax = 100;
    return open_ <= kOpenMax ||
           Refuse(line_, "opens more than " + std::to_string(kOpenMax) +
                             " brackets without closing them: check the brackets");
  }

  bool Refuse(int line, std::string message) {
    problems_.Add({file_, line, 0}, {}, std::move(message));
    return false;
  }

  std::string_view text_;
  const std::string& file_;
  ProblemList& problems_;
  int line_ = 1;
  std::size_t open_ = 0;
  char quote_ = '\0';
  bool in_comment_ = false;
};

}  // namespace

bool CheckText(std::string_view text, const std::string& file, ProblemList& problems) {
  return TextCheck(text, file, problems).Passes();
}

bool IsIndentedByTab(std::string_view text, int line) {
  std::size_t start = 0;
  for (int i = 1; i < line && start != std::string_view::npos; ++i) {
    start = text.find('\n', start);
    start = start == std::string_view::npos ? start : start + 1;
  }
  if (start == std::string_view::npos) {
    return false;
  }
  const std::size_t first = text.find_first_not_of(' ', start);
  return first != std::string_view::npos && text[first] == '\t';
}

}  // namespace nearcached::config
