#include "config/text_check.h"

#include <utility>

#include "config/units.h"

namespace nearcached::config {
namespace {

// Follows quotes, comments and brackets as far as that can be done without parsing. Where it is
// wrong (a quote at the start of a line of a block text), it errs towards refusing with a line.
class TextCheck {
 public:
  TextCheck(std::string_view text, const std::string& file, ProblemList& problems)
      : text_(text), file_(file), problems_(problems) {}

  bool Passes() {
    if (text_.size() > kConfigFileMax) {
      return Refuse(0, "is larger than " + FormatBytes(kConfigFileMax) +
                           ", which no configuration needs: is it the right file?");
    }
    for (; at_ < text_.size(); ++at_) {
      if (!Step()) {
        return false;
      }
    }
    // yaml-cpp 0.7 accepts a text that the file ends in the middle of, if a newline comes first.
    return quote_ == '\0' ||
           Refuse(quote_line_, "opens a quote that is never closed: add the closing " +
                                   std::string(quote_ == '"' ? "double" : "single") + " quote");
  }

 private:
  bool Step() {
    const char c = text_[at_];
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f) {
      return Refuse(line_, "holds a control character (byte " + std::to_string(byte) +
                               "), so it is no text: is it the right file?");
    }
    if (quote_ != '\0') {
      StepQuoted(c);
    } else if (in_comment_) {
      in_comment_ = c != '\n';
    } else {
      StepPlain(c);
    }
    line_ += c == '\n' ? 1 : 0;
    if (c != ' ' && c != '\t' && c != '\r') {
      last_ = c;
    }
    // Well above the depth the loader allows and reports with more precision.
    constexpr std::size_t kOpenMax = 100;
    return open_ <= kOpenMax ||
           Refuse(line_, "opens more than " + std::to_string(kOpenMax) +
                             " brackets without closing them: check the brackets");
  }

  void StepQuoted(char c) {
    const bool doubled = c == '\'' && quote_ == '\'' && Next() == '\'';
    const bool escape = c == '\\' && quote_ == '"' && (Next() == '"' || Next() == '\\');
    if (doubled || escape) {
      ++at_;  // what follows is part of the text
    } else if (c == quote_) {
      quote_ = '\0';
    }
  }

  void StepPlain(char c) {
    constexpr std::string_view kBeforeValue = "\n:,[{-?";
    const bool after_blank = at_ == 0 || text_[at_ - 1] == ' ' || text_[at_ - 1] == '\t' ||
                             text_[at_ - 1] == '\n' || text_[at_ - 1] == '\r';
    if (c == '#' && after_blank) {
      in_comment_ = true;
    } else if ((c == '"' || c == '\'') && kBeforeValue.find(last_) != std::string_view::npos) {
      quote_ = c;  // "don't" has its quote elsewhere
      quote_line_ = line_;
    } else if (c == '[' || c == '{') {
      ++open_;
    } else if ((c == ']' || c == '}') && open_ > 0) {
      --open_;
    }
  }

  char Next() const { return at_ + 1 < text_.size() ? text_[at_ + 1] : '\0'; }

  bool Refuse(int line, std::string message) {
    problems_.Add({file_, line, 0}, {}, std::move(message));
    return false;
  }

  std::string_view text_;
  const std::string& file_;
  ProblemList& problems_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::size_t open_ = 0;
  char last_ = '\n';   // the last byte that is no blank
  char quote_ = '\0';  // the quote we are in, if any
  int quote_line_ = 0;
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
