// civetweb is a web server for files; here it has no document root, and every request is answered
// by our own callback before it would look for one. Two threads, no keep-alive and short timeouts:
// a client that connects and says nothing holds one thread for kRequestTimeoutMs, and the other
// still answers the kubelet.
#include "daemon/admin/metrics_http.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <civetweb.h>
#include <cstddef>
#include <cstdlib>
#include <netdb.h>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "daemon/admin/exposition.h"
#include "daemon/base/log.h"
#include "daemon/net/listen_socket.h"

namespace nearcached {
namespace {

constexpr const char* kRequestTimeoutMs = "2000";
constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kHtml = "text/html; charset=utf-8";

constexpr std::string_view kIndex =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><title>nearcached</title></head><body>\n"
    "<h1>nearcached " NEARCACHED_VERSION
    "</h1>\n<ul>\n"
    "<li><a href=\"/metrics\">/metrics</a></li>\n"
    "<li><a href=\"/startup\">/startup</a></li>\n"
    "<li><a href=\"/liveness\">/liveness</a></li>\n"
    "<li><a href=\"/readiness\">/readiness</a></li>\n"
    "</ul>\n</body></html>\n";

struct Page {
  int status = 200;
  std::string_view content_type = kText;
  std::string body;
};

std::string_view StatusText(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

Page ToPage(HealthAnswer answer) {
  return {answer.is_ok ? 200 : 503, kText, std::move(answer.body)};
}

// civetweb's port syntax has more than addresses (lists, TLS and redirect marks): only a plain
// "address:port" may reach it. Empty when `address` is not that.
std::string ListeningPort(std::string address) {
  constexpr std::string_view kLocalhost = "localhost:";
  if (address.starts_with(kLocalhost)) {
    address.replace(0, kLocalhost.size(), "127.0.0.1:");
  }
  const std::size_t colon = address.rfind(':');
  const std::string_view port = std::string_view(address).substr(std::min(colon, address.size()));
  const bool has_port = port.size() >= 2 && port.size() <= 6 &&
                        port.find_first_not_of("0123456789", 1) == std::string_view::npos;
  const bool is_plain =
      address.find_first_not_of("0123456789abcdefABCDEF.:[]") == std::string::npos;
  return colon != 0 && has_port && is_plain ? address : std::string();
}

std::string HostOf(const std::string& listening_port) {
  std::string host = listening_port.substr(0, listening_port.rfind(':'));
  std::erase_if(host, [](char c) { return c == '[' || c == ']'; });
  return host;
}

// Why the server cannot listen there; `said` is all that the library says of it.
std::string WhyNot(const std::string& listening_port, const char* said) {
  const int port = std::atoi(listening_port.c_str() + listening_port.rfind(':') + 1);
  Endpoint endpoint;
  endpoint.host = HostOf(listening_port);
  endpoint.port = port;
  const auto tried = ListenSocket::Open(endpoint, {});
  return tried.ok() ? said : tried.error().message;
}

// Opens a connection to the server and drops it.
void Knock(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return;
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    // Starting is enough: the handshake is the kernel's, and the outcome does not matter.
    (void)connect(fd, found->ai_addr, found->ai_addrlen);
    close(fd);
  }
  freeaddrinfo(found);
}

int OnLogMessage(const mg_connection* /*connection*/, const char* message) noexcept {
  Log(LogLevel::kDebug, "http", "message=" + Quoted(message));
  return 1;  // written: civetweb must not write it again
}

int Send(mg_connection* connection, const Page& page, bool is_head) {
  std::string head = "HTTP/1.1 " + std::to_string(page.status) + " ";
  head.append(StatusText(page.status)).append("\r\nContent-Type: ").append(page.content_type);
  head.append("\r\nContent-Length: ").append(std::to_string(page.body.size()));
  head.append(page.status == 405 ? "\r\nAllow: GET, HEAD" : "");
  head.append("\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff");
  head.append("\r\nConnection: close\r\n\r\n");
  if (!is_head) {
    head += page.body;
  }
  mg_write(connection, head.data(), head.size());
  return page.status;
}

}  // namespace

Result<std::unique_ptr<MetricsHttp>> MetricsHttp::Start(const MetricsHttpOptions& options,
                                                        const MetricsSource& source,
                                                        const HealthState& health) {
  const std::string listening_port = ListeningPort(options.address);
  if (listening_port.empty()) {
    return Error{Code::kInvalid, "metrics on " + options.address + ": not an address and a port"};
  }
  std::unique_ptr<MetricsHttp> http(new MetricsHttp(options, source, health));
  mg_callbacks callbacks{};
  callbacks.begin_request = &MetricsHttp::OnRequest;
  callbacks.log_message = &OnLogMessage;
  // No log_access: with it, civetweb calls localtime() on several threads, which is a race.
  std::array<const char*, 15> settings = {
      "listening_ports",
      listening_port.c_str(),
      "num_threads",
      "2",
      "enable_keep_alive",
      "no",
      "request_timeout_ms",
      kRequestTimeoutMs,
      "linger_timeout_ms",
      "0",
      "max_request_size",
      "8192",
      "tcp_nodelay",
      "1",
      nullptr,
  };
  mg_init_data init{};
  init.callbacks = &callbacks;
  init.user_data = http.get();
  init.configuration_options = settings.data();
  std::array<char, 256> why{};
  mg_error_data error{};
  error.text = why.data();
  error.text_buffer_size = why.size();
  http->server_ = mg_start2(&init, &error);
  if (http->server_ == nullptr) {
    return Error{Code::kUnavailable,
                 "metrics on " + options.address + ": " + WhyNot(listening_port, why.data())};
  }
  mg_server_port port{};
  mg_get_server_ports(http->server_, 1, &port);
  http->port_ = port.port;
  http->host_ = HostOf(listening_port);
  return http;
}

MetricsHttp::MetricsHttp(const MetricsHttpOptions& options, const MetricsSource& source,
                         const HealthState& health)
    : options_(options), source_(source), health_(health) {}

// civetweb's listening thread looks at its stop flag only between polls of two seconds, and offers
// no way to wake it but a connection. So while mg_stop waits, we knock: the process ends in
// milliseconds instead.
MetricsHttp::~MetricsHttp() {
  if (server_ == nullptr) {
    return;
  }
  std::atomic<bool> is_stopped{false};
  std::thread stopper([this, &is_stopped] {
    mg_stop(server_);
    is_stopped.store(true);
  });
  while (!is_stopped.load()) {
    Knock(host_, port_);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  stopper.join();
}

int MetricsHttp::OnRequest(mg_connection* connection) noexcept {
  const mg_request_info* request = mg_get_request_info(connection);
  return static_cast<const MetricsHttp*>(request->user_data)->Answer(connection);
}

int MetricsHttp::Answer(mg_connection* connection) const {
  const mg_request_info* request = mg_get_request_info(connection);
  const std::string_view method = request->request_method;
  const std::string_view path = request->local_uri != nullptr ? request->local_uri : "";
  const bool is_head = method == "HEAD";
  if (!is_head && method != "GET") {
    return Send(connection, {405, kText, "GET or HEAD\n"}, false);
  }
  if (path == "/metrics") {
    return Send(connection, {200, kExpositionContentType, ToExposition(source_.Collect())},
                is_head);
  }
  if (path == "/startup") {
    return Send(connection, ToPage(AnswerStartup(health_)), is_head);
  }
  if (path == "/liveness") {
    return Send(connection,
                ToPage(AnswerLiveness(health_, options_.clock(), options_.liveness_silence_max)),
                is_head);
  }
  if (path == "/readiness") {
    return Send(connection, ToPage(AnswerReadiness(health_)), is_head);
  }
  if (path == "/") {
    return Send(connection, {200, kHtml, std::string(kIndex)}, is_head);
  }
  return Send(connection, {404, kText, "not found\n"}, is_head);
}

}  // namespace nearcached
