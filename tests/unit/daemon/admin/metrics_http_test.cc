#include "daemon/admin/metrics_http.h"

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <doctest/doctest.h>

#include "daemon/admin/metric_registry.h"
#include "tests/unit/daemon/admin/exposition_parser.h"

namespace nearcached {
namespace {

std::atomic<std::int64_t> fake_now_s{0};
MonoTime FakeClock() {
  return MonoTime(std::chrono::seconds(fake_now_s.load()));
}

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  const timeval patience{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

struct Reply {
  int status = 0;
  std::string head;
  std::string body;
};

// Sends raw bytes and reads until the server closes.
Reply Exchange(int port, const std::string& request) {
  const int fd = Connect(port);
  REQUIRE(send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size()));
  std::string all;
  std::array<char, 65536> buffer{};
  ssize_t n = 0;
  while ((n = recv(fd, buffer.data(), buffer.size(), 0)) > 0) {
    all.append(buffer.data(), static_cast<std::size_t>(n));
  }
  close(fd);
  Reply reply;
  const std::size_t split = all.find("\r\n\r\n");
  if (all.rfind("HTTP/1.1 ", 0) == 0 && split != std::string::npos) {
    reply.status = std::stoi(all.substr(9, 3));
    reply.head = all.substr(0, split + 2);
    reply.body = all.substr(split + 4);
  }
  return reply;
}

Reply Get(int port, const std::string& path, const std::string& method = "GET") {
  return Exchange(port, method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

struct Server {
  Server() {
    registry.AddCounter("nearcached_hits_total", "Hits.", {}, &hits);
    health.heartbeats_ns = {&heartbeat};
    fake_now_s = 0;
    MetricsHttpOptions options;
    options.address = "127.0.0.1:0";
    options.clock = &FakeClock;
    auto started = MetricsHttp::Start(options, registry, health);
    if (!started.ok()) {
      FAIL(started.error().message);
    }
    http = std::move(started).value();
  }
  MetricRegistry registry;
  Counter hits;
  Gauge heartbeat;
  HealthState health;
  std::unique_ptr<MetricsHttp> http;
};

TEST_CASE("/metrics serves the exposition format with its content type") {
  Server server;
  server.hits.Add(12);
  const Reply reply = Get(server.http->port(), "/metrics");
  CHECK(reply.status == 200);
  CHECK(reply.head.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n") !=
        std::string::npos);
  CHECK(reply.head.find("Content-Length: " + std::to_string(reply.body.size()) + "\r\n") !=
        std::string::npos);
  const ParsedExposition text = ExpositionParser::Parse(reply.body);
  CHECK(text.error == "");
  CHECK(text.samples.at("nearcached_hits_total") == 12);
}

TEST_CASE("the health endpoints follow the state, and answer while draining") {
  Server server;
  const int port = server.http->port();
  CHECK(Get(port, "/startup").status == 503);
  CHECK(Get(port, "/readiness").status == 503);
  CHECK(Get(port, "/liveness").status == 200);
  server.health.is_listening = true;
  CHECK(Get(port, "/startup").status == 200);
  CHECK(Get(port, "/readiness").status == 200);
  CHECK(Get(port, "/readiness").body == "ready\nupstream down\ntracking down\n");
  server.health.is_draining = true;
  CHECK(Get(port, "/readiness").status == 503);
  CHECK(Get(port, "/metrics").status == 200);
  fake_now_s = 9;
  CHECK(Get(port, "/liveness").status == 200);
  fake_now_s = 10;
  CHECK(Get(port, "/liveness").status == 503);
}

TEST_CASE("only GET and HEAD of what exists, nothing from the file system") {
  Server server;
  const int port = server.http->port();
  CHECK(Get(port, "/").status == 200);
  CHECK(Get(port, "/").body.find("/metrics") != std::string::npos);
  for (const char* path : {"/metrics/", "/etc/passwd", "/../../etc/passwd", "/%2e%2e/etc/passwd",
                           "/quitquitquit", "/metrics.html"}) {
    CAPTURE(path);
    CHECK(Get(port, path).status == 404);
  }
  CHECK(Get(port, "/metrics?format=x").status == 200);
  const Reply head = Get(port, "/metrics", "HEAD");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(head.head.find("Content-Length: 0") == std::string::npos);
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    CAPTURE(method);
    const Reply reply = Get(port, "/metrics", method);
    CHECK(reply.status == 405);
    CHECK(reply.head.find("Allow: GET, HEAD\r\n") != std::string::npos);
  }
}

TEST_CASE("nonsense and oversized requests are refused and do not hurt the next one") {
  Server server;
  const int port = server.http->port();
  Exchange(port, "*1\r\n$4\r\nPING\r\n\r\n");
  CHECK(Exchange(port, "GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n").status != 200);
  CHECK(Get(port, "/metrics").status == 200);
}

TEST_CASE("a client that says nothing does not keep the probes waiting") {
  Server server;
  const int silent = Connect(server.http->port());
  const auto before = std::chrono::steady_clock::now();
  CHECK(Get(server.http->port(), "/liveness").status == 200);
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(1));
  close(silent);
}

TEST_CASE("many scrapes at once, while counting goes on, are all whole") {
  Server server;
  std::atomic<int> good{0};
  std::vector<std::thread> scrapers;
  for (int i = 0; i < 4; ++i) {
    scrapers.emplace_back([&] {
      for (int j = 0; j < 10; ++j) {
        const Reply reply = Get(server.http->port(), "/metrics");
        good += reply.status == 200 && ExpositionParser::Parse(reply.body).error.empty() ? 1 : 0;
      }
    });
  }
  for (int i = 0; i < 100'000; ++i) {
    server.hits.Add();
  }
  for (std::thread& scraper : scrapers) {
    scraper.join();
  }
  CHECK(good == 40);
}

TEST_CASE("a taken or impossible address is an error that names it") {
  Server server;
  MetricsHttpOptions options;
  options.address = "127.0.0.1:" + std::to_string(server.http->port());
  const auto taken = MetricsHttp::Start(options, server.registry, server.health);
  REQUIRE_FALSE(taken.ok());
  CHECK(taken.error().code == Code::kUnavailable);
  CHECK(taken.error().message.rfind("metrics on " + options.address + ": ", 0) == 0);
  CHECK(taken.error().message.find("address already in use") != std::string::npos);
  for (const char* address :
       {"", ":", "9380", "127.0.0.1:", "127.0.0.1:80s", "127.0.0.1:x", "127.0.0.1:1,127.0.0.1:2",
        "+9380", "host name:80", ":9380", "127.0.0.1:999999"}) {
    CAPTURE(address);
    options.address = address;
    const auto started = MetricsHttp::Start(options, server.registry, server.health);
    REQUIRE_FALSE(started.ok());
    CHECK(started.error().code == Code::kInvalid);
  }
}

TEST_CASE("stopping does not wait for the library's next poll, two seconds away") {
  Server server;
  CHECK(Get(server.http->port(), "/liveness").status == 200);
  const auto before = std::chrono::steady_clock::now();
  server.http.reset();
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::milliseconds(1500));
}

TEST_CASE("localhost means the IPv4 loopback address") {
  Server server;
  MetricsHttpOptions options;
  options.address = "localhost:0";
  const auto started = MetricsHttp::Start(options, server.registry, server.health);
  REQUIRE(started.ok());
  CHECK(Get(started.value()->port(), "/metrics").status == 200);
}

}  // namespace
}  // namespace nearcached
