// Whatever an upstream sends and however it is cut, the reply scanner stays inside the bytes, takes
// each of them once, and describes the same replies.
//
// Input: a byte that chooses the pieces, then what the upstream sends.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proto/reply_scanner.h"

namespace {

using nearcached::proto::ReplyScanner;
using Status = ReplyScanner::Result::Status;

void Require(bool held) {
  if (!held) {
    std::abort();
  }
}

struct Seen {
  char type;
  bool is_null;
  std::int64_t bulk_length;
  std::uint64_t bytes;

  bool operator==(const Seen&) const = default;
};

struct Outcome {
  std::vector<Seen> replies;  // the last one may be unfinished
  std::string error;

  bool operator==(const Outcome&) const = default;
};

Seen About(const ReplyScanner& scanner) {
  return {scanner.type(), scanner.is_null(), scanner.bulk_length(), scanner.bytes()};
}

Outcome Scan(std::string_view stream, std::size_t piece) {
  Outcome outcome;
  ReplyScanner scanner;
  while (!stream.empty()) {
    const std::string_view arrived = stream.substr(0, piece);
    // A copy of exactly the bytes, so that the sanitizer sees a read beyond them.
    const std::vector<char> copy(arrived.begin(), arrived.end());
    stream.remove_prefix(arrived.size());
    std::string_view input(copy.data(), copy.size());
    while (!input.empty()) {
      const ReplyScanner::Result result = scanner.Scan(input);
      if (result.status == Status::kError) {
        Require(result.consumed == 0 && !scanner.error().empty());
        outcome.error = scanner.error();
        return outcome;
      }
      Require(result.consumed > 0 && result.consumed <= input.size());
      if (result.status == Status::kDone) {
        Require(scanner.between_replies() && scanner.type() != 0);
        outcome.replies.push_back(About(scanner));
      } else {
        Require(result.consumed == input.size());
      }
      input.remove_prefix(result.consumed);
    }
  }
  if (!scanner.between_replies()) {
    outcome.replies.push_back(About(scanner));
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) {
    return 0;
  }
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = Scan(stream, std::max<std::size_t>(stream.size(), 1));
  Require(Scan(stream, 1) == whole);
  Require(Scan(stream, 1 + data[0]) == whole);
  return 0;
}
