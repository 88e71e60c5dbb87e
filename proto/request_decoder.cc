// The hot case is a small request that is whole in the buffer. For it the decoder is a loop over
// arguments that touches each byte of framing once, keeps its place in registers and stores
// nothing (TakeWholeArguments). It knows only plain lines; at the first thing that is not plain it
// stops, and the state machine around it looks at that one line properly.
//
// The state machine exists for requests that are cut: it holds where it was as offsets from the
// start of the request, because the caller's buffer may move. Arguments found by earlier calls are
// kept as spans and become views only when the request is whole. To rebuild the views on every
// call would make a million arguments that arrive in small reads quadratic; to hold no spans and
// parse the lines again at the end would touch every argument of a large request twice, most of a
// gigabyte apart.
//
// A client's claims never make us allocate: a count of a million reserves nothing, and a length
// of 512 MiB only becomes DecodeVerdict::need. Memory follows the bytes that have really come.

#include "proto/request_decoder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "proto/crlf.h"
#include "proto/inline_request.h"
#include "proto/number.h"
#include "proto/short_length.h"

namespace nearcached::proto {
namespace {

// Redis, since 6.2: what a client that has not authenticated may claim.
constexpr std::size_t kUnauthenticatedArgsMax = 10;
constexpr std::size_t kUnauthenticatedBulkBytesMax = 16384;

// Spans of this many arguments are kept for the next cut request rather than given back.
constexpr std::size_t kSpansKept = 256;

constexpr std::string_view kTooBigCountLine = "ERR Protocol error: too big mbulk count string";
constexpr std::string_view kInvalidCount = "ERR Protocol error: invalid multibulk length";
constexpr std::string_view kUnauthenticatedCount =
    "ERR Protocol error: unauthenticated multibulk length";
constexpr std::string_view kTooBigLengthLine = "ERR Protocol error: too big bulk count string";
constexpr std::string_view kInvalidLength = "ERR Protocol error: invalid bulk length";
constexpr std::string_view kUnauthenticatedLength =
    "ERR Protocol error: unauthenticated bulk length";
constexpr std::string_view kTooBigInline = "ERR Protocol error: too big inline request";
constexpr std::string_view kUnbalancedQuotes = "ERR Protocol error: unbalanced quotes in request";
// Redis closes without a word where its query buffer reaches its limit, and has no limit on the
// words of a line other than its length.
constexpr std::string_view kTooBigRequest = "ERR Protocol error: too big request";
constexpr std::string_view kTooManyWords = "ERR Protocol error: too many arguments";

// Limits that cannot be represented are lowered, not refused: they come from a configuration that
// has already been checked for sense.
RequestLimits Representable(RequestLimits limits) {
  limits.args_max =
      std::min<std::size_t>(limits.args_max, std::numeric_limits<std::int32_t>::max());
  limits.request_bytes_max =
      std::min<std::size_t>(limits.request_bytes_max, std::numeric_limits<std::uint32_t>::max());
  limits.inline_bytes_max = std::min(limits.inline_bytes_max, limits.request_bytes_max);
  return limits;
}

// Redis formats with %c and then blanks CR and LF. A NUL would end its line; ours shows a blank.
std::string ExpectedDollar(char got) {
  std::string line = "ERR Protocol error: expected '$', got '?'";
  line[line.size() - 2] = got == '\r' || got == '\n' || got == '\0' ? ' ' : got;
  return line;
}

}  // namespace

RequestDecoder::RequestDecoder(const RequestLimits& limits) : limits_(Representable(limits)) {}

DecodeVerdict RequestDecoder::Next(std::string_view input, std::vector<std::string_view>& args) {
  switch (state_) {
    case State::kIdle:
      return Start(input, args);
    case State::kInline:
      return NextInline(input, args);
    case State::kCount:
      return NextCount(input, args);
    case State::kLength:
    case State::kPayload:
      return NextArguments(input, args.size(), args);
    case State::kFailed:
      break;
  }
  return {.status = DecodeStatus::kError, .error = error_line_};
}

DecodeVerdict RequestDecoder::Start(std::string_view input, std::vector<std::string_view>& args) {
  if (args.empty() && !unescaped_.empty()) {
    unescaped_.clear();
  }
  if (input.empty()) {
    return {.need = 1};
  }
  pos_ = 0;
  searched_ = 0;
  shed_ = 0;
  if (input[0] != '*') {
    state_ = State::kInline;
    return NextInline(input, args);
  }
  const std::size_t count_max =
      unauthenticated_ ? std::min(kUnauthenticatedArgsMax, limits_.args_max) : limits_.args_max;
  std::uint32_t count = 0;
  const char* const after = ReadShortLength(input.data() + 1, input.data() + input.size(), count);
  if (after == nullptr || count == 0 || count > count_max) {
    state_ = State::kCount;
    return NextCount(input, args);
  }
  const std::size_t base = args.size();
  Run run{.p = after, .left = count};
  TakeWholeArguments(input, run, args);
  const auto reached = static_cast<std::size_t>(run.p - input.data());
  if (run.left == 0) {
    return {.status = DecodeStatus::kRequest,
            .argc = count,
            .canonical = run.canonical,
            .consumed = reached};
  }
  canonical_ = run.canonical;
  args_left_ = run.left;
  pos_ = reached;
  state_ = State::kLength;
  return NextArguments(input, base, args);
}

DecodeVerdict RequestDecoder::NextInline(std::string_view input,
                                         std::vector<std::string_view>& args) {
  const LineSearch search = FindLine(input, '\n', 1);
  if (search == LineSearch::kTooLong) {
    return Fail(kTooBigInline);
  }
  if (search == LineSearch::kPartial) {
    return {.need = input.size() + 1};
  }
  const std::size_t base = args.size();
  std::unique_ptr<char[]> unescaped;
  // A CR before the LF needs no care: it is a blank, or in a quote that is not closed anyway.
  if (!SplitInline(input.substr(0, searched_), args, unescaped)) {
    return Fail(kUnbalancedQuotes);
  }
  if (args.size() - base > limits_.args_max) {
    args.resize(base);
    return Fail(kTooManyWords);
  }
  if (unescaped != nullptr) {
    unescaped_.push_back(std::move(unescaped));
  }
  state_ = State::kIdle;
  return {.status = DecodeStatus::kRequest,
          .argc = static_cast<std::uint32_t>(args.size() - base),
          .consumed = searched_ + 1};
}

DecodeVerdict RequestDecoder::NextCount(std::string_view input,
                                        std::vector<std::string_view>& args) {
  const LineSearch search = FindLine(input, '\r', kCrLf.size());
  if (search == LineSearch::kTooLong) {
    return Fail(kTooBigCountLine);
  }
  if (search == LineSearch::kPartial) {
    return {.need = input.size() + 1};
  }
  const std::optional<std::int64_t> count = ParseInt64(input.substr(1, searched_ - 1));
  if (!count || *count > static_cast<std::int64_t>(limits_.args_max)) {
    return Fail(kInvalidCount);
  }
  if (unauthenticated_ && *count > static_cast<std::int64_t>(kUnauthenticatedArgsMax)) {
    return Fail(kUnauthenticatedCount);
  }
  canonical_ = IsCrLf(input.data() + searched_);
  pos_ = searched_ + kCrLf.size();
  searched_ = 0;
  if (*count <= 0) {
    state_ = State::kIdle;
    return {.status = DecodeStatus::kRequest, .consumed = pos_};
  }
  args_left_ = static_cast<std::uint32_t>(*count);
  state_ = State::kLength;
  return NextArguments(input, args.size(), args);
}

// Goes on where the last call stopped. The arguments of this call are those from `base` on.
DecodeVerdict RequestDecoder::NextArguments(std::string_view input, std::size_t base,
                                            std::vector<std::string_view>& args) {
  for (;;) {
    if (state_ == State::kLength) {
      const std::size_t from = std::min(pos_, input.size());
      Run run{.p = input.data() + from, .left = args_left_, .canonical = canonical_};
      TakeWholeArguments(input, run, args);
      if (run.left < args_left_) {
        pos_ = static_cast<std::size_t>(run.p - input.data());
        searched_ = 0;
        args_left_ = run.left;
        canonical_ = run.canonical;
      }
      if (args_left_ == 0) {
        return Complete(input, base, args);
      }
      const LineSearch search = FindLine(input, '\r', kCrLf.size());
      if (search == LineSearch::kPartial) {
        return Suspend(input, base, input.size() + 1, args);
      }
      if (!TakeLength(input, search)) {
        args.resize(base);
        return {.status = DecodeStatus::kError, .error = error_line_};
      }
    }
    const std::size_t end = pos_ + bulk_bytes_ + kCrLf.size();
    if (input.size() < end) {
      return Suspend(input, base, end, args);
    }
    const char* const payload = input.data() + pos_;
    canonical_ = canonical_ && IsCrLf(payload + bulk_bytes_);
    args.emplace_back(payload, bulk_bytes_);
    --args_left_;
    pos_ = end;
    state_ = State::kLength;
  }
}

// Every argument from `run` on that is whole, plain and within all limits.
void RequestDecoder::TakeWholeArguments(std::string_view input, Run& run,
                                        std::vector<std::string_view>& args) const {
  // A local end of the input that is also the end of what a request may be saves a comparison per
  // argument; the argument that crosses it goes the long way and fails there.
  const char* const end = input.data() + std::min(input.size(), limits_.request_bytes_max - shed_);
  const std::size_t bulk_bytes_max =
      unauthenticated_ ? std::min(kUnauthenticatedBulkBytesMax, limits_.bulk_bytes_max)
                       : limits_.bulk_bytes_max;
  const char* p = run.p;
  std::uint32_t left = run.left;
  bool canonical = run.canonical;
  while (left > 0 && p < end && *p == '$') {
    std::uint32_t length = 0;
    const char* const payload = ReadShortLength(p + 1, end, length);
    if (payload == nullptr || length > bulk_bytes_max ||
        static_cast<std::size_t>(end - payload) < length + kCrLf.size()) {
      break;
    }
    canonical = canonical && IsCrLf(payload + length);
    args.emplace_back(payload, length);
    p = payload + length + kCrLf.size();
    --left;
  }
  run = {.p = p, .left = left, .canonical = canonical};
}

// Looks at the whole "$<length>" line at pos_ and moves on to its payload. False: failed.
bool RequestDecoder::TakeLength(std::string_view input, LineSearch search) {
  if (search == LineSearch::kTooLong) {
    Fail(kTooBigLengthLine);
    return false;
  }
  const std::string_view line = input.substr(pos_, searched_);
  if (!line.starts_with('$')) {
    Fail(ExpectedDollar(input[pos_]));
    return false;
  }
  const std::optional<std::int64_t> length = ParseInt64(line.substr(1));
  if (!length || *length < 0 || static_cast<std::uint64_t>(*length) > limits_.bulk_bytes_max) {
    Fail(kInvalidLength);
    return false;
  }
  const auto bytes = static_cast<std::uint64_t>(*length);
  if (unauthenticated_ && bytes > kUnauthenticatedBulkBytesMax) {
    Fail(kUnauthenticatedLength);
    return false;
  }
  // Both sides stay far from overflow: pos_ and the length are each below 2^63.
  const std::size_t payload = pos_ + searched_ + kCrLf.size();
  if (shed_ + payload + bytes + kCrLf.size() > limits_.request_bytes_max) {
    Fail(kTooBigRequest);
    return false;
  }
  canonical_ = canonical_ && IsCrLf(line.data() + line.size());
  bulk_bytes_ = static_cast<std::uint32_t>(bytes);
  pos_ = payload;
  searched_ = 0;
  state_ = State::kPayload;
  return true;
}

// Looks for `terminator` in the line at pos_, and for the `bytes` it takes in all to be there. On
// return searched_ is the size of the line (kWhole) or what need not be searched again.
RequestDecoder::LineSearch RequestDecoder::FindLine(std::string_view input, char terminator,
                                                    std::size_t bytes) {
  const std::string_view rest = input.substr(std::min(pos_, input.size()));
  const std::string_view window = rest.substr(0, limits_.inline_bytes_max + 1);
  if (window.size() > searched_) {
    const void* const found =
        std::memchr(window.data() + searched_, terminator, window.size() - searched_);
    if (found != nullptr) {
      searched_ = static_cast<std::size_t>(static_cast<const char*>(found) - window.data());
      return rest.size() >= searched_ + bytes ? LineSearch::kWhole : LineSearch::kPartial;
    }
    searched_ = window.size();
  }
  return searched_ > limits_.inline_bytes_max ? LineSearch::kTooLong : LineSearch::kPartial;
}

DecodeVerdict RequestDecoder::Complete(std::string_view input, std::size_t base,
                                       std::vector<std::string_view>& args) {
  if (!spans_.empty()) {
    const std::size_t late = args.size() - base;
    args.resize(args.size() + spans_.size());
    const auto first = args.begin() + static_cast<std::ptrdiff_t>(base);
    std::move_backward(first, first + static_cast<std::ptrdiff_t>(late), args.end());
    std::transform(spans_.begin(), spans_.end(), first,
                   [input](Span span) { return input.substr(span.offset, span.length); });
    ForgetSpans();
  }
  state_ = State::kIdle;
  return {.status = DecodeStatus::kRequest,
          .argc = static_cast<std::uint32_t>(args.size() - base),
          .canonical = canonical_,
          .consumed = pos_};
}

DecodeVerdict RequestDecoder::Suspend(std::string_view input, std::size_t base, std::size_t need,
                                      std::vector<std::string_view>& args) {
  for (std::size_t i = base; i < args.size(); ++i) {
    spans_.push_back({.offset = static_cast<std::uint32_t>(args[i].data() - input.data()),
                      .length = static_cast<std::uint32_t>(args[i].size())});
  }
  args.resize(base);
  return {.need = need};
}

void RequestDecoder::AppendWhole(std::string_view input,
                                 std::vector<std::string_view>& args) const {
  for (const Span span : spans_) {
    args.push_back(input.substr(span.offset, span.length));
  }
}

std::size_t RequestDecoder::Shed(std::string_view input) {
  if (state_ != State::kLength && state_ != State::kPayload) {
    return 0;
  }
  // The terminator of a payload is looked at when it is whole, so its first byte stays.
  const std::size_t payload = state_ == State::kPayload ? bulk_bytes_ : 0;
  const std::size_t shed = std::min(input.size(), pos_ + payload);
  if (state_ == State::kPayload) {
    bulk_bytes_ = static_cast<std::uint32_t>(pos_ + payload - std::max(shed, pos_));
  }
  pos_ -= std::min(shed, pos_);
  shed_ += shed;
  ForgetSpans();
  return shed;
}

DecodeVerdict RequestDecoder::Fail(std::string_view line) {
  state_ = State::kFailed;
  error_line_ = line;
  ForgetSpans();
  return {.status = DecodeStatus::kError, .error = error_line_};
}

void RequestDecoder::ForgetSpans() {
  spans_.clear();
  if (spans_.capacity() > kSpansKept) {
    spans_.shrink_to_fit();
  }
}

void RequestDecoder::Reset() {
  state_ = State::kIdle;
  ForgetSpans();
  unescaped_.clear();
  error_line_.clear();
}

}  // namespace nearcached::proto
