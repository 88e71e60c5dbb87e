// Whatever a client sends and however it is cut, the request decoder stays inside the bytes, says
// the same as on the whole, and what it calls canonical encodes to the very same bytes. Of requests
// that are shed as they come it finds the same ends.
//
// Input: two bytes that choose the pieces and the limits, then what the client sends.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proto/encode.h"
#include "proto/request_decoder.h"

namespace {

using nearcached::proto::AppendCommand;
using nearcached::proto::DecodeStatus;
using nearcached::proto::DecodeVerdict;
using nearcached::proto::RequestDecoder;
using nearcached::proto::RequestLimits;

void Require(bool held) {
  if (!held) {
    std::abort();
  }
}

struct Outcome {
  std::vector<std::string> words;  // of all requests; "\n" after each
  std::size_t consumed = 0;
  std::string error;

  bool operator==(const Outcome&) const = default;
};

void CheckViews(std::string_view input, const std::vector<std::string_view>& args,
                const DecodeVerdict& verdict) {
  if (!verdict.canonical) {
    return;
  }
  std::string encoded;
  AppendCommand(encoded, args);
  Require(verdict.argc == 0 || encoded == input.substr(0, verdict.consumed));
}

Outcome Decode(std::string_view bytes, std::size_t piece, const RequestLimits& limits,
               bool unauthenticated) {
  Outcome outcome;
  RequestDecoder decoder(limits);
  decoder.set_unauthenticated(unauthenticated);
  std::size_t arrived = 0;
  while (arrived < bytes.size()) {
    arrived += std::min(piece, bytes.size() - arrived);
    for (;;) {
      // A copy of exactly the bytes, so that the sanitizer sees a read beyond them.
      const std::vector<char> copy(bytes.begin() + static_cast<std::ptrdiff_t>(outcome.consumed),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(arrived));
      const std::string_view input(copy.data(), copy.size());
      std::vector<std::string_view> args;
      const DecodeVerdict verdict = decoder.Next(input, args);
      Require(args.size() == verdict.argc && verdict.argc <= limits.args_max);
      if (verdict.status == DecodeStatus::kError) {
        outcome.error = verdict.error;
        return outcome;
      }
      if (verdict.status == DecodeStatus::kNeedMore) {
        Require(verdict.need > input.size() && decoder.mid_request() == !input.empty());
        break;
      }
      Require(verdict.consumed > 0 && verdict.consumed <= input.size());
      CheckViews(input, args, verdict);
      outcome.words.insert(outcome.words.end(), args.begin(), args.end());
      outcome.words.emplace_back("\n");
      outcome.consumed += verdict.consumed;
    }
  }
  return outcome;
}

// Where each request ends, and what the bytes behind the last one are refused with. `shed`: all
// that can be forgotten of an unfinished request is, after each piece.
struct Ends {
  std::vector<std::size_t> at;
  std::string error;

  bool operator==(const Ends&) const = default;
};

Ends FindEnds(std::string_view bytes, std::size_t piece, const RequestLimits& limits, bool shed) {
  Ends ends;
  RequestDecoder decoder(limits);
  std::size_t done = 0;
  std::size_t arrived = 0;
  while (arrived < bytes.size()) {
    arrived += std::min(piece, bytes.size() - arrived);
    for (;;) {
      const std::vector<char> copy(bytes.begin() + static_cast<std::ptrdiff_t>(done),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(arrived));
      const std::string_view input(copy.data(), copy.size());
      std::vector<std::string_view> args;
      const DecodeVerdict verdict = decoder.Next(input, args);
      if (verdict.status == DecodeStatus::kError) {
        ends.error = verdict.error;
        return ends;
      }
      if (verdict.status == DecodeStatus::kNeedMore) {
        decoder.AppendWhole(input, args);
        for (const std::string_view arg : args) {
          Require(arg.data() >= input.data() &&
                  arg.data() + arg.size() <= input.data() + input.size());
        }
        done += shed ? decoder.Shed(input) : 0;
        Require(done <= arrived);
        break;
      }
      done += verdict.consumed;
      ends.at.push_back(done);
    }
  }
  return ends;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  RequestLimits limits;
  if ((data[1] & 1) != 0) {
    limits = {.args_max = 3, .bulk_bytes_max = 40, .request_bytes_max = 60, .inline_bytes_max = 24};
  }
  const bool unauthenticated = (data[1] & 2) != 0;
  const Outcome whole = Decode(bytes, bytes.size(), limits, unauthenticated);
  Require(Decode(bytes, 1, limits, unauthenticated) == whole);
  Require(Decode(bytes, 1 + data[0], limits, unauthenticated) == whole);
  const Ends ends = FindEnds(bytes, bytes.size(), limits, false);
  Require(FindEnds(bytes, 1, limits, true) == ends);
  Require(FindEnds(bytes, 1 + data[0], limits, true) == ends);
  return 0;
}
