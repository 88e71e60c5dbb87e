#include "daemon/policy/reason.h"

#include <set>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("every reason has a name fit for a metric label and a sentence of its own") {
  std::set<std::string_view> names;
  std::set<std::string_view> sentences;
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    const auto reason = static_cast<Reason>(i);
    CAPTURE(ReasonName(reason));
    CHECK(ReasonName(reason).find_first_not_of("abcdefghijklmnopqrstuvwxyz_") ==
          std::string_view::npos);
    CHECK_FALSE(ReasonSentence(reason).ends_with('.'));
    names.insert(ReasonName(reason));
    sentences.insert(ReasonSentence(reason));
  }
  CHECK(names.size() == kReasonCount);
  CHECK(sentences.size() == kReasonCount);
}

TEST_CASE("names stay what dashboards were made for") {
  CHECK(ReasonName(Reason::kCommandNotCacheable) == "command_not_cacheable");
  CHECK(ReasonName(Reason::kKeyRuleOff) == "key_rule_off");
  CHECK(ReasonName(Reason::kLockLikeKey) == "lock_like_key");
  CHECK(ReasonName(Reason::kNoTrackingNoRule) == "no_tracking_no_rule");
  CHECK(ReasonName(Reason::kWritePending) == "write_pending");
}

}  // namespace
}  // namespace nearcached
