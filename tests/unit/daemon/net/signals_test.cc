#include "daemon/net/signals.h"

#include <csignal>
#include <memory>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/daemon/net/net_fixture.h"

namespace nearcached {
namespace {

TEST_CASE("signals arrive on the loop and do not keep it running") {
  UvLoop loop;
  std::vector<int> seen;
  const Signals signals(loop, [&](int number) { seen.push_back(number); });
  for (const int number : {SIGHUP, SIGTERM, SIGINT}) {
    REQUIRE(std::raise(number) == 0);
    RunUntil(loop, [&] { return !seen.empty() && seen.back() == number; });
  }
  CHECK(seen == std::vector<int>{SIGHUP, SIGTERM, SIGINT});
  loop.Run();  // returns: nothing else is alive
}

TEST_CASE("the watcher may be destroyed inside its callback") {
  UvLoop loop;
  std::unique_ptr<Signals> signals;
  int calls = 0;
  signals = std::make_unique<Signals>(loop, [&](int /*number*/) {
    signals.reset();
    ++calls;
  });
  REQUIRE(std::raise(SIGHUP) == 0);
  RunUntil(loop, [&] { return calls == 1; });
  CHECK(signals == nullptr);
}

TEST_CASE("with SIGPIPE ignored, writing to a closed pipe is an error and not the end") {
  Signals::IgnoreSigpipe();
  std::array<int, 2> fds{};
  REQUIRE(pipe(fds.data()) == 0);
  close(fds[0]);
  CHECK(write(fds[1], "x", 1) == -1);
  CHECK(errno == EPIPE);
  close(fds[1]);
}

}  // namespace
}  // namespace nearcached
