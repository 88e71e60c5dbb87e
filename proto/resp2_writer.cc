#include "proto/resp2_writer.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "proto/crlf.h"
#include "proto/number.h"

namespace nearcached::proto {
namespace {

constexpr std::size_t kVerbatimFormat = 4;  // "txt:"

void AppendLine(std::string& out, char type, std::int64_t number) {
  out.push_back(type);
  out.append(std::to_string(number)).append(kCrLf);
}

}  // namespace

bool Resp2Writer::Write(std::string_view bytes, std::string& out) {
  while (!bytes.empty() && step_ != Step::kFailed) {
    switch (step_) {
      case Step::kType:
        BeginValue(bytes.front(), out);
        bytes.remove_prefix(1);
        break;
      case Step::kHeader:
        bytes.remove_prefix(TakeHeader(bytes, out));
        break;
      case Step::kText:
        bytes.remove_prefix(TakeText(bytes, out));
        break;
      case Step::kPayload:
        bytes.remove_prefix(TakePayload(bytes, out));
        break;
      case Step::kFailed:
        break;
    }
  }
  return step_ != Step::kFailed;
}

void Resp2Writer::BeginValue(char type, std::string& out) {
  type_ = type;
  if (held_ >= 0 && type != '*') {
    AppendLine(out, '*', held_);  // the items are no pairs
    held_ = -1;
  }
  line_.clear();
  step_ = Step::kHeader;
  if (type == '+' || type == '-' || type == ':') {
    out.push_back(type);
    text_has_cr_ = false;
    step_ = Step::kText;
  }
}

std::size_t Resp2Writer::TakeText(std::string_view bytes, std::string& out) {
  std::size_t taken = 0;
  for (const char c : bytes) {
    ++taken;
    if (c == '\n' && text_has_cr_) {
      step_ = Step::kType;
      outermost_ = false;
      break;
    }
    text_has_cr_ = c == '\r';
  }
  out.append(bytes.substr(0, taken));
  return taken;
}

std::size_t Resp2Writer::TakeHeader(std::string_view bytes, std::string& out) {
  const std::size_t newline = bytes.find('\n');
  const std::size_t taken = newline == std::string_view::npos ? bytes.size() : newline + 1;
  line_.append(bytes.substr(0, taken));
  if (line_.size() > kHeaderBytesMax) {
    step_ = Step::kFailed;
  } else if (newline != std::string_view::npos) {
    if (line_.ends_with(kCrLf)) {
      step_ = Step::kType;
      FinishHeader(std::string_view(line_).substr(0, line_.size() - kCrLf.size()), out);
      outermost_ = false;
    } else {
      step_ = Step::kFailed;
    }
  }
  return taken;
}

void Resp2Writer::FinishHeader(std::string_view line, std::string& out) {
  switch (type_) {
    case '*':
    case '%':
    case '~':
      FinishAggregate(line, out);
      return;
    case '$':
    case '!':
    case '=':
      BeginPayload(line, out);
      return;
    case '_':
      out.append(form_ == Form::kNullArrays ? "*-1\r\n" : "$-1\r\n");
      return;
    case '#':
      out.append(line == "t" ? ":1\r\n" : ":0\r\n");
      return;
    case ',':
    case '(':
      AppendLine(out, '$', static_cast<std::int64_t>(line.size()));
      out.append(line).append(kCrLf);
      return;
    default:
      step_ = Step::kFailed;
  }
}

void Resp2Writer::FinishAggregate(std::string_view line, std::string& out) {
  const std::optional<std::int64_t> count = ParseInt64(line);
  constexpr std::int64_t kCountMax = std::numeric_limits<std::int32_t>::max();
  if (!count || *count < -1 || *count > kCountMax) {
    step_ = Step::kFailed;
    return;
  }
  if (form_ == Form::kPairs && !outermost_) {
    if (held_ >= 0) {
      AppendLine(out, '*', held_ * *count);
      held_ = -1;
    }
    return;
  }
  if (form_ == Form::kPairs && type_ == '*' && *count > 0) {
    held_ = *count;
    return;
  }
  AppendLine(out, '*', type_ == '%' ? *count * 2 : *count);
}

void Resp2Writer::BeginPayload(std::string_view line, std::string& out) {
  const std::optional<std::int64_t> size = ParseInt64(line);
  if (type_ == '$' && size == -1) {
    out.append("$-1\r\n");
    return;
  }
  constexpr std::int64_t kSizeMax = std::numeric_limits<std::int64_t>::max() / 4;
  const std::size_t skip = type_ == '=' ? kVerbatimFormat : 0;
  if (!size || *size < static_cast<std::int64_t>(skip) || *size > kSizeMax) {
    step_ = Step::kFailed;
    return;
  }
  if (type_ == '!') {
    out.push_back('-');
  } else {
    AppendLine(out, '$', *size - static_cast<std::int64_t>(skip));
  }
  left_ = static_cast<std::uint64_t>(*size) + kCrLf.size();
  skip_ = skip;
  step_ = Step::kPayload;
}

std::size_t Resp2Writer::TakePayload(std::string_view bytes, std::string& out) {
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_));
  const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(taken, skip_));
  out.append(bytes.substr(skipped, taken - skipped));
  skip_ -= skipped;
  left_ -= taken;
  if (left_ == 0) {
    step_ = Step::kType;
  }
  return taken;
}

}  // namespace nearcached::proto
