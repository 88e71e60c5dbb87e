// Result<T>: a value or an Error, for everything that can fail because of the world outside.
//
// Thread: plain values, any thread. Never throws. Kept dumb on purpose (std::expected is C++23).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace nearcached {

// Why something failed; the message is for people, the code is for programs.
enum class Code : std::uint8_t {
  kInvalid,      // the caller or the configuration asked for something that cannot be
  kLimit,        // a configured bound was reached
  kProtocol,     // the peer broke RESP
  kTimeout,      // an answer did not come in time
  kUnavailable,  // the peer cannot be reached
  kEof,          // the peer has sent all it will send; writing to it may still work
  kCancelled,    // we closed it ourselves
};

struct [[nodiscard]] Error {
  Code code = Code::kInvalid;
  std::string message;  // a sentence without a final full stop: "connect to 10.0.0.1:6379: refused"
};

// Context is added on the way up: WithContext("upstream a:1", e).message == "upstream a:1: …".
inline Error WithContext(std::string_view context, Error error) {
  error.message.insert(0, std::string(context) + ": ");
  return error;
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : v_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return v_.index() == 0; }
  // REQUIRES: ok().
  T& value() & { return std::get<0>(v_); }
  const T& value() const& { return std::get<0>(v_); }
  T&& value() && { return std::get<0>(std::move(v_)); }
  // REQUIRES: !ok().
  const Error& error() const { return std::get<1>(v_); }

 private:
  std::variant<T, Error> v_;
};

}  // namespace nearcached
