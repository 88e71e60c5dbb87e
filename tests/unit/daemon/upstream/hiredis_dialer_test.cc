#include "daemon/upstream/hiredis_dialer.h"

#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <fcntl.h>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/daemon/net/net_fixture.h"

namespace nearcached {
namespace {

// Answers every question with the addresses it was given.
class ListResolver final : public Resolver {
 public:
  explicit ListResolver(UvLoop& loop) : loop_(loop) {}

  std::unique_ptr<Lookup> Resolve(const std::string& /*host*/, int port,
                                  OnResolved on_resolved) override {
    ++asked;
    std::vector<SocketAddress> found;
    for (const std::string& text : addresses) {
      SocketAddress& address = found.emplace_back();
      auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
      in->sin_family = AF_INET;
      in->sin_port = htons(static_cast<std::uint16_t>(port));
      inet_pton(AF_INET, text.c_str(), &in->sin_addr);
      address.length = sizeof(sockaddr_in);
    }
    class Pending final : public Lookup {
     public:
      std::unique_ptr<Timer> timer;
    };
    auto pending = std::make_unique<Pending>();
    pending->timer = loop_.After(Duration::zero(), [found, on_resolved] { on_resolved(found); });
    return pending;
  }
  void Forget(const std::string& /*host*/, int /*port*/) override { ++forgotten; }

  std::vector<std::string> addresses;
  int asked = 0;
  int forgotten = 0;

 private:
  UvLoop& loop_;
};

// A listening socket on 127.0.0.`last`; `port` 0 takes any.
Fd Listen(int last, int backlog, int& port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(0x7f000000U + static_cast<unsigned>(last));
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  const int on = 1;
  REQUIRE(setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
  REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
  REQUIRE(listen(fd.get(), backlog) == 0);
  socklen_t size = sizeof(at);
  REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  port = ntohs(at.sin_port);
  return fd;
}

class Outcome final : public ByteStreamHandler {
 public:
  void OnOpen() override { is_open = true; }
  void OnBytes(std::span<char> /*bytes*/) override {}
  void OnWritable() override {}
  void OnEnd(const Error& why) override { end = why; }
  [[nodiscard]] bool known() const { return is_open || end.has_value(); }
  bool is_open = false;
  std::optional<Error> end;
};

class DialerFixture {
 public:
  void Dial(int port) {
    stream = dialer.Dial(
        Endpoint{.host = "redis", .port = port, .unix_path = {}, .tls = TlsUse::kNone}, outcome);
    CHECK_FALSE(outcome.known());
    RunUntil(loop, [&] { return outcome.known(); });
  }

  UvLoop loop;
  ListResolver names{loop};
  HiredisDialer dialer{loop, names, std::chrono::milliseconds(50)};
  Outcome outcome;
  std::unique_ptr<ByteStream> stream;
};

TEST_CASE_FIXTURE(DialerFixture, "the addresses of a name are tried in order until one answers") {
  int port = 0;
  const Fd listening = Listen(3, 8, port);
  names.addresses = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
  Dial(port);
  CHECK(outcome.is_open);
  CHECK(names.forgotten == 0);
}

TEST_CASE_FIXTURE(DialerFixture,
                  "when none answers the last reason is told, and they are forgotten") {
  int port = 0;
  { const Fd closed = Listen(1, 8, port); }
  names.addresses = {"127.0.0.1", "127.0.0.2"};
  Dial(port);
  REQUIRE(outcome.end);
  CHECK(outcome.end->message.find("127.0.0.2") != std::string::npos);
  CHECK(names.forgotten == 1);
}

TEST_CASE_FIXTURE(DialerFixture, "an address that is silent is left for the next one in time") {
  // A full backlog on loopback drops what comes on top, as a machine that is gone does.
  int port = 0;
  const Fd silent = Listen(1, 0, port);
  std::vector<Fd> filling;
  for (int i = 0; i < 3; ++i) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<std::uint16_t>(port));
    filling.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)connect(filling.back().get(), reinterpret_cast<sockaddr*>(&at), sizeof(at));
  }
  const Fd listening = Listen(2, 8, port);
  names.addresses = {"127.0.0.1", "127.0.0.2"};
  Dial(port);
  CHECK(outcome.is_open);
  REQUIRE(fcntl(listening.get(), F_SETFL, O_NONBLOCK) == 0);
  const Fd accepted(accept(listening.get(), nullptr, nullptr));  // the second it was
}

TEST_CASE_FIXTURE(DialerFixture, "a dial may be dropped at any moment") {
  int port = 0;
  const Fd listening = Listen(1, 8, port);
  names.addresses = {"127.0.0.1"};
  for (int turns = 0; turns < 4; ++turns) {
    stream = dialer.Dial(
        Endpoint{.host = "redis", .port = port, .unix_path = {}, .tls = TlsUse::kNone}, outcome);
    RunTurns(loop, turns);
    stream.reset();
  }
  RunTurns(loop, 2);
  CHECK(names.asked == 4);
}

}  // namespace
}  // namespace nearcached
