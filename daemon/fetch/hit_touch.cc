#include "daemon/fetch/hit_touch.h"

#include <cmath>
#include <utility>

#include "proto/encode.h"

namespace nearcached {

void HitTouch::Configure(double rate, Duration timeout) {
  every_ = rate > 0 ? static_cast<std::uint64_t>(std::llround(1 / rate)) : 0;
  timeout_ = timeout;
  if (every_ == 0) {
    noted_.clear();
    noted_keys_ = 0;
  }
}

void HitTouch::Note(DbIndex db, std::string_view key) {
  if (noted_keys_ >= kKeysMax || key.size() > kKeyBytesMax) {
    stats_.skipped.Add();
    return;
  }
  noted_[db].emplace_back(key);
  ++noted_keys_;
}

void HitTouch::Tick() {
  if (noted_keys_ == 0) {
    return;
  }
  for (const auto& [db, keys] : std::exchange(noted_, {})) {
    std::vector<std::string_view> words = {"TOUCH"};
    words.insert(words.end(), keys.begin(), keys.end());
    std::string bytes;
    proto::AppendCommand(bytes, words);
    // The token says how many keys there are.
    const std::string_view refused =
        upstream_.Lane(db, proto::Protocol::kResp2, seat_, true)
            .Send({.bytes = bytes, .sink = this, .token = {keys.size(), 0}, .timeout = timeout_});
    (refused.empty() ? stats_.sent : stats_.failed).Add(keys.size());
  }
  noted_keys_ = 0;
}

void HitTouch::OnReplyPart(RequestToken token, std::string_view /*bytes*/, const ReplyInfo& info,
                           bool last) {
  if (last && info.type == '-') {
    stats_.failed.Add(token.owner);
  }
}

void HitTouch::OnReplyLost(RequestToken token, std::string_view /*error_line*/,
                           bool /*mid_reply*/) {
  stats_.failed.Add(token.owner);
}

}  // namespace nearcached
