// Keys that are read from memory look idle to the server: what everybody reads all day is, by its
// LRU clock or LFU counter, what nobody has asked for, and the first to be evicted there when
// memory is short (maxmemory-policy). So a share of the hits is told to the server, by TOUCH
// (https://redis.io/docs/latest/commands/touch/), several keys in one request.
//
// A sample keeps proportions, which is what an LFU counter wants, and leaves the rarely read to
// their fate. Nothing waits for the reply. TOUCH changes no key, and is not sent on links whose
// reads are tracked. Owned by the worker; loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/counter.h"
#include "daemon/base/time.h"
#include "daemon/fetch/reply_sink.h"
#include "daemon/fetch/upstream.h"

namespace nearcached {

struct HitTouchStats {
  Counter sent;     // keys that the server was told
  Counter skipped;  // too many in too short a time
  Counter failed;   // keys of a request that was refused, lost, or answered with an error
};

class HitTouch final : private ReplySink {
 public:
  // Keys in one round; what is sampled beyond is skipped.
  static constexpr std::size_t kKeysMax = 512;
  static constexpr std::size_t kKeyBytesMax = 1024;

  // `upstream` outlives it.
  explicit HitTouch(Upstream& upstream) : upstream_(upstream) {}
  ~HitTouch() = default;
  HitTouch(const HitTouch&) = delete;
  HitTouch& operator=(const HitTouch&) = delete;

  // `rate`: the share of hits that is told; 0: none is, and what was noted is forgotten.
  void Configure(double rate, Duration timeout);

  // Whether this hit is one of those.
  [[nodiscard]] bool Samples() { return every_ != 0 && ++hits_seen_ % every_ == 0; }
  void Note(DbIndex db, std::string_view key);
  // Sends what was noted: every so often, ten times a second say.
  void Tick();

  [[nodiscard]] const HitTouchStats& stats() const { return stats_; }

 private:
  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                   bool last) override;
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override;
  [[nodiscard]] std::size_t Backlog(RequestToken /*token*/) const override { return 0; }

  Upstream& upstream_;
  Duration timeout_{};
  std::uint64_t every_ = 0;  // one hit of so many; 0: none
  std::uint64_t hits_seen_ = 0;
  std::uint64_t seat_ = 0;  // of the lane
  std::map<DbIndex, std::vector<std::string>> noted_;
  std::size_t noted_keys_ = 0;
  HitTouchStats stats_;
};

}  // namespace nearcached
