// The simulator's own RESP: a reply tree, its bytes in either protocol, and readers.
//
// Deliberately not proto/: a mistake shared by the product and its judge would be invisible.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearcached::sim {

using Args = std::vector<std::string>;

enum class Protocol : std::uint8_t { kResp2 = 2, kResp3 = 3 };

struct Reply {
  enum class Kind : std::uint8_t {
    kNone,  // no reply now (a blocked command)
    kSimple,
    kError,
    kInteger,
    kBulk,
    kNil,       // "$-1" or "_"
    kNilArray,  // "*-1" or "_"
    kArray,
    kMap,     // items are key, value, key, value; a flat array in RESP2
    kPush,    // an array in RESP2
    kSet,     // an array in RESP2
    kDouble,  // a bulk in RESP2
    kPairs,   // items are member, score, member, score; each pair an array of its own in RESP3
  };
  Kind kind = Kind::kNone;
  std::string text;  // of kSimple, kError (without the sign), kInteger, kBulk
  std::vector<Reply> items;

  static Reply None() { return {}; }
  static Reply Ok() { return Simple("OK"); }
  static Reply Simple(std::string text) { return {Kind::kSimple, std::move(text), {}}; }
  static Reply Error(std::string text) { return {Kind::kError, std::move(text), {}}; }
  static Reply Integer(std::int64_t n) { return {Kind::kInteger, std::to_string(n), {}}; }
  static Reply Bulk(std::string text) { return {Kind::kBulk, std::move(text), {}}; }
  static Reply Nil() { return {Kind::kNil, {}, {}}; }
  static Reply NilArray() { return {Kind::kNilArray, {}, {}}; }
  static Reply Array(std::vector<Reply> items) { return {Kind::kArray, {}, std::move(items)}; }
  static Reply Map(std::vector<Reply> items) { return {Kind::kMap, {}, std::move(items)}; }
  static Reply Set(std::vector<Reply> items) { return {Kind::kSet, {}, std::move(items)}; }
  static Reply Double(std::string text) { return {Kind::kDouble, std::move(text), {}}; }
  static Reply Pairs(std::vector<Reply> items) { return {Kind::kPairs, {}, std::move(items)}; }
  static Reply Push(std::vector<Reply> items) { return {Kind::kPush, {}, std::move(items)}; }

  [[nodiscard]] bool IsError() const { return kind == Kind::kError; }
};

// The bytes a server sends for `reply` to a client that speaks `protocol`.
[[nodiscard]] std::string Encode(const Reply& reply, Protocol protocol);
// A request as an array of bulk strings.
[[nodiscard]] std::string EncodeCommand(const Args& args);
// Upper case, ASCII only.
[[nodiscard]] std::string Upper(std::string_view text);

// One element found in a stream: where it is and its type byte.
struct RawReply {
  std::string bytes;  // the whole element, verbatim
  char type = 0;      // '+', '-', ':', '$', '*', '_', '%', '~', '>', '#', ',', ...
};

// Cuts a byte stream into replies. Accepts every RESP3 type; which ones are right is the caller's
// business. After broken() nothing more is found.
class ReplyReader {
 public:
  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next complete reply, or false.
  bool Next(RawReply& out);
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] std::string_view rest() const { return std::string_view(buffer_).substr(start_); }

 private:
  std::string buffer_;
  std::size_t start_ = 0;
  bool broken_ = false;
};

// Cuts a byte stream into requests: arrays of bulk strings, or inline lines.
class CommandReader {
 public:
  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  bool Next(Args& out);
  [[nodiscard]] bool broken() const { return broken_; }
  void Clear() { buffer_.clear(); }

 private:
  std::string buffer_;
  bool broken_ = false;
};

// The items of an aggregate's bytes, each verbatim. REQUIRES: bytes are one complete aggregate.
[[nodiscard]] std::vector<RawReply> SplitItems(const RawReply& aggregate);
// The payload of a bulk or simple string or number. REQUIRES: one complete element.
[[nodiscard]] std::string PayloadOf(const RawReply& element);

}  // namespace nearcached::sim
