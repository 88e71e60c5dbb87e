// Hits that are compared with the upstream afterwards: how often is what L1 says not what the
// server says, and for how long?
//
// A sampled hit's value is remembered by its hash; at the end of the turn the key is read on a
// lane. A difference is nothing wrong yet: the key may have changed a moment ago, and the push is
// on its way. So it is looked at once more after the staleness bound (consistency.md G3). Only if
// L1 still serves what it served then, and the server still says something else, the contract is
// broken.
//
// Nothing waits for it, and clients get nothing of it. Owned by the worker; loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/base/counter.h"
#include "daemon/base/hash.h"
#include "daemon/base/scheduler.h"
#include "daemon/cache/l1.h"
#include "daemon/fetch/fill_channel.h"
#include "daemon/fetch/reply_sink.h"
#include "daemon/fetch/upstream.h"

namespace nearcached {

struct HitCheckStats {
  Counter agreed;
  Counter changed;  // the server said something else, and soon L1 did not say the old any more
  Counter broken;   // L1 said the old value for longer than the staleness bound
  Counter failed;   // the server could not be asked
  Counter skipped;  // as many under way as may be, or the value is too large to be worth it
};

class HitCheck final : private ReplySink {
 public:
  static constexpr std::size_t kUnderWayMax = 64;
  static constexpr std::size_t kValueMax = std::size_t{64} << 10U;

  struct Settings {
    double rate = 0;     // the share of hits that is compared; 0: none
    Duration bound{};    // how long a difference may last
    Duration timeout{};  // of a read
  };
  // All of it outlives the check.
  struct Deps {
    Scheduler& scheduler;
    const KeyHasher& hasher;
    Upstream& upstream;
    FillChannel& fills;
    const L1& l1;
  };
  explicit HitCheck(const Deps& deps) : deps_(deps) {}
  ~HitCheck() = default;
  HitCheck(const HitCheck&) = delete;
  HitCheck& operator=(const HitCheck&) = delete;

  void Configure(const Settings& settings);

  // Whether this hit is one of those to be compared.
  [[nodiscard]] bool Samples() { return every_ != 0 && ++hits_seen_ % every_ == 0; }
  // A hit of GET that is.
  void Note(const CacheKey& key, const L1Hit& hit);
  // Sends what has been noted: at the end of a turn.
  void Flush();
  // Looks at differences again, every so often.
  void Tick();

  [[nodiscard]] const HitCheckStats& stats() const { return stats_; }

 private:
  struct Check {
    std::string key;
    DbIndex db = 0;
    std::uint64_t value = 0;  // hash of what L1 said
    MonoTime deadline{};      // of the entry: one filled anew, with an old value too, has another
    bool again = false;       // it differed before, for the bound
    MonoTime due{};           // when it is to be looked at again
  };

  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                   bool last) override;
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override;
  [[nodiscard]] std::size_t Backlog(RequestToken /*token*/) const override { return 0; }

  [[nodiscard]] std::uint64_t HashOf(std::string_view value, bool null) const;
  [[nodiscard]] bool StillSaid(const Check& check) const;
  void Send(Check check);
  void OnDifference(Check check);
  void Report(const Check& check);

  const Deps deps_;
  Settings settings_;
  std::uint64_t every_ = 0;  // one hit of so many; 0: none
  std::uint64_t hits_seen_ = 0;
  std::uint64_t seat_ = 0;                            // of the lane
  std::uint64_t next_ = 0;                            // name of a check
  std::deque<Check> noted_;                           // to be sent
  std::unordered_map<std::uint64_t, Check> waiting_;  // for the server, by name
  std::deque<Check> differing_;                       // in order of due
  MonoTime log_at_{};
  HitCheckStats stats_;
};

}  // namespace nearcached
