#include "daemon/upstream/replay_log.h"

#include <deque>
#include <string>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

TEST_CASE("a replay log holds what was kept and not dropped, in order, whatever happens") {
  Rng rng{7};
  ReplayLog log;
  std::deque<std::string> model;
  for (int step = 0; step < 20'000; ++step) {
    if (model.empty() || rng.Below(100) < 50) {
      const std::string request(1 + rng.Below(200), static_cast<char>('a' + rng.Below(26)));
      REQUIRE(log.Keep(request));
      model.push_back(request);
    } else {
      log.Drop(model.front().size());
      model.pop_front();
    }
    if (step % 500 == 0) {
      std::string all;
      for (const std::string& request : model) {
        all += request;
      }
      REQUIRE(log.view() == all);
      REQUIRE(log.size() == all.size());
    }
  }
}

TEST_CASE("a replay log refuses what would exceed its bound, and takes more when there is room") {
  ReplayLog log;
  const std::string half(ReplayLog::kBytesMax / 2, 'x');
  CHECK(log.Keep(half));
  CHECK(log.Keep(half));
  CHECK_FALSE(log.Keep("y"));
  CHECK(log.size() == ReplayLog::kBytesMax);
  log.Drop(half.size());
  CHECK(log.Keep("y"));
  CHECK(log.view().ends_with("xy"));
}

}  // namespace
}  // namespace nearcached
