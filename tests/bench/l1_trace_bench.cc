// Miss ratios of the L1 on a trace, against reference policies of the same number of objects.
//
//   l1_trace_bench TRACE OBJECTS [sizes]
//
// TRACE has one key per line. The real L1 runs with values of one size and a limit of bytes set so
// that it holds about OBJECTS of them; it is never given more: the references get the largest
// number of entries it ever held. With `sizes`, values differ (log-normal by key, 50 B to 64 KiB,
// median 400 B) and every policy gets the same bytes, to judge the size awareness.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <functional>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/hash.h"
#include "daemon/base/rng.h"
#include "daemon/cache/l1.h"

namespace nearcached {
namespace {

using Key = std::uint32_t;
using Sizes = std::function<std::uint64_t(Key)>;

class Fifo {
 public:
  Fifo(std::uint64_t capacity, Sizes sizes) : capacity_(capacity), sizes_(std::move(sizes)) {}
  bool Access(Key key) {
    if (in_.contains(key)) {
      return true;
    }
    used_ += sizes_(key);
    in_[key] = true;
    queue_.push_back(key);
    while (used_ > capacity_) {
      used_ -= sizes_(queue_.front());
      in_.erase(queue_.front());
      queue_.pop_front();
    }
    return false;
  }

 private:
  std::uint64_t capacity_;
  Sizes sizes_;
  std::uint64_t used_ = 0;
  std::deque<Key> queue_;
  std::unordered_map<Key, bool> in_;
};

class Lru {
 public:
  Lru(std::uint64_t capacity, Sizes sizes) : capacity_(capacity), sizes_(std::move(sizes)) {}
  bool Access(Key key) {
    if (const auto it = at_.find(key); it != at_.end()) {
      order_.splice(order_.begin(), order_, it->second);
      return true;
    }
    used_ += sizes_(key);
    order_.push_front(key);
    at_[key] = order_.begin();
    while (used_ > capacity_) {
      used_ -= sizes_(order_.back());
      at_.erase(order_.back());
      order_.pop_back();
    }
    return false;
  }

 private:
  std::uint64_t capacity_;
  Sizes sizes_;
  std::uint64_t used_ = 0;
  std::list<Key> order_;
  std::unordered_map<Key, std::list<Key>::iterator> at_;
};

// S3-FIFO with the settings of its paper: a tenth on probation, two hits to leave it.
class StaticS3Fifo {
 public:
  StaticS3Fifo(std::uint64_t capacity, Sizes sizes)
      : capacity_(capacity), sizes_(std::move(sizes)) {}
  bool Access(Key key) {
    if (const auto it = hits_.find(key); it != hits_.end()) {
      it->second = std::min(it->second + 1, 3);
      return true;
    }
    const std::uint64_t size = sizes_(key);
    while (small_bytes_ + main_bytes_ + size > capacity_ && !hits_.empty()) {
      Evict();
    }
    hits_[key] = 0;
    const bool remembered = ghost_at_.erase(key) != 0;
    (remembered ? main_ : small_).push_back(key);
    (remembered ? main_bytes_ : small_bytes_) += size;
    return false;
  }

 private:
  void Evict() {
    if (main_.empty() || (!small_.empty() && small_bytes_ >= capacity_ / 10)) {
      const Key key = small_.front();
      small_.pop_front();
      small_bytes_ -= sizes_(key);
      if (hits_[key] >= 2) {
        hits_[key] = 0;
        main_.push_back(key);
        main_bytes_ += sizes_(key);
      } else {
        hits_.erase(key);
        ghost_.emplace_back(key, ++ghost_serial_);
        ghost_at_[key] = ghost_serial_;
        Forget();
      }
      return;
    }
    const Key key = main_.front();
    main_.pop_front();
    if (hits_[key] > 0) {
      --hits_[key];
      main_.push_back(key);
    } else {
      main_bytes_ -= sizes_(key);
      hits_.erase(key);
    }
  }
  void Forget() {
    while (ghost_.size() > std::max<std::size_t>(1, hits_.size() * 9 / 10)) {
      const auto [key, serial] = ghost_.front();
      ghost_.pop_front();
      if (const auto it = ghost_at_.find(key); it != ghost_at_.end() && it->second == serial) {
        ghost_at_.erase(it);
      }
    }
  }

  std::uint64_t capacity_;
  Sizes sizes_;
  std::uint64_t small_bytes_ = 0;
  std::uint64_t main_bytes_ = 0;
  std::deque<Key> small_;
  std::deque<Key> main_;
  std::unordered_map<Key, int> hits_;
  std::deque<std::pair<Key, std::uint64_t>> ghost_;
  std::unordered_map<Key, std::uint64_t> ghost_at_;
  std::uint64_t ghost_serial_ = 0;
};

std::vector<Key> ReadTrace(const char* path) {
  std::vector<Key> trace;
  std::unordered_map<std::string, Key> ids;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    trace.push_back(ids.emplace(line, static_cast<Key>(ids.size())).first->second);
  }
  return trace;
}

template <typename Policy>
double MissRatio(const std::vector<Key>& trace, Policy policy) {
  std::uint64_t misses = 0;
  for (const Key key : trace) {
    misses += policy.Access(key) ? 0 : 1;
  }
  return static_cast<double>(misses) / static_cast<double>(trace.size());
}

constexpr MonoTime kNow{std::chrono::seconds(1)};
constexpr MonoTime kLater = kNow + std::chrono::hours(1);

struct RealRun {
  double miss_ratio = 0;
  std::uint64_t entries_max = 0;
  std::uint64_t payload_max = 0;  // key and value bytes held, at most
  std::int64_t small_share_permille = 0;
};

RealRun RunReal(const std::vector<Key>& trace, std::uint64_t bytes_max, const Sizes& sizes) {
  const KeyHasher hasher(42);
  const std::string source(std::size_t{1} << 20U, 'v');
  L1 l1({bytes_max, 0.1});
  RealRun run;
  std::uint64_t misses = 0;
  for (const Key id : trace) {
    const std::string name = "object:" + std::to_string(id);
    const CacheKey key{0, name, hasher(name)};
    if (!l1.Find(key, kNow)) {
      ++misses;
      const std::string_view value(source.data(), sizes(id));
      (void)l1.Insert(key, value, false, kLater, kNow, {1, 1});
      (void)l1.Tick(kNow);
    }
    run.entries_max = std::max(run.entries_max, l1.entries());
    run.payload_max = std::max(
        run.payload_max,
        static_cast<std::uint64_t>(l1.stats().small_bytes.value() + l1.stats().main_bytes.value()));
  }
  run.miss_ratio = static_cast<double>(misses) / static_cast<double>(trace.size());
  run.small_share_permille = l1.stats().small_share_permille.value();
  return run;
}

// The largest limit at which the L1 never holds more than `objects`.
std::uint64_t LimitFor(const std::vector<Key>& trace, std::uint64_t objects, std::uint64_t size) {
  const std::vector<Key> head(
      trace.begin(),
      trace.begin() + static_cast<std::ptrdiff_t>(std::min(trace.size(), std::size_t{400'000})));
  std::uint64_t low = objects * size;
  std::uint64_t high = 2 * objects * size + (std::uint64_t{4} << 20U);
  while (high - low > low / 400) {
    const std::uint64_t middle = (low + high) / 2;
    const RealRun run = RunReal(head, middle, [size](Key) { return size; });
    (run.entries_max <= objects ? low : high) = middle;
  }
  return low;
}

std::uint64_t LogNormalSize(Key key) {
  Rng rng(key * 2654435761U + 17U);
  const double u = std::max(rng.Unit(), 1e-12);
  const double normal = std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * rng.Unit());
  return static_cast<std::uint64_t>(std::clamp(400 * std::exp(1.5 * normal), 50.0, 65536.0));
}

// What the L1 charges for such a value, so that the references are charged the same.
std::uint64_t ChargedSize(Key key) {
  constexpr std::uint64_t kKeyBytes = 12;
  constexpr std::uint64_t kInlineMax = 256;  // with the small chunks of such small limits
  const std::uint64_t inlined = sizeof(Entry) + kKeyBytes + LogNormalSize(key);
  return inlined <= kInlineMax ? inlined
                               : sizeof(Entry) + kBlobPointerBytes +
                                     BlobHeap::ChargeFor(kKeyBytes + LogNormalSize(key));
}

void PrintReferences(const std::vector<Key>& trace, std::uint64_t capacity, const Sizes& sizes) {
  std::printf("  FIFO               %.4f\n", MissRatio(trace, Fifo(capacity, sizes)));
  std::printf("  LRU                %.4f\n", MissRatio(trace, Lru(capacity, sizes)));
  std::printf("  S3-FIFO, static    %.4f\n", MissRatio(trace, StaticS3Fifo(capacity, sizes)));
}

int Main(int argc, char** argv) {
  if (argc < 3) {
    (void)std::fprintf(stderr, "usage: l1_trace_bench TRACE OBJECTS [sizes]\n");
    return 2;
  }
  const std::vector<Key> trace = ReadTrace(argv[1]);
  const std::uint64_t objects = std::strtoul(argv[2], nullptr, 10);
  if (trace.empty() || objects == 0) {
    (void)std::fprintf(stderr, "l1_trace_bench: no trace or no objects\n");
    return 2;
  }
  if (argc > 3) {
    const std::uint64_t bytes = objects * 1200;
    const RealRun run = RunReal(trace, bytes, LogNormalSize);
    std::printf("%zu reads, sizes by key, limit %lu bytes, at most %lu entries held\n",
                trace.size(), bytes, run.entries_max);
    PrintReferences(trace, run.payload_max, ChargedSize);
    std::printf("  L1                 %.4f\n", run.miss_ratio);
    return 0;
  }
  // Large enough that the slabs' granularity and the fixed tables do not blur the number of
  // objects.
  const std::uint64_t size = objects < 1000 ? 16000 : 8000;
  const std::uint64_t limit = LimitFor(trace, objects, size);
  const RealRun run = RunReal(trace, limit, [size](Key) { return size; });
  std::printf("%zu reads, at most %lu entries held\n", trace.size(), run.entries_max);
  PrintReferences(trace, run.entries_max, [](Key) { return std::uint64_t{1}; });
  std::printf("  L1                 %.4f  (probation at last %ld per mille)\n", run.miss_ratio,
              run.small_share_permille);
  return 0;
}

}  // namespace
}  // namespace nearcached

int main(int argc, char** argv) {
  return nearcached::Main(argc, argv);
}
