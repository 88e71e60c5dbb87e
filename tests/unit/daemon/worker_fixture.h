// A whole worker between clients and a server that the test plays.
//
// Requests are fed as inline commands ("GET k"), replies are compared as bytes. Nothing happens but
// what the test lets happen: a turn ends in Turn(), time moves in Wait().
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/worker.h"
#include "proto/encode.h"
#include "tests/support/fake_scheduler.h"
#include "tests/support/fake_server.h"

namespace nearcached {

using Strings = std::vector<std::string>;

inline std::string Bulk(std::string_view bytes) {
  std::string out;
  proto::AppendBulk(out, bytes);
  return out;
}

class WorkerFixture : private AdminHandler {
 public:
  FakeScheduler scheduler;
  FakeDialer dialer;
  FakeServer server{dialer};
  config::Config config;  // until Start
  ListenerContext listener;
  std::unique_ptr<Worker> worker;

  WorkerFixture() {
    config.upstream.links = 1;
    server.command = "*0\r\n";  // so that no link asks again
    listener.config = config.listeners.front();
    listener.admin = true;
  }
  virtual ~WorkerFixture() {
    if (worker != nullptr) {
      worker->Stop();
      const SessionStats& stats = worker->session_stats();
      CHECK(stats.active.value() == 0);
      CHECK(stats.pinned.value() == 0);
      CHECK(stats.resp3.value() == 0);
      CHECK(worker->coherence().idle());
      CHECK(worker->upstream_stats().inflight.value() == 0);
      worker.reset();
    }
    CHECK(scheduler.timers() == 0);
    CHECK(scheduler.hooks() == 0);
    for (FakeConnection& client : clients_) {
      CHECK(client.closed());
    }
  }
  WorkerFixture(const WorkerFixture&) = delete;
  WorkerFixture& operator=(const WorkerFixture&) = delete;

  // Adds a rule to `config`.
  void NeverCache(std::string prefix) {
    config::RuleConfig rule;
    rule.prefix = std::move(prefix);
    rule.cache = false;
    config.rules.push_back(rule);
  }
  void Start() {
    worker = std::make_unique<Worker>(config, scheduler, dialer, 1);
    worker->SetAdmin(*this);
    worker->Start();
    Turn();
  }

  // Ends turns until nothing more happens by itself.
  void Turn() {
    do {
      scheduler.EndTurn();
    } while (server.Pump());
  }
  void Wait(Duration d) {
    for (const MonoTime until = scheduler.Now() + d; scheduler.Now() < until;) {
      scheduler.Advance(
          std::min<Duration>(std::chrono::milliseconds(100), until - scheduler.Now()));
      Turn();
    }
  }

  FakeConnection& Connect() {
    FakeConnection& client = clients_.emplace_back();
    worker->Accept(listener,
                   [&](ByteStreamHandler& handler) { return client.MakeStream(handler); });
    return client;
  }
  // Sends `line`, ends the turn and takes what the client is told.
  std::string Ask(FakeConnection& client, std::string_view line) {
    client.Feed(std::string(line) + "\r\n");
    Turn();
    return client.TakeWritten();
  }
  // Answers what the server was asked, ends the turn and takes what the client is told.
  std::string Answer(FakeConnection& client, std::string_view request, std::string_view reply) {
    server.Answer(request, reply);
    Turn();
    return client.TakeWritten();
  }
  // Both halves of a fill.
  void AnswerFill(std::string_view key, std::string_view value, std::string_view ttl = ":-1\r\n") {
    server.Answer("GET " + std::string(key), value);
    server.Answer("PTTL " + std::string(key), ttl);
    Turn();
  }
  // Puts `key` into L1 by way of a client that reads it.
  void Cache(FakeConnection& client, std::string_view key, std::string_view value) {
    CHECK(Ask(client, "GET " + std::string(key)).empty());
    AnswerFill(key, Bulk(value));
    CHECK(client.TakeWritten() == Bulk(value));
  }
  // Whether a client would be answered from L1. Leaves nothing behind.
  bool Cached(std::string_view key) {
    const std::uint64_t hits = worker->session_stats().hits.value();
    FakeConnection& client = Connect();
    (void)Ask(client, "GET " + std::string(key));
    const bool hit = worker->session_stats().hits.value() > hits;
    if (!hit) {
      AnswerFill(key, "-ERR not now\r\n");
    }
    client.End(Code::kEof);
    Turn();
    return hit;
  }
  void Push(std::string_view key) {
    std::string frame = ">2\r\n$10\r\ninvalidate\r\n*1\r\n";
    proto::AppendBulk(frame, key);
    server.tracking_connection().Feed(frame);
    Turn();
  }
  [[nodiscard]] const SessionStats& stats() const { return worker->session_stats(); }

 private:
  Verdict Handle(const Request& request, std::string& out) override {
    if (request.args.size() > 1 && request.args[1] == "PAUSE") {
      if (!worker->paused()) {
        worker->SetPaused(true);
      }
      if (!worker->quiet()) {
        return Verdict::kLater;
      }
    }
    proto::AppendSimple(out, "ADMIN " + std::to_string(request.args.size()));
    return Verdict::kAnswered;
  }

  std::deque<FakeConnection> clients_;
};

}  // namespace nearcached
