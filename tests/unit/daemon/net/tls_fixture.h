// Two TLS streams that talk through two in-memory connections, with the test as the network.
#pragma once

#include <algorithm>
#include <memory>
#include <openssl/ssl.h>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/net/tls_context.h"
#include "daemon/net/tls_stream.h"
#include "tests/support/fake_network.h"
#include "tests/support/fake_scheduler.h"
#include "tests/support/tls_files.h"

namespace nearcached {

// Records what a stream tells its owner.
class TlsRecorder final : public ByteStreamHandler {
 public:
  void OnOpen() override {
    ++opens;
    Call(on_open);
  }
  void OnBytes(std::span<char> bytes) override {
    received.append(bytes.data(), bytes.size());
    ++pieces;
    Call(on_bytes);
  }
  void OnWritable() override {
    ++writables;
    Call(on_writable);
  }
  void OnEnd(const Error& why) override {
    ++ends;
    end = why;
    Call(on_end);
  }

  std::function<void()> on_open;
  std::function<void()> on_bytes;
  std::function<void()> on_writable;
  std::function<void()> on_end;
  std::string received;
  int opens = 0;
  int pieces = 0;
  int writables = 0;
  int ends = 0;
  std::optional<Error> end;

 private:
  static void Call(const std::function<void()>& what) {
    const auto copy = what;  // it may destroy us
    if (copy) {
      copy();
    }
  }
};

// One end: the stream, its owner, and the wire beneath it.
struct TlsEnd {
  FakeConnection wire;
  TlsRecorder owner;
  TlsStats stats;
  std::unique_ptr<TlsStream> stream;

  std::size_t Write(std::string_view bytes) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};  // NOLINT
    return stream->Write({&part, 1});
  }
  [[nodiscard]] std::uint64_t failures(TlsFailure why) { return stats.failure(why).value(); }
};

class TlsFixture {
 public:
  TlsFixture() {
    files.Make("ca", {.is_ca = true});
    files.Make("server", {.issuer = "ca", .dns = "redis.test"});
    files.Make("client", {.issuer = "ca"});
    client_options.ca_file = files.Cert("ca");
    server_options.role = TlsRole::kServer;
    server_options.cert_file = files.Cert("server");
    server_options.key_file = files.Key("server");
  }
  ~TlsFixture() {
    client.stream.reset();
    server.stream.reset();
    CHECK(client.stats.connections.value() == 0);
    CHECK(server.stats.connections.value() == 0);
    CHECK(scheduler.timers() == 0);
    CHECK(scratch.cipher.empty());
  }
  TlsFixture(const TlsFixture&) = delete;
  TlsFixture& operator=(const TlsFixture&) = delete;

  static std::shared_ptr<TlsContext> Load(const TlsOptions& options) {
    TlsLoaded loaded = TlsContext::Load(options);
    for (const TlsProblem& problem : loaded.problems) {
      INFO(problem.option << ": " << problem.message);
      CHECK(problem.is_warning);
    }
    REQUIRE(loaded.context != nullptr);
    return loaded.context;
  }

  // Contexts of the options, unless they are there already (to resume sessions).
  void Connect(const std::string& host = "redis.test") {
    if (server_context == nullptr) {
      server_context = Load(server_options);
    }
    if (client_context == nullptr) {
      client_context = Load(client_options);
    }
    server.stream = MakeStream({server_context, "", ""}, server, handshake_timeout);
    client.stream = MakeStream({client_context, host, host}, client, Duration::zero());
    client.wire.Open();
  }

  // Makes both ends speak exactly this version.
  void Speak(int version) {
    server_context = Load(server_options);
    client_context = Load(client_options);
    SSL_CTX_ctrl(client_context->raw(), SSL_CTRL_SET_MAX_PROTO_VERSION, version, nullptr);
    SSL_CTX_ctrl(client_context->raw(), SSL_CTRL_SET_MIN_PROTO_VERSION, version, nullptr);
  }

  std::unique_ptr<TlsStream> MakeStream(TlsPeer peer, TlsEnd& end, Duration timeout) {
    return std::make_unique<TlsStream>(
        std::move(peer), TlsEnvironment{scheduler, scratch, end.stats, timeout}, end.owner,
        [&](ByteStreamHandler& handler) { return end.wire.MakeStream(handler); });
  }

  // Carries bytes until both sides are silent, in pieces of at most `piece`.
  void Carry(std::size_t piece = 1U << 20U) {
    bool is_busy = true;
    while (is_busy) {
      is_busy = Move(client, server, piece);
      is_busy = Move(server, client, piece) || is_busy;
    }
  }

  static bool Move(TlsEnd& from, TlsEnd& to, std::size_t piece) {
    const std::string bytes = from.wire.TakeWritten();
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      to.wire.Feed(std::string_view(bytes).substr(at, piece));
    }
    return !bytes.empty();
  }

  TlsFiles files;
  FakeScheduler scheduler;
  TlsScratch scratch;
  TlsOptions client_options;
  TlsOptions server_options;
  std::shared_ptr<TlsContext> client_context;
  std::shared_ptr<TlsContext> server_context;
  Duration handshake_timeout = std::chrono::seconds(10);
  TlsEnd client;
  TlsEnd server;
};

}  // namespace nearcached
