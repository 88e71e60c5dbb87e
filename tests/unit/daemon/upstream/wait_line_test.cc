#include "daemon/upstream/wait_line.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

WaitLine::Waiter Named(std::uint64_t session) {
  return {.session = session, .owner = nullptr, .since = MonoTime{} + Duration(session)};
}

TEST_CASE("who came first is served first") {
  WaitLine line;
  CHECK(line.empty());
  for (const std::uint64_t session : {7, 3, 9}) {
    line.Join(Named(session));
  }
  CHECK(line.size() == 3);
  CHECK(line.first().session == 7);
  CHECK(line.TakeFirst().session == 7);
  CHECK(line.TakeFirst().session == 3);
  CHECK(line.TakeFirst().session == 9);
  CHECK(line.empty());
}

TEST_CASE("who leaves is forgotten, wherever it stood; who returns goes to the end") {
  WaitLine line;
  for (const std::uint64_t session : {1, 2, 3}) {
    line.Join(Named(session));
  }
  CHECK(line.Leave(1));
  CHECK_FALSE(line.Leave(1));
  CHECK_FALSE(line.Leave(4));
  CHECK(line.first().session == 2);
  line.Join(Named(1));
  CHECK(line.TakeFirst().session == 2);
  CHECK_FALSE(line.Leave(2));  // being served, it has no place any more
  CHECK(line.TakeFirst().session == 3);
  const WaitLine::Waiter last = line.TakeFirst();
  CHECK(last.session == 1);
  CHECK(last.since == MonoTime{} + Duration(1));
}

TEST_CASE("under random comings and goings the line is the plain list that it promises to be") {
  Rng rng(11);
  WaitLine line;
  std::vector<std::uint64_t> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t session = rng.Below(40);
    const auto place = std::find(model.begin(), model.end(), session);
    switch (rng.Below(3)) {
      case 0:
        if (place == model.end()) {
          line.Join(Named(session));
          model.push_back(session);
        }
        break;
      case 1:
        REQUIRE(line.Leave(session) == (place != model.end()));
        if (place != model.end()) {
          model.erase(place);
        }
        break;
      default:
        if (!model.empty()) {
          REQUIRE(line.TakeFirst().session == model.front());
          model.erase(model.begin());
        }
        break;
    }
    REQUIRE(line.size() == model.size());
    REQUIRE(line.empty() == model.empty());
    if (!model.empty()) {
      REQUIRE(line.first().session == model.front());
    }
  }
}

}  // namespace
}  // namespace nearcached
