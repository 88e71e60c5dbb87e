// What an entry of the L1 costs in memory, and what its operations cost in time.
//
//   l1_bench [entries=1000000] [value_bytes=64]
//
// Prints resident bytes per entry beyond key and encoded value, nanoseconds per operation with and
// without prefetched batches, the slowest single operations, and how resident memory compares with
// the configured limit after churn with varying sizes. Run it under another allocator with
// LD_PRELOAD. Times on a shared machine are upper bounds.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <string>
#include <string_view>
#include <time.h>
#include <unistd.h>
#include <vector>

#include "daemon/base/hash.h"
#include "daemon/base/rng.h"
#include "daemon/cache/l1.h"

namespace nearcached {
namespace {

constexpr MonoTime kNow{std::chrono::seconds(1)};
constexpr FillOwner kOwner{1, 1};

std::uint64_t ResidentBytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::FILE* f = std::fopen("/proc/self/statm", "r");
  if (f == nullptr || std::fscanf(f, "%lu %lu", &total, &resident) != 2) {
    std::abort();
  }
  (void)std::fclose(f);
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t NowNs() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// Processor time of this thread: rates do not suffer from what else the machine does. Too slow to
// read around single operations, whose durations are therefore wall-clock and upper bounds.
std::uint64_t CpuNs() {
  timespec t{};
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(t.tv_nsec);
}

// Durations of single calls: percentiles and the maximum.
class Latencies {
 public:
  explicit Latencies(std::size_t expected) : ns_(expected) { ns_.clear(); }  // touched, so resident
  void Add(std::uint64_t ns) { ns_.push_back(static_cast<std::uint32_t>(ns)); }
  void Print(const char* what) {
    std::sort(ns_.begin(), ns_.end());
    const auto at = [this](double q) {
      return ns_[static_cast<std::size_t>(q * static_cast<double>(ns_.size() - 1))];
    };
    std::printf("  %-34s p50 %6u ns  p99 %6u  p99.9 %6u  p99.99 %7u  max %8u\n", what, at(0.5),
                at(0.99), at(0.999), at(0.9999), ns_.back());
  }

 private:
  std::vector<std::uint32_t> ns_;
};

std::string KeyOf(std::uint64_t n) {
  std::array<char, 24> text{};
  const int size = std::snprintf(text.data(), text.size(), "user:%08lu", n);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string Encoded(std::size_t bytes) {
  return "$" + std::to_string(bytes) + "\r\n" + std::string(bytes, 'v') + "\r\n";
}

void PrintRate(const char* what, std::uint64_t ns, std::size_t n) {
  std::printf("  %-34s %6.1f ns\n", what, static_cast<double>(ns) / static_cast<double>(n));
}

// The keys of the benchmark and a full L1 over them.
struct Filled {
  explicit Filled(std::size_t entries) : keys(entries), hashes(entries) {
    for (std::size_t i = 0; i < entries; ++i) {
      keys[i] = KeyOf(i);
      hashes[i] = hasher(keys[i]);
    }
  }
  KeyHasher hasher{7};
  Rng rng{3};
  std::vector<std::string> keys;
  std::vector<std::uint64_t> hashes;
};

void Fill(Filled& f, L1& l1, std::size_t value_bytes, std::uint64_t resident_before) {
  const std::string value = Encoded(value_bytes);
  Latencies inserts(f.keys.size());
  resident_before += f.keys.size() * sizeof(std::uint32_t);
  std::uint64_t payload = 0;
  for (std::size_t i = 0; i < f.keys.size(); ++i) {
    const MonoTime deadline = kNow + std::chrono::seconds(60 + f.rng.Below(3600));
    const std::uint64_t t = NowNs();
    (void)l1.Insert({0, f.keys[i], f.hashes[i]}, value, false, deadline, kNow, kOwner);
    inserts.Add(NowNs() - t);
    payload += f.keys[i].size() + value.size();
  }
  const std::uint64_t resident = ResidentBytes() - resident_before;
  const auto each = static_cast<double>(l1.entries());
  std::printf("%zu entries, key %zu B, value %zu B encoded\n", f.keys.size(), f.keys[0].size(),
              value.size());
  std::printf("  resident %.1f B/entry, payload %.1f, overhead by RSS %.1f, by accounting %.1f\n",
              static_cast<double>(resident) / each, static_cast<double>(payload) / each,
              static_cast<double>(resident - payload) / each,
              static_cast<double>(l1.bytes_used() - payload) / each);
  inserts.Print("insert while growing");
}

void LookUp(Filled& f, L1& l1) {
  const std::size_t entries = f.keys.size();
  std::vector<std::uint32_t> order(entries);
  for (auto& o : order) {
    o = static_cast<std::uint32_t>(f.rng.Below(entries));
  }
  std::uint64_t sum = 0;
  std::uint64_t t = CpuNs();
  for (const std::uint32_t o : order) {
    sum += l1.Find({0, f.keys[o], f.hashes[o]}, kNow)->value.size();
  }
  PrintRate("hit, one by one, uniform", CpuNs() - t, entries);
  // The keys of a pipeline lie in its read buffer, so here they are laid out in reading order.
  std::string buffer;
  std::vector<std::string_view> read(entries);
  buffer.reserve(entries * 24);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = buffer.size();
    buffer += f.keys[order[i]];
    read[i] = {buffer.data() + at, buffer.size() - at};
  }
  constexpr std::size_t kBatch = 16;
  t = CpuNs();
  for (std::size_t i = 0; i + kBatch <= entries; i += kBatch) {
    std::array<std::uint64_t, kBatch> h{};
    for (std::size_t j = 0; j < kBatch; ++j) {
      h[j] = f.hasher(read[i + j]);
      l1.Prefetch(h[j]);
    }
    for (const std::uint64_t hash : h) {
      l1.PrefetchEntry(hash);
    }
    for (std::size_t j = 0; j < kBatch; ++j) {
      sum += l1.Find({0, read[i + j], h[j]}, kNow)->value.back();
    }
  }
  PrintRate("hit, batches of 16, uniform, hashed", CpuNs() - t, entries);
  t = CpuNs();
  for (std::size_t i = 0; i < entries; ++i) {
    sum += l1.Find({0, "absent", f.hashes[i] * 0x9e3779b97f4a7c15ULL}, kNow) ? 1 : 0;
  }
  PrintRate("miss, one by one", CpuNs() - t, entries);
  std::printf("  (checksum %lu)\n", sum);
}

void ExpireAll(L1& l1, std::size_t entries) {
  Latencies ticks(entries);
  MonoTime now = kNow;
  while (l1.entries() > 0) {
    now += std::chrono::milliseconds(1);
    const std::uint64_t start = NowNs();
    (void)l1.Tick(now);
    ticks.Add(NowNs() - start);
  }
  ticks.Print("tick while all expires");
}

void Churn(std::uint64_t bytes_max) {
  const KeyHasher hasher(7);
  Rng rng(11);
  const std::string source = Encoded(20000);
  Latencies inserts(3'000'000);
  (void)ResidentBytes();
  const std::uint64_t before = ResidentBytes();
  L1 l1({bytes_max, 0.1});
  std::uint64_t stored = 0;
  std::uint64_t peak = 0;
  // Three phases whose sizes shift, so that memory has to change its size class.
  constexpr std::array<std::size_t, 3> kTypical{100, 700, 250};
  for (const std::size_t typical : kTypical) {
    for (int i = 0; i < 1'000'000; ++i) {
      const std::string key = KeyOf(rng.Below(2'000'000));
      const std::size_t spread = typical * (rng.Below(50) == 0 ? 20 : 2);
      const std::string_view value(source.data(), 5 + rng.Below(spread));
      const std::uint64_t t = NowNs();
      const auto result = l1.Insert({0, key, hasher(key)}, value, false,
                                    kNow + std::chrono::hours(1), kNow, kOwner);
      inserts.Add(NowNs() - t);
      stored += result == L1::InsertResult::kStored || result == L1::InsertResult::kReplaced;
      if (i % 64 == 0) {
        (void)l1.Tick(kNow);
      }
    }
    peak = std::max(peak, ResidentBytes() - before);
    std::printf(
        "  sizes about %4zu: %8lu entries, accounted %.3f, free slots and tables %.3f, RSS "
        "%.3f of the limit\n",
        typical, l1.entries(),
        static_cast<double>(l1.bytes_used()) / static_cast<double>(bytes_max),
        static_cast<double>(l1.stats().overhead_bytes.value()) / static_cast<double>(bytes_max),
        static_cast<double>(ResidentBytes() - before) / static_cast<double>(bytes_max));
  }
  std::printf(
      "  stored %.3f of all, no room %lu, not admitted %lu, RSS at most %.3f of the limit\n",
      static_cast<double>(stored) / 3e6, l1.stats().rejected_no_room.value(),
      l1.stats().rejected_not_admitted.value(),
      static_cast<double>(peak) / static_cast<double>(bytes_max));
  inserts.Print("insert with eviction");
}

}  // namespace
}  // namespace nearcached

int main(int argc, char** argv) {
  const std::size_t entries = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
  const std::size_t value_bytes = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 64;
  if (entries == 0) {
    (void)std::fprintf(stderr, "usage: l1_bench [entries] [value_bytes]\n");
    return 2;
  }
  {
    nearcached::Filled filled(entries);
    const std::uint64_t before = nearcached::ResidentBytes();
    nearcached::L1 l1({std::uint64_t{8} << 30U, 0.1});
    nearcached::Fill(filled, l1, value_bytes, before);
    nearcached::LookUp(filled, l1);
    nearcached::ExpireAll(l1, entries);
  }
  (void)malloc_trim(0);
  std::printf("churn, 256 MiB\n");
  nearcached::Churn(std::uint64_t{256} << 20U);
  return 0;
}
