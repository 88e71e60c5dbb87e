// What the wire library costs on the paths every request takes, in nanoseconds per operation.
//
//   build/nearcached_proto_bench [repetitions]
//
// The best of many short rounds is shown: on a shared machine the other figures measure the others.
// Not a test: it asserts only that each operation did what it is timed for.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proto/encode.h"
#include "proto/invalidation.h"
#include "proto/reply_scanner.h"
#include "proto/request_decoder.h"

namespace {

using nearcached::proto::AppendBulk;
using nearcached::proto::AppendCommand;
using nearcached::proto::DecodeStatus;
using nearcached::proto::DecodeVerdict;
using nearcached::proto::ParseInvalidation;
using nearcached::proto::PushKind;
using nearcached::proto::ReplyScanner;
using nearcached::proto::RequestDecoder;
using nearcached::proto::RequestLimits;

constexpr int kRounds = 50;

void Require(bool held, const char* what) {
  if (!held) {
    static_cast<void>(std::fprintf(stderr, "proto_bench: %s\n", what));
    std::exit(1);
  }
}

// `run` does `operations` operations; a round is `repetitions` of it, a fraction of a millisecond.
template <typename Run>
void Measure(const char* name, std::size_t operations, int repetitions, Run run) {
  using Clock = std::chrono::steady_clock;
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    for (int i = 0; i < repetitions; ++i) {
      run();
    }
    const std::chrono::duration<double, std::nano> took = Clock::now() - start;
    best = std::min(best, took.count() / repetitions / static_cast<double>(operations));
  }
  std::printf("%-52s %9.1f ns\n", name, best);
}

std::string Repeat(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) {
    out.append(text);
  }
  return out;
}

std::string Command(const std::vector<std::string_view>& args) {
  std::string out;
  AppendCommand(out, args);
  return out;
}

// A pipeline of 16 requests decoded as a session does: all into one vector.
void MeasureDecode(const char* name, std::string_view request, int repetitions) {
  constexpr std::size_t kBatch = 16;
  const std::string input = Repeat(request, kBatch);
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  Measure(name, kBatch, repetitions, [&] {
    args.clear();
    std::string_view rest = input;
    while (!rest.empty()) {
      const DecodeVerdict verdict = decoder.Next(rest, args);
      Require(verdict.status == DecodeStatus::kRequest, "a request was not decoded");
      rest.remove_prefix(verdict.consumed);
    }
  });
}

// The same request in pieces of `piece` bytes, as from a slow network.
void MeasureCutDecode(const char* name, const std::string& request, std::size_t piece) {
  RequestDecoder decoder{RequestLimits{}};
  std::vector<std::string_view> args;
  Measure(name, 1, 1, [&] {
    args.clear();
    DecodeVerdict verdict;
    for (std::size_t size = piece; verdict.status == DecodeStatus::kNeedMore; size += piece) {
      verdict = decoder.Next(std::string_view(request).substr(0, size), args);
    }
    Require(verdict.status == DecodeStatus::kRequest, "a cut request was not decoded");
  });
}

void MeasureScan(const char* name, std::string_view reply, int repetitions) {
  constexpr std::size_t kBatch = 16;
  const std::string input = Repeat(reply, kBatch);
  ReplyScanner scanner;
  Measure(name, kBatch, repetitions, [&] {
    std::string_view rest = input;
    while (!rest.empty()) {
      const ReplyScanner::Result result = scanner.Scan(rest);
      Require(result.status == ReplyScanner::Result::Status::kDone, "a reply was not scanned");
      rest.remove_prefix(result.consumed);
    }
  });
}

std::string BulkArray(std::size_t count, std::size_t bytes) {
  std::string out;
  nearcached::proto::AppendArrayHeader(out, count);
  for (std::size_t i = 0; i < count; ++i) {
    AppendBulk(out, std::string(bytes, 'x'));
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const int repetitions = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1000;

  MeasureDecode("decode GET, 16-byte key, pipeline 16", Command({"GET", "key:000000012345"}),
                repetitions);
  MeasureDecode("decode SET, 16-byte key, 64-byte value",
                Command({"SET", "key:000000012345", std::string(64, 'v')}), repetitions);
  MeasureDecode("decode MGET of 100 keys",
                Command(std::vector<std::string_view>(101, "key:000000012345")),
                repetitions / 50 + 1);
  MeasureDecode("decode inline GET", "GET key:000000012345\r\n", repetitions);
  const std::string million =
      Command(std::vector<std::string_view>(std::size_t{1024} * 1024, "key:000000012345"));
  MeasureCutDecode("decode 1 Mi arguments, whole", million, million.size());
  MeasureCutDecode("decode 1 Mi arguments in reads of 1 KiB", million, 1024);

  MeasureScan("scan bulk of 64 bytes", "$64\r\n" + std::string(64, 'v') + "\r\n", repetitions);
  MeasureScan("scan bulk of 16 KiB", "$16384\r\n" + std::string(16384, 'v') + "\r\n", repetitions);
  MeasureScan("scan nil", "$-1\r\n", repetitions);
  MeasureScan("scan status", "+OK\r\n", repetitions);
  MeasureScan("scan integer", ":12345\r\n", repetitions);
  MeasureScan("scan array of 100 bulks of 64 bytes", BulkArray(100, 64), repetitions / 50 + 1);

  std::vector<std::string_view> keys;
  const std::string push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$16\r\nkey:000000012345\r\n";
  Measure("parse an invalidation of one key", 1, repetitions, [&] {
    keys.clear();
    Require(ParseInvalidation(push, keys) == PushKind::kInvalidateKeys, "a push was not parsed");
  });

  std::string out;
  const std::array<std::string_view, 2> get = {"GET", "key:000000012345"};
  Measure("encode GET, 16-byte key", 1, repetitions, [&] {
    out.clear();
    AppendCommand(out, get);
  });
  const std::string value(64, 'v');
  Measure("encode bulk of 64 bytes", 1, repetitions, [&] {
    out.clear();
    AppendBulk(out, value);
  });
  return 0;
}
