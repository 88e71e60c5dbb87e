// Writes a RESP3 reply as the same server writes it to a client that speaks RESP2.
//
// The links that fill L1 speak RESP3, because only there are invalidations pushed; most clients
// speak RESP2. A server forms both from one reply, type by type: a map is a flat array, a set an
// array, a double, a big number and a verbatim string are bulks, a boolean is 1 or 0, a nil is a
// null bulk. Two things depend on the command and are told to the constructor (Form).
// (https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md; what Redis 7.0
// does for each command that is cached is compared with the server itself, tests/e2e.)
//
// One per reply. Constant memory: values are passed through as they come. Bytes that are RESP2
// already come out as they went in. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nearcached::proto {

class Resp2Writer {
 public:
  enum class Form : std::uint8_t {
    kPlain,       // type by type
    kNullArrays,  // a nil is a null array: GEOPOS
    kPairs,       // arrays within the array are spliced into it: ZRANGE … WITHSCORES
  };

  explicit Resp2Writer(Form form) : form_(form) {}

  // Appends to `out` what the next bytes of the reply are in RESP2. False when they cannot be said
  // there (attributes, streamed types) or are no RESP: sticky, and `out` is of no use.
  [[nodiscard]] bool Write(std::string_view bytes, std::string& out);

 private:
  enum class Step : std::uint8_t { kType, kHeader, kText, kPayload, kFailed };
  // The longest text of a number: a long double of GEOPOS has up to 5 KiB.
  static constexpr std::size_t kHeaderBytesMax = 8192;

  // Each takes a prefix of `bytes` and returns its size.
  std::size_t TakeHeader(std::string_view bytes, std::string& out);
  std::size_t TakeText(std::string_view bytes, std::string& out);
  std::size_t TakePayload(std::string_view bytes, std::string& out);
  void BeginValue(char type, std::string& out);
  // A whole line without its CR LF.
  void FinishHeader(std::string_view line, std::string& out);
  void FinishAggregate(std::string_view line, std::string& out);
  void BeginPayload(std::string_view line, std::string& out);

  Form form_;
  Step step_ = Step::kType;
  char type_ = 0;           // of the value at hand
  std::string line_;        // kHeader: its bytes so far, without the type
  std::uint64_t left_ = 0;  // kPayload: bytes to come, CR LF included
  std::uint64_t skip_ = 0;  // kPayload: of those, bytes at the beginning that are not passed on
  bool outermost_ = true;   // the value at hand is the reply itself
  std::int64_t held_ = -1;  // kPairs: the length of the outer array, until its first item is known
  bool text_has_cr_ = false;  // kText: the last byte was CR
};

}  // namespace nearcached::proto
