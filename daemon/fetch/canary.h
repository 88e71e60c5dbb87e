// The canary: one key that is read as fills are and written past them, again and again, to measure
// how long a change made elsewhere takes to drop an entry (consistency.md G3).
//
// Each round reads the key on its fill link, which makes the server track it, writes it on a lane,
// as a stranger would, and waits for the invalidation. The time from giving the write to the lane
// to hearing of it is what is measured: the way to the server and its queue are in it, so it is
// never too short.
//
// Owned by the worker; loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/counter.h"
#include "daemon/base/hash.h"
#include "daemon/base/scheduler.h"
#include "daemon/fetch/coherence.h"
#include "daemon/fetch/fill_channel.h"
#include "daemon/fetch/reply_sink.h"
#include "daemon/fetch/upstream.h"

namespace nearcached {

struct CanaryStats {
  Counter heard;      // rounds whose invalidation came
  Counter overdue;    // rounds whose invalidation did not come within the bound
  Counter failed;     // rounds that could not read or write the key
  Counter not_armed;  // rounds not begun, because nothing is tracked
  Histogram delay;
  Gauge last_delay_ns;  // of the latest round that was heard or overdue
};

class Canary final : private ReplySink {
 public:
  struct Settings {
    std::string key;  // empty: no canary
    DbIndex db = 0;
    Duration interval{};  // from one round's end to the next
    Duration bound{};     // after which an invalidation is overdue
    Duration timeout{};   // of the read and of the write
  };

  // All of it outlives the canary.
  struct Deps {
    Scheduler& scheduler;
    const KeyHasher& hasher;
    Upstream& upstream;
    FillChannel& fills;
    Coherence& coherence;
  };
  explicit Canary(const Deps& deps) : deps_(deps) {}
  ~Canary() = default;
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;

  // A round under way is given up.
  void Configure(Settings settings);
  // Goes on, every so often: ten times a second say.
  void Tick();

  [[nodiscard]] const CanaryStats& stats() const { return stats_; }

 private:
  enum class State : std::uint8_t { kIdle, kReading, kRead, kWritten };

  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                   bool last) override;
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override;
  [[nodiscard]] std::size_t Backlog(RequestToken /*token*/) const override { return 0; }

  void Read();
  void Write();
  void OnInvalidated();
  void Fail(std::string_view why);
  void EndRound(Duration pause);

  const Deps deps_;
  Settings settings_;
  State state_ = State::kIdle;
  std::uint64_t round_ = 0;  // replies of rounds before are of no interest
  std::uint64_t seat_ = 0;   // of the lane
  int replies_due_ = 0;
  bool failing_ = false;  // and that was logged
  MonoTime due_{};        // the next round
  MonoTime since_{};      // the read was sent, or the write
  CanaryStats stats_;
};

}  // namespace nearcached
