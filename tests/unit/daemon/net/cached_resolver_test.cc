#include "daemon/net/cached_resolver.h"

#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/fake_scheduler.h"

namespace nearcached {
namespace {

// A name server whose answers the test decides on.
class FakeResolver final : public Resolver {
 public:
  std::unique_ptr<Lookup> Resolve(const std::string& host, int port,
                                  OnResolved on_resolved) override {
    asked.push_back(host + ":" + std::to_string(port));
    waiting.push_back(std::move(on_resolved));
    return std::make_unique<Lookup>();
  }

  // Answers the oldest question with an address of 127.0.0.`last`, or with a failure.
  void Answer(int last) {
    const OnResolved on_resolved = std::move(waiting.front());
    waiting.erase(waiting.begin());
    if (last == 0) {
      on_resolved(Error{Code::kUnavailable, "look up: no such name"});
      return;
    }
    SocketAddress address;
    auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(0x7f000000U + static_cast<unsigned>(last));
    address.length = sizeof(sockaddr_in);
    on_resolved(std::vector<SocketAddress>{address});
  }

  std::vector<std::string> asked;
  std::vector<OnResolved> waiting;
};

class CachedResolverFixture {
 public:
  // What a lookup of `host` says at once: an address, "error", or "" when the source is asked.
  std::string Ask(const std::string& host, int port = 6379) {
    heard.clear();
    lookup = names.Resolve(host, port, [this](auto result) {
      heard = result.ok() ? result.value().at(0).ToString() : "error";
    });
    CHECK(heard.empty());  // never before it returns
    scheduler.Advance(Duration::zero());
    return heard;
  }

  FakeScheduler scheduler;
  FakeResolver source;
  CachedResolver names{source, scheduler, std::chrono::seconds(1)};
  std::unique_ptr<Lookup> lookup;
  std::string heard;
};

TEST_CASE_FIXTURE(CachedResolverFixture, "an answer is good for its time and not longer") {
  CHECK(Ask("redis").empty());
  source.Answer(1);
  CHECK(heard == "127.0.0.1:0");
  CHECK(Ask("redis") == "127.0.0.1:0");
  scheduler.Advance(std::chrono::milliseconds(999));
  CHECK(Ask("redis") == "127.0.0.1:0");
  scheduler.Advance(std::chrono::milliseconds(1));
  CHECK(Ask("redis").empty());
  source.Answer(2);
  CHECK(Ask("redis") == "127.0.0.2:0");
  CHECK(source.asked.size() == 2);
  CHECK(names.stats().resolved.value() == 2);
  CHECK(names.stats().cached.value() == 3);
}

TEST_CASE_FIXTURE(CachedResolverFixture, "addresses that led nowhere are asked for again at once") {
  CHECK(Ask("redis").empty());
  source.Answer(1);
  names.Forget("redis", 6379);
  CHECK(Ask("redis").empty());
  source.Answer(2);
  CHECK(Ask("redis") == "127.0.0.2:0");
}

TEST_CASE_FIXTURE(CachedResolverFixture, "a failure is not remembered") {
  CHECK(Ask("redis").empty());
  source.Answer(0);
  CHECK(heard == "error");
  CHECK(Ask("redis").empty());
  source.Answer(1);
  CHECK(names.stats().failed.value() == 1);
}

TEST_CASE_FIXTURE(CachedResolverFixture, "other names and ports are other questions") {
  CHECK(Ask("redis").empty());
  source.Answer(1);
  CHECK(Ask("redis", 6380).empty());
  source.Answer(2);
  CHECK(Ask("other").empty());
  source.Answer(3);
  CHECK(Ask("redis") == "127.0.0.1:0");
}

TEST_CASE_FIXTURE(CachedResolverFixture, "more names than fit are asked for each time") {
  for (std::size_t i = 0; i <= CachedResolver::kAnswersMax; ++i) {
    CHECK(Ask("n" + std::to_string(i)).empty());
    source.Answer(1);
  }
  CHECK(Ask("n0") == "127.0.0.1:0");
  CHECK(Ask("n" + std::to_string(CachedResolver::kAnswersMax)).empty());
  source.Answer(1);
  scheduler.Advance(std::chrono::seconds(1));
  CHECK(Ask("late").empty());
  source.Answer(4);
  CHECK(Ask("late") == "127.0.0.4:0");  // the old ones made room
}

TEST_CASE_FIXTURE(CachedResolverFixture, "a dropped lookup of a known name never calls back") {
  CHECK(Ask("redis").empty());
  source.Answer(1);
  heard.clear();
  lookup = names.Resolve("redis", 6379, [this](auto) { heard = "called"; });
  lookup.reset();
  scheduler.Advance(Duration::zero());
  CHECK(heard.empty());
}

}  // namespace
}  // namespace nearcached
