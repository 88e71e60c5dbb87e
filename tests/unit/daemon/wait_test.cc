// The waiting itself, against small servers of the test's own. (That the daemon answers it:
// tests/e2e/cases/cli.py.)
#include "daemon/wait.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/net/listen_socket.h"

namespace nearcached {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Accepts one connection after the other and gives each to `serve`, until it is destroyed.
class Server {
 public:
  explicit Server(std::function<void(int)> serve, const std::string& host = "127.0.0.1")
      : socket_(Open(host)), serve_(std::move(serve)), thread_([this] { Run(); }) {}
  ~Server() {
    (void)::shutdown(socket_.fd(), SHUT_RDWR);  // ends accept
    thread_.join();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  [[nodiscard]] config::ListenAddress At(std::string host = "127.0.0.1") const {
    config::ListenAddress address;
    address.host = std::move(host);
    address.port = static_cast<std::uint16_t>(socket_.address().port());
    return address;
  }

 private:
  static ListenSocket Open(const std::string& host) {
    auto opened = ListenSocket::Open(Endpoint{host, 0, ""}, {});
    REQUIRE(opened.ok());
    ListenSocket socket = std::move(opened).value();
    const int flags = 0;
    REQUIRE(::fcntl(socket.fd(), F_SETFL, flags) == 0);  // this server may block
    return socket;
  }
  void Run() {
    for (;;) {
      const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) {
        return;
      }
      serve_(fd);
      (void)::close(fd);
    }
  }

  ListenSocket socket_;
  std::function<void(int)> serve_;
  std::thread thread_;
};

// Reads the PING, then says `reply`.
std::function<void(int)> Says(std::string_view reply) {
  return [reply](int fd) {
    std::array<char, 64> ping{};
    if (::recv(fd, ping.data(), ping.size(), 0) > 0) {
      (void)::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
    }
  };
}

TEST_CASE("who answers PONG, or asks for a password, runs") {
  for (const std::string_view reply : {"+PONG\r\n", "-NOAUTH Authentication required.\r\n"}) {
    const Server server(Says(reply));
    CHECK(WaitForSidecar(server.At(), seconds(20)).empty());
  }
}

TEST_CASE("a sidecar on a wildcard address is asked over loopback") {
  const Server server(Says("+PONG\r\n"), "0.0.0.0");
  CHECK(WaitForSidecar(server.At("0.0.0.0"), seconds(20)).empty());
}

TEST_CASE("it is asked again until it answers") {
  int asked = 0;
  const Server server([&](int fd) {
    ++asked;
    Says(asked < 3 ? "-ERR not yet\r\n" : "+PONG\r\n")(fd);
  });
  CHECK(WaitForSidecar(server.At(), seconds(20)).empty());
  CHECK(asked == 3);
}

TEST_CASE("what it heard last is why it gave up, with the address") {
  const auto why = [](std::function<void(int)> serve) {
    const Server server(std::move(serve));
    std::string text;
    for (int i = 0; i < 50; ++i) {
      text = WaitForSidecar(server.At(), milliseconds(1));
      CHECK(text.starts_with(server.At().ToString() + ": "));
      if (text.find("does not answer") == std::string::npos) {
        break;  // else the server's thread had no turn yet
      }
    }
    return text.substr(text.find(": ") + 2);
  };
  CHECK(why(Says("-ERR max number of clients reached\r\n")) ==
        "it answered PING with something else");
  CHECK(why([](int fd) {
          std::array<char, 64> ping{};
          (void)::recv(fd, ping.data(), ping.size(), 0);
        }) == "it closed the connection");
}

TEST_CASE("where nobody listens the system's words are the reason") {
  config::ListenAddress nobody;
  {
    const Server gone(Says(""));
    nobody = gone.At();
  }
  CHECK(WaitForSidecar(nobody, milliseconds(1)).find("Connection refused") != std::string::npos);
  config::ListenAddress unix_socket;
  unix_socket.unix_path = "/nonexistent/n.sock";
  CHECK(WaitForSidecar(unix_socket, milliseconds(1)).find("No such file") != std::string::npos);
  unix_socket.unix_path = "/" + std::string(300, 'x');
  CHECK(WaitForSidecar(unix_socket, milliseconds(1)).find("File name too long") !=
        std::string::npos);
}

TEST_CASE("one who accepts and never answers does not make it wait longer than it was told") {
  const Server server([](int fd) {
    std::array<char, 64> ping{};
    while (::recv(fd, ping.data(), ping.size(), 0) > 0) {
    }
  });
  // The shortest of several, for this machine may be busy.
  auto shortest = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(WaitForSidecar(server.At(), milliseconds(100)).find("does not answer") !=
          std::string::npos);
    shortest = std::min(shortest, std::chrono::steady_clock::now() - begin);
  }
  CHECK(shortest < milliseconds(600));
}

}  // namespace
}  // namespace nearcached
