// A reply ends where no value is left to come. So the scanner counts: one value to begin with,
// one less for each that ends, and an aggregate of n adds n. Depth does not matter, so there is no
// stack to overflow and no memory to exhaust; a reply that claims 2^60 elements is just one that
// will not end soon, and a sum beyond 2^63 is an error.
//
// What is checked is what tells a broken stream from a sound one: type bytes, the form of lengths
// and numbers, CR LF after every payload. An upstream that goes out of step must be noticed at
// once, since each later reply would be given to the wrong client.
//
// Streamed strings and aggregates ($?, *?, and their parts ; and .) are in the RESP3 text, but no
// Redis sends them, and they would need a stack. They are an error with a name.

#include "proto/reply_scanner.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "proto/crlf.h"
#include "proto/number.h"
#include "proto/short_length.h"

namespace nearcached::proto {
namespace {

constexpr std::uint64_t kValuesMax = std::numeric_limits<std::int64_t>::max();

bool IsBulk(char type) {
  return type == '$' || type == '!' || type == '=';
}

// As the protocol has it, ":" may be followed by a plus sign, which ParseInt64 refuses.
bool IsInteger(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    return !text.starts_with('-') && ParseInt64(text).has_value();
  }
  return ParseInt64(text).has_value();
}

// For error messages only.
std::string Quoted(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "'";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  return out += "'";
}

}  // namespace

ReplyScanner::Result ReplyScanner::Scan(std::string_view input) {
  const char* p = input.data();
  const char* const end = p + input.size();
  if (step_ == Step::kFailed) {
    return {Result::Status::kError, 0};
  }
  if (step_ == Step::kBegin) {
    if (input.empty()) {
      return {Result::Status::kNeedMore, 0};
    }
    // Most replies are a bulk that is whole in the buffer: no step is entered for it.
    if (*p == '$') {
      std::uint32_t length = 0;
      const char* const payload = ReadShortLength(p + 1, end, length);
      if (payload != nullptr && static_cast<std::size_t>(end - payload) >= length + kCrLf.size() &&
          IsCrLf(payload + length)) {
        type_ = '$';
        is_null_ = false;
        bulk_length_ = length;
        bytes_ = static_cast<std::uint64_t>(payload - p) + length + kCrLf.size();
        return {Result::Status::kDone, static_cast<std::size_t>(bytes_)};
      }
    }
    type_ = 0;
    is_null_ = false;
    bulk_length_ = -1;
    bytes_ = 0;
    values_left_ = 1;
    step_ = Step::kType;
  }
  do {
    p = Advance(p, end);
  } while (p != end && step_ != Step::kBegin && step_ != Step::kFailed);
  if (step_ == Step::kFailed) {
    return {Result::Status::kError, 0};
  }
  const auto consumed = static_cast<std::size_t>(p - input.data());
  bytes_ += consumed;
  return {step_ == Step::kBegin ? Result::Status::kDone : Result::Status::kNeedMore, consumed};
}

const char* ReplyScanner::Advance(const char* p, const char* end) {
  if (p == end) {
    return p;
  }
  switch (step_) {
    case Step::kType:
      return ScanType(p, end);
    case Step::kHeader:
      return ScanHeader(p, end);
    case Step::kText:
      return ScanText(p, end);
    case Step::kPayload:
      return ScanPayload(p, end);
    case Step::kBegin:
    case Step::kFailed:
      break;
  }
  return p;
}

// The first byte of a value, and of its line what is plain.
const char* ReplyScanner::ScanType(const char* p, const char* end) {
  value_type_ = *p;
  // Before the reply itself come only attributes, whose contents add to the values left.
  outermost_ = type_ == 0 && values_left_ == 1;
  if (outermost_ && value_type_ != '|') {
    type_ = value_type_;
  }
  ++p;
  line_size_ = 0;
  step_ = Step::kHeader;
  std::uint32_t number = 0;
  switch (value_type_) {
    case '>':  // inside another reply, as in that of an EXEC that subscribes, it is an array
    case '*':
    case '%':
    case '~':
    case '|':
      if (const char* const after = ReadShortLength(p, end, number)) {
        AddValues(number);
        return after;
      }
      return p;
    case '$':
    case '!':
    case '=':
      if (const char* const after = ReadShortLength(p, end, number)) {
        BeginPayload(number);
        return ScanPayload(after, end);
      }
      return p;
    case ':':
      if (const char* const after = ReadShortLength(p, end, number)) {
        FinishValue();
        return after;
      }
      return p;
    case '_':
    case '#':
      return p;
    case '+':
    case '-':
    case ',':
    case '(':
      last_ = 0;
      step_ = Step::kText;
      return p;
    case ';':
    case '.':
      Fail("streamed strings and aggregates are not supported");
      return p;
    default:
      Fail("unexpected byte " + Quoted({p - 1, 1}) + " where a value should start");
      return p;
  }
}

const char* ReplyScanner::ScanHeader(const char* p, const char* end) {
  const std::size_t room = kHeaderBytesMax - line_size_;
  const std::size_t window = std::min(room, static_cast<std::size_t>(end - p));
  const auto* const newline = static_cast<const char*>(std::memchr(p, '\n', window));
  const char* const after = newline == nullptr ? p + window : newline + 1;
  const auto size = static_cast<std::size_t>(after - p);
  std::string_view line(p, size);
  if (newline == nullptr || line_size_ > 0) {
    std::memcpy(line_.data() + line_size_, p, size);
    line_size_ = static_cast<std::uint8_t>(line_size_ + size);
    line = std::string_view(line_.data(), line_size_);
  }
  if (newline == nullptr) {
    if (line.size() == kHeaderBytesMax) {
      Fail("a line that is too long for its type " + Quoted({&value_type_, 1}));
    }
    return after;
  }
  if (!line.ends_with("\r\n")) {
    Fail("a line feed without carriage return after " + Quoted({&value_type_, 1}));
    return after;
  }
  line.remove_suffix(kCrLf.size());
  TakeHeader(line);
  return after;
}

// As hiredis does, looks for the pair: a lone CR or LF is taken as text.
const char* ReplyScanner::ScanText(const char* p, const char* end) {
  while (p != end) {
    const auto* const newline =
        static_cast<const char*>(std::memchr(p, '\n', static_cast<std::size_t>(end - p)));
    if (newline == nullptr) {
      last_ = end[-1];
      return end;
    }
    const char before = newline == p ? last_ : newline[-1];
    last_ = '\n';
    p = newline + 1;
    if (before == '\r') {
      FinishValue();
      return p;
    }
  }
  return p;
}

const char* ReplyScanner::ScanPayload(const char* p, const char* end) {
  if (skip_ > kCrLf.size()) {
    const std::uint64_t take = std::min(skip_ - kCrLf.size(), static_cast<std::uint64_t>(end - p));
    p += take;
    skip_ -= take;
  }
  for (; skip_ <= kCrLf.size() && p != end; ++p) {
    if (*p != (skip_ == kCrLf.size() ? '\r' : '\n')) {
      Fail("no CR LF after the payload of " + Quoted({&value_type_, 1}));
      return p;
    }
    if (--skip_ == 0) {
      FinishValue();
      return p + 1;
    }
  }
  return p;
}

// A whole line after its type byte, for the types where the line is short.
void ReplyScanner::TakeHeader(std::string_view line) {
  if (value_type_ == ':' || value_type_ == '#' || value_type_ == '_') {
    const bool sound = value_type_ == ':'   ? IsInteger(line)
                       : value_type_ == '#' ? line == "t" || line == "f"
                                            : line.empty();
    if (!sound) {
      Fail("a malformed value " + Quoted({&value_type_, 1}) + " " + Quoted(line));
      return;
    }
    is_null_ = is_null_ || (outermost_ && value_type_ == '_');
    FinishValue();
    return;
  }
  if (line == "?") {
    Fail("streamed strings and aggregates are not supported");
    return;
  }
  const std::optional<std::int64_t> number = ParseInt64(line);
  if (number == -1 && (value_type_ == '$' || value_type_ == '*')) {
    is_null_ = is_null_ || outermost_;
    FinishValue();
  } else if (!number || *number < 0) {
    Fail("a malformed length " + Quoted({&value_type_, 1}) + " " + Quoted(line));
  } else if (IsBulk(value_type_)) {
    BeginPayload(static_cast<std::uint64_t>(*number));
  } else {
    AddValues(static_cast<std::uint64_t>(*number));
  }
}

// REQUIRES: length < 2^63.
void ReplyScanner::BeginPayload(std::uint64_t length) {
  if (outermost_) {
    bulk_length_ = static_cast<std::int64_t>(length);
  }
  skip_ = length + kCrLf.size();
  step_ = Step::kPayload;
}

// The header of an aggregate, `count` as it says. REQUIRES: count < 2^63.
void ReplyScanner::AddValues(std::uint64_t count) {
  const std::uint64_t values = value_type_ == '%' || value_type_ == '|' ? 2 * count : count;
  if (values > kValuesMax - values_left_) {
    Fail("more values than can be counted");
    return;
  }
  values_left_ += values;
  if (value_type_ == '|') {
    step_ = Step::kType;  // an attribute is not a value: the one it describes is still to come
  } else {
    FinishValue();
  }
}

void ReplyScanner::FinishValue() {
  --values_left_;
  step_ = values_left_ == 0 ? Step::kBegin : Step::kType;
}

void ReplyScanner::Fail(std::string_view why) {
  step_ = Step::kFailed;
  error_ = why;
}

void ReplyScanner::Reset() {
  *this = ReplyScanner();
}

}  // namespace nearcached::proto
