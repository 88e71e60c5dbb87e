// Finds where replies end in the bytes an upstream sends, without building them.
//
// One per upstream connection, owned by its link. Loop thread. Memory is constant whatever the
// upstream sends: of nested aggregates it keeps the number of values still to come, not a stack,
// because the end of a reply is where that number reaches zero.
// Wire format: https://redis.io/docs/latest/develop/reference/protocol-spec/
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nearcached::proto {

class ReplyScanner {
 public:
  struct Result {
    enum class Status : std::uint8_t {
      kDone,      // the current reply ends with the consumed bytes
      kNeedMore,  // all of `input` is consumed and belongs to the current reply
      kError,     // not RESP; sticky until Reset(), the connection is of no further use
    } status;
    std::size_t consumed;  // bytes of `input` that belong to the current reply; 0 on kError
  };

  // Takes the next bytes of the stream, each byte exactly once: up to the end of the current
  // top-level reply, or all of them. After kDone the next call begins a new reply.
  Result Scan(std::string_view input);

  // About the current reply after kNeedMore, the finished one after kDone. An attribute belongs to
  // the reply it precedes, and these describe that reply.

  // The first byte of the reply, one of + - : $ * _ , # ! = ( % ~ > ; 0 before it is known.
  [[nodiscard]] char type() const { return type_; }
  // $-1, *-1 or _.
  [[nodiscard]] bool is_null() const { return is_null_; }
  // Payload bytes of a $, ! or = reply, as soon as its first line is whole; -1 otherwise.
  [[nodiscard]] std::int64_t bulk_length() const { return bulk_length_; }
  // Bytes of the reply so far, attribute included; all of it after kDone.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // The bytes consumed so far end between two replies.
  [[nodiscard]] bool between_replies() const { return step_ == Step::kBegin; }
  // After kError: what is wrong, for people. Valid until Reset().
  [[nodiscard]] std::string_view error() const { return error_; }

  // Ready for a new stream.
  void Reset();

 private:
  enum class Step : std::uint8_t {
    kBegin,    // before the first byte of a reply
    kType,     // before the first byte of a value within a reply
    kHeader,   // in a line that is a number or short; its bytes so far are in line_
    kText,     // in a line of any length, of which only the end matters
    kPayload,  // in a payload or the CR LF after it
    kFailed,
  };
  // No number needs more than a sign, 19 digits and CR LF.
  static constexpr std::size_t kHeaderBytesMax = 64;

  // Each takes bytes from [p, end), p < end, and returns the first one it did not take.
  const char* Advance(const char* p, const char* end);
  const char* ScanType(const char* p, const char* end);
  const char* ScanHeader(const char* p, const char* end);
  const char* ScanText(const char* p, const char* end);
  const char* ScanPayload(const char* p, const char* end);

  void TakeHeader(std::string_view line);
  void BeginPayload(std::uint64_t length);
  void AddValues(std::uint64_t count);
  void FinishValue();
  void Fail(std::string_view why);

  Step step_ = Step::kBegin;
  char value_type_ = 0;     // type of the value at hand
  bool outermost_ = false;  // it is the reply itself, or an attribute before it
  char last_ = 0;           // kText: the byte before the next one
  std::uint8_t line_size_ = 0;
  // What is known of the whole reply.
  char type_ = 0;
  bool is_null_ = false;
  std::int64_t bulk_length_ = -1;
  std::uint64_t bytes_ = 0;

  std::uint64_t values_left_ = 0;  // values to come until the reply ends, the one at hand included
  std::uint64_t skip_ = 0;         // kPayload: bytes to come, the terminator included
  std::array<char, kHeaderBytesMax> line_{};
  std::string error_;
};

}  // namespace nearcached::proto
