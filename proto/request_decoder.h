// Finds the requests in the bytes a client sends.
//
// One per client, owned by its session. Loop thread. Does no I/O, keeps no copy of the input, and
// holds between calls only what it must to resume: a few offsets, and 8 bytes per argument of an
// unfinished request.
//
// What it accepts, what it refuses and the words of the refusal are those of Redis 7.0
// (networking.c, processMultibulkBuffer and processInlineBuffer), and do not depend on how the
// bytes were cut into reads. The differences: a NUL inside a length or an inline line does not hide
// the rest of the line (Redis trusts a C string there); more than RequestLimits::args_max arguments
// have the error that Redis before 7.0 gave for as many; a request beyond request_bytes_max has an
// error, where Redis closes without a word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/limits.h"

namespace nearcached::proto {

enum class DecodeStatus : std::uint8_t {
  kRequest,   // one whole request
  kNeedMore,  // the bytes so far are the start of a request
  kError,     // the bytes cannot be a request; no later byte of this client can be trusted
};

struct DecodeVerdict {
  DecodeStatus status = DecodeStatus::kNeedMore;

  // kRequest: arguments appended. 0 is an empty line, *0 or *-1: no request and no reply, skip
  // `consumed` bytes silently as Redis does.
  std::uint32_t argc = 0;

  // kRequest: the consumed bytes are an array of bulk strings with every terminator in place, so
  // they may be sent to an upstream as they are. False for inline requests, and for requests whose
  // terminators are other bytes than CR LF (Redis does not look at them, stricter servers do):
  // encode those anew with AppendCommand.
  bool canonical = false;

  // kRequest: bytes of this request, from the start of `input`. Otherwise 0.
  std::size_t consumed = 0;

  // kNeedMore: the request has at least this many bytes in all, always more than input.size(). A
  // hint for the size of the next read. It is the client's claim: grow towards it as bytes arrive,
  // do not allocate it.
  std::size_t need = 0;

  // kError: the reply to send before closing, without "-" and CR LF, as in "ERR Protocol error:
  // invalid bulk length". Valid until the decoder is reset or destroyed.
  std::string_view error = {};
};

class RequestDecoder {
 public:
  explicit RequestDecoder(const RequestLimits& limits);

  // Looks at one request. `input` starts at its first byte. After kNeedMore the next call passes
  // the same bytes, wherever they are now, plus more; what has been parsed is not looked at again,
  // so the work is linear in the bytes however they arrive. After kRequest the next call starts
  // `consumed` bytes later. kError repeats until Reset().
  //
  // On kRequest appends `argc` views to `args`, which is never cleared here; on any other verdict
  // `args` is as before.
  //
  // Lifetime of the views: they point into `input`. Only words of an inline request that were
  // quoted point into storage of this decoder. That storage lives until a request is started
  // with an empty `args`. So: decode a batch of any number of requests into one vector, use
  // them, clear the vector, go on. (A caller with one vector per request uses each request
  // before it decodes the next.) The storage is never larger than the inline requests it is for.
  DecodeVerdict Next(std::string_view input, std::vector<std::string_view>& args);

  // The start of a request has been seen and its end has not.
  [[nodiscard]] bool mid_request() const {
    return state_ != State::kIdle && state_ != State::kFailed;
  }

  // For a request too large to be gathered: its beginning is judged and handed on before its end
  // is there. Between two calls of Next that said kNeedMore:
  //
  // Appends the arguments that are whole to `args`, as views into `input`, the bytes the last call
  // was given. None where the request is inline.
  void AppendWhole(std::string_view input, std::vector<std::string_view>& args) const;
  // Forgets the first bytes of `input` and returns how many: the next call passes what follows
  // them, and whatever the caller makes of the request, the decoder only finds its end. Forgotten
  // arguments are not among those of the final kRequest, and `consumed` does not count the bytes.
  std::size_t Shed(std::string_view input);

  // Until the client has authenticated: at most 10 arguments of at most 16 KiB, as in Redis since
  // 6.2. Off to begin with; takes effect with the next length line.
  void set_unauthenticated(bool on) { unauthenticated_ = on; }

  // Forgets the unfinished request, the error and the storage of inline words.
  void Reset();

 private:
  enum class State : std::uint8_t {
    kIdle,     // before the first byte of a request
    kInline,   // in an inline line; searched_ bytes of it hold no terminator
    kCount,    // in the "*<count>" line; likewise
    kLength,   // in a "$<length>" line that starts at pos_; likewise
    kPayload,  // in a payload of bulk_bytes_ that starts at pos_
    kFailed,   // error_line_ says why
  };
  // Where an argument lies in the unfinished request. Half the size of a string_view, and still
  // right when the buffer moves; request_bytes_max is what makes 32 bits enough.
  struct Span {
    std::uint32_t offset;
    std::uint32_t length;
  };
  enum class LineSearch : std::uint8_t { kWhole, kPartial, kTooLong };

  DecodeVerdict Start(std::string_view input, std::vector<std::string_view>& args);
  DecodeVerdict NextInline(std::string_view input, std::vector<std::string_view>& args);
  DecodeVerdict NextCount(std::string_view input, std::vector<std::string_view>& args);
  DecodeVerdict NextArguments(std::string_view input, std::size_t base,
                              std::vector<std::string_view>& args);
  // How far a run of plain arguments reaches.
  struct Run {
    const char* p = nullptr;  // behind the last one taken
    std::uint32_t left = 0;   // arguments not taken
    bool canonical = true;
  };
  void TakeWholeArguments(std::string_view input, Run& run,
                          std::vector<std::string_view>& args) const;
  bool TakeLength(std::string_view input, LineSearch search);
  LineSearch FindLine(std::string_view input, char terminator, std::size_t bytes);
  DecodeVerdict Complete(std::string_view input, std::size_t base,
                         std::vector<std::string_view>& args);
  DecodeVerdict Suspend(std::string_view input, std::size_t base, std::size_t need,
                        std::vector<std::string_view>& args);
  DecodeVerdict Fail(std::string_view line);
  void ForgetSpans();

  // Constant after construction.
  const RequestLimits limits_;

  bool unauthenticated_ = false;
  State state_ = State::kIdle;
  // Valid while a request is unfinished.
  bool canonical_ = true;
  std::uint32_t args_left_ = 0;  // arguments not yet whole
  std::uint32_t bulk_bytes_ = 0;
  std::size_t pos_ = 0;       // offset in the request of the line or payload at hand
  std::size_t searched_ = 0;  // bytes from pos_ on that hold no terminator
  std::size_t shed_ = 0;      // bytes of the request that were forgotten
  std::vector<Span> spans_;   // whole arguments found by earlier calls

  std::vector<std::unique_ptr<char[]>> unescaped_;
  std::string error_line_;
};

}  // namespace nearcached::proto
