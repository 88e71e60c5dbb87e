#include "daemon/net/resolver.h"

#include <optional>

#include <doctest/doctest.h>

#include "tests/unit/daemon/net/net_fixture.h"

namespace nearcached {
namespace {

using Answer = std::optional<Result<std::vector<SocketAddress>>>;

TEST_CASE("a numeric address resolves to itself, with the port, from the loop") {
  UvLoop loop;
  UvResolver resolver(loop);
  Answer answer;
  const auto lookup =
      resolver.Resolve("127.0.0.1", 6379, [&](auto result) { answer = std::move(result); });
  CHECK_FALSE(answer.has_value());
  RunUntil(loop, [&] { return answer.has_value(); });
  REQUIRE(answer->ok());
  REQUIRE(answer->value().size() == 1);
  CHECK(answer->value()[0].ToString() == "127.0.0.1:6379");
}

TEST_CASE("localhost has at least one loopback address") {
  UvLoop loop;
  UvResolver resolver(loop);
  Answer answer;
  const auto lookup =
      resolver.Resolve("localhost", 1, [&](auto result) { answer = std::move(result); });
  RunUntil(loop, [&] { return answer.has_value(); });
  REQUIRE(answer->ok());
  const std::string first = answer->value()[0].ToString();
  CHECK((first == "127.0.0.1:1" || first == "[::1]:1"));
}

TEST_CASE("a name that cannot be resolved is an error that says which name") {
  UvLoop loop;
  UvResolver resolver(loop);
  for (const std::string& host : {std::string("not a name"), std::string(300, 'x')}) {
    Answer answer;
    const auto lookup = resolver.Resolve(host, 1, [&](auto result) { answer = std::move(result); });
    CHECK_FALSE(answer.has_value());
    RunUntil(loop, [&] { return answer.has_value(); });
    REQUIRE_FALSE(answer->ok());
    CHECK(answer->error().code == Code::kUnavailable);
    CHECK(answer->error().message.rfind("look up " + host + ": ", 0) == 0);
  }
}

TEST_CASE("a dropped lookup never calls back, and the loop can end while it is still asking") {
  UvLoop loop;
  UvResolver resolver(loop);
  int calls = 0;
  for (int i = 0; i < 20; ++i) {  // more than the thread pool: some queued, some running
    resolver.Resolve("localhost", 1, [&](auto) { ++calls; }).reset();
  }
  RunTurns(loop, 2);
  CHECK(calls == 0);
}

TEST_CASE("a lookup may be destroyed inside its own callback") {
  UvLoop loop;
  UvResolver resolver(loop);
  std::unique_ptr<Lookup> lookup;
  bool is_done = false;
  lookup = resolver.Resolve("127.0.0.1", 1, [&lookup, &is_done](auto result) {
    lookup.reset();
    is_done = result.ok();
  });
  RunUntil(loop, [&] { return is_done; });
}

}  // namespace
}  // namespace nearcached
