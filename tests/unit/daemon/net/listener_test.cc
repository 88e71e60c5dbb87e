#include "daemon/net/listener.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/daemon/net/net_fixture.h"

namespace nearcached {
namespace {

// A directory of our own for socket files, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "nearcached.XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

Endpoint Tcp(const std::string& host, int port) {
  return Endpoint{host, port, ""};
}
Endpoint Unix(const std::string& path) {
  return Endpoint{"", 0, path};
}

ListenSocket MustOpen(const Endpoint& at, const ListenOptions& options = {}) {
  auto opened = ListenSocket::Open(at, options);
  if (!opened.ok()) {
    FAIL(opened.error().message);
  }
  return std::move(opened).value();
}

std::string OpenError(const Endpoint& at) {
  const auto opened = ListenSocket::Open(at, {});
  return opened.ok() ? "" : opened.error().message;
}

Fd ConnectTo(const SocketAddress& address) {
  Fd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(fd.get(), address.get(), address.length) == 0);
  return fd;
}

struct Host {
  explicit Host(ListenSocket socket) {
    auto started = Listener::Start(
        loop, std::move(socket),
        [this](int fd, std::string peer) {
          fds.emplace_back(fd);
          peers.push_back(std::move(peer));
          if (on_accept) {
            on_accept();
          }
        },
        stats);
    REQUIRE(started.ok());
    listener = std::move(started).value();
  }
  UvLoop loop;
  ListenerStats stats;
  std::vector<Fd> fds;
  std::vector<std::string> peers;
  std::function<void()> on_accept;
  std::unique_ptr<Listener> listener;
};

std::string NameOf(const Fd& fd) {
  SocketAddress address;
  REQUIRE(getsockname(fd.get(), address.get(), &address.length) == 0);
  return address.ToString();
}

TEST_CASE("a TCP listener on port 0 says which port it got and names its peers") {
  Host host(MustOpen(Tcp("127.0.0.1", 0)));
  CHECK(host.listener->address().port() > 0);
  const Fd client = ConnectTo(host.listener->address());
  RunUntil(host.loop, [&] { return host.peers.size() == 1; });
  CHECK(host.peers[0] == NameOf(client));
  CHECK((fcntl(host.fds[0].get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(host.fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  int keepalive = 0;
  socklen_t length = sizeof(keepalive);
  REQUIRE(getsockopt(host.fds[0].get(), SOL_SOCKET, SO_KEEPALIVE, &keepalive, &length) == 0);
  CHECK(keepalive == 1);
  CHECK(host.stats.accepted.value() == 1);
}

std::string CongestionControlOf(int fd) {
  std::array<char, 16> name{};  // TCP_CA_NAME_MAX
  socklen_t length = name.size();
  REQUIRE(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length) == 0);
  return name.data();
}

TEST_CASE(
    "what is accepted on loopback has the cheapest congestion control, others the machine's") {
  Host host(MustOpen(Tcp("127.0.0.1", 0)));
  const Fd client = ConnectTo(host.listener->address());
  RunUntil(host.loop, [&] { return host.peers.size() == 1; });
  CHECK(CongestionControlOf(host.fds[0].get()) == "reno");
  const ListenSocket everywhere = MustOpen(Tcp("0.0.0.0", 0));
  CHECK(CongestionControlOf(everywhere.fd()) == CongestionControlOf(client.get()));
}

TEST_CASE("IPv6 addresses are written in brackets") {
  auto opened = ListenSocket::Open(Tcp("::1", 0), {});
  if (!opened.ok()) {
    MESSAGE("no IPv6 here: " << opened.error().message);
    return;
  }
  Host host(std::move(opened).value());
  const Fd client = ConnectTo(host.listener->address());
  RunUntil(host.loop, [&] { return host.peers.size() == 1; });
  CHECK(host.peers[0] == NameOf(client));
  CHECK(host.peers[0].rfind("[::1]:", 0) == 0);
}

TEST_CASE("localhost means its IPv4 address") {
  const ListenSocket socket = MustOpen(Tcp("localhost", 0));
  CHECK(socket.address().ToString().rfind("127.0.0.1:", 0) == 0);
}

TEST_CASE("an address that is taken, or is none of ours, gives a clear error") {
  const ListenSocket first = MustOpen(Tcp("127.0.0.1", 0));
  const int port = first.address().port();
  CHECK(OpenError(Tcp("127.0.0.1", port)) == "listen on 127.0.0.1:" + std::to_string(port) +
                                                 ": address already in use; is another "
                                                 "nearcached running?");
  CHECK(OpenError(Tcp("192.0.2.1", 0)) == "listen on 192.0.2.1:0: address not available");
  CHECK_FALSE(OpenError(Tcp("not an address", 0)).empty());
}

TEST_CASE("a shared port can be opened twice, a shared socket accepted from on two loops") {
  ListenOptions options;
  options.is_shared_port = true;
  const ListenSocket first = MustOpen(Tcp("127.0.0.1", 0), options);
  const ListenSocket second = MustOpen(Tcp("127.0.0.1", first.address().port()), options);
  CHECK(second.address().port() == first.address().port());

  const TemporaryDirectory directory;
  const std::string path = directory.File("s.sock");
  ListenSocket original = MustOpen(Unix(path));
  {
    auto shared = original.Share();
    REQUIRE(shared.ok());
    Host host(std::move(shared).value());
    const Fd client = ConnectTo(original.address());
    RunUntil(host.loop, [&] { return host.peers.size() == 1; });
  }
  CHECK(std::filesystem::exists(path));  // the copy does not own the file
}

TEST_CASE("a unix listener makes its file with the given mode and removes it") {
  const TemporaryDirectory directory;
  const std::string path = directory.File("n.sock");
  for (const mode_t mode : {0600U, 0660U, 0777U}) {
    ListenOptions options;
    options.unix_mode = mode;
    Host host(MustOpen(Unix(path), options));
    struct stat info {};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == mode);
    const Fd client = ConnectTo(host.listener->address());
    RunUntil(host.loop, [&] { return host.peers.size() == 1; });
    CHECK(host.peers[0] == "unix:" + path);
    host.listener.reset();
    CHECK_FALSE(std::filesystem::exists(path));
  }
}

TEST_CASE("a stale socket file is replaced, a live one and a plain file are not") {
  const TemporaryDirectory directory;
  const std::string path = directory.File("n.sock");
  {  // what a crash leaves: the file, and nobody behind it
    const Fd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    SocketAddress address;
    auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
    un->sun_family = AF_UNIX;
    std::memcpy(un->sun_path, path.data(), path.size());
    REQUIRE(bind(dead.get(), address.get(), sizeof(sockaddr_un)) == 0);
  }
  REQUIRE(std::filesystem::exists(path));
  const ListenSocket live = MustOpen(Unix(path));
  CHECK(OpenError(Unix(path)) ==
        "listen on unix:" + path + ": address already in use; is another nearcached running?");
  CHECK(std::filesystem::exists(path));

  const std::string plain = directory.File("plain");
  std::ofstream(plain) << "precious";
  CHECK(OpenError(Unix(plain)) == "listen on unix:" + plain + ": a file that is no socket");
  CHECK(std::filesystem::file_size(plain) == 8);
  CHECK_FALSE(OpenError(Unix(directory.File("no/such/place"))).empty());
  CHECK(OpenError(Unix(directory.File(std::string(200, 'x')))).find("at most 107 bytes") !=
        std::string::npos);
}

TEST_CASE("closing leaves a successor's socket file alone") {
  const TemporaryDirectory directory;
  const std::string path = directory.File("n.sock");
  auto old = std::make_unique<ListenSocket>(MustOpen(Unix(path)));
  std::filesystem::remove(path);
  const ListenSocket successor = MustOpen(Unix(path));
  old.reset();
  CHECK(std::filesystem::exists(path));
  const Fd client = ConnectTo(successor.address());
}

TEST_CASE("a listener may be destroyed inside its own callback, with connections left waiting") {
  Host host(MustOpen(Tcp("127.0.0.1", 0)));
  const SocketAddress address = host.listener->address();
  const Fd first = ConnectTo(address);
  const Fd second = ConnectTo(address);
  host.on_accept = [&] { host.listener.reset(); };
  RunUntil(host.loop, [&] { return host.listener == nullptr; });
  CHECK(host.peers.size() == 1);
}

TEST_CASE("without descriptors accepting pauses, and the connection is served later") {
  Host host(MustOpen(Tcp("127.0.0.1", 0)));
  const Fd client = ConnectTo(host.listener->address());
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit tight = before;
  const int lowest_free = dup(client.get());
  close(lowest_free);
  tight.rlim_cur = static_cast<rlim_t>(lowest_free);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  RunUntil(host.loop, [&] { return host.stats.pauses.value() == 1; });
  const std::uint64_t turns = host.loop.stats().turns.value();
  RunTurns(host.loop, 3);
  CHECK(host.loop.stats().turns.value() - turns < 20);  // it waits, it does not spin
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  RunUntil(host.loop, [&] { return host.peers.size() == 1; });
  CHECK(host.stats.accept_errors.value() >= 1);
}

TEST_CASE("a storm of connections is accepted in bounded batches") {
  ListenOptions options;
  options.backlog = 512;
  Host host(MustOpen(Tcp("127.0.0.1", 0), options));
  std::vector<Fd> clients;
  for (int i = 0; i < 150; ++i) {
    clients.push_back(ConnectTo(host.listener->address()));
  }
  std::size_t most = 0;
  std::size_t before = 0;
  const auto hook = host.loop.AtTurnEnd([&] {
    most = std::max(most, host.peers.size() - before);
    before = host.peers.size();
  });
  RunUntil(host.loop, [&] { return host.peers.size() == clients.size(); });
  CHECK(most <= 64);
}

}  // namespace
}  // namespace nearcached
