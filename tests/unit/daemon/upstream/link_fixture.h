// One link against a connection that the test plays byte by byte.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/upstream/link.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"
#include "tests/support/fake_fetch.h"
#include "tests/support/fake_network.h"
#include "tests/support/fake_scheduler.h"
#include "tests/support/fake_topology.h"

namespace nearcached {

inline std::string Wire(std::vector<std::string_view> words) {
  std::string bytes;
  proto::AppendCommand(bytes, words);
  return bytes;
}

inline std::string Lost(std::uint64_t seq, std::string_view line) {
  return std::to_string(seq) + " lost: " + std::string(line);
}

inline constexpr const char* kHelloReply = "%1\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n";
inline constexpr const char* kUnavailable = "ERR nearcached: upstream up:6379 is unavailable (";

class LinkFixture : private LinkObserver, private ExclusiveOwner {
 public:
  using Heard = std::vector<std::string>;
  using Purpose = Link::Purpose;
  using State = Link::State;

  FakeScheduler scheduler;
  FakeDialer dialer;
  FakeTopology topology;
  config::UpstreamConfig config;
  Rng rng{1};
  KeyHasher hasher{1};
  L1 l1{L1Options{.bytes_max = 1 << 20, .negative_share = 0.1}};
  FakeFillChannel channel;
  Coherence coherence{scheduler, hasher, l1, channel};
  UpstreamStats stats;
  DialGate gate{config, rng, stats};
  RecordingSink sink;
  std::vector<std::string> seen;  // "ready", "down: why", "push: frame", "dirty", "lost: line"
  std::string passed;             // passthrough bytes
  std::optional<Link> link;

  LinkFixture() = default;
  virtual ~LinkFixture() {
    if (link) {
      link->Close("the test ends");
      CHECK(link->unanswered() == 0);
    }
    link.reset();
    CHECK(stats.inflight.value() == 0);
    CHECK(stats.links_ready.value() == 0);
    CHECK(scheduler.timers() == 0);
    CHECK(coherence.idle());
  }
  LinkFixture(const LinkFixture&) = delete;
  LinkFixture& operator=(const LinkFixture&) = delete;

  int subscriptions_ended = 0;
  int pushes = 0;  // messages of a passthrough that answered nothing

  void Make(Purpose purpose) {
    const bool fill = purpose == Purpose::kFill;
    link.emplace(
        LinkContext{scheduler, dialer, topology, config, rng, coherence, stats, gate, *this},
        Link::Spec{.purpose = purpose,
                   .db = 0,
                   .protocol = fill ? proto::Protocol::kResp3 : proto::Protocol::kResp2,
                   .track = fill,
                   .id = 3,
                   .retry = purpose != Purpose::kExclusive});
  }
  // Plays the server's part of the handshake on the latest connection, and forgets the turn's
  // events; what the link said is not looked at here.
  FakeConnection& Establish() {
    FakeConnection& connection = dialer.latest();
    connection.Open();
    if (link->spec().purpose == Purpose::kFill) {
      connection.Feed(kHelloReply);
      connection.Feed("+PONG\r\n");
      connection.Feed("+OK\r\n");
    } else {
      connection.Feed("+OK\r\n");
      if (link->spec().purpose == Purpose::kExclusive) {
        connection.Feed(":90\r\n");
      }
      connection.Feed("+PONG\r\n");
    }
    REQUIRE(link->state() == State::kReady);
    (void)connection.TakeWritten();
    seen.clear();
    return connection;
  }
  FakeConnection& MakeReady(Purpose purpose) {
    Make(purpose);
    link->Open();
    return Establish();
  }
  // A request of `seq`; its wire form is "GET <seq>". What Send said.
  std::string Send(std::uint64_t seq, std::unique_ptr<Footprint> footprint = nullptr,
                   Duration timeout = std::chrono::seconds(5)) {
    const std::string name = std::to_string(seq);
    const std::string bytes = Wire({"GET", name});
    return std::string(link->Send({.bytes = bytes,
                                   .sink = &sink,
                                   .token = {1, seq},
                                   .footprint = std::move(footprint),
                                   .timeout = timeout}));
  }
  std::unique_ptr<Footprint> BeginWrite(std::string_view key) {
    auto footprint = std::make_unique<Footprint>();
    footprint->write = true;
    footprint->keys.push_back({hasher(key), std::string(key), true});
    coherence.BeginWrite(*footprint);
    return footprint;
  }
  void SendPassthrough(std::string_view bytes, std::unique_ptr<Footprint> footprint,
                       bool answered_by_push) {
    CHECK(link->Send({.bytes = bytes,
                      .sink = nullptr,
                      .token = {},
                      .footprint = std::move(footprint),
                      .answered_by_push = answered_by_push})
              .empty());
  }
  bool Held(std::string_view key) { return coherence.Held(hasher(key)); }
  void Lend() { link->Lend(this, 77); }
  Heard TakeHeard() { return std::exchange(sink.heard, {}); }
  std::vector<std::string> TakeSeen() { return std::exchange(seen, {}); }

 private:
  void OnLinkReady(Link& /*link*/, const Handshake& /*handshake*/) override {
    seen.emplace_back("ready");
  }
  void OnLinkDown(Link& /*link*/, std::string_view why) override {
    seen.push_back("down: " + std::string(why));
  }
  void OnLinkPush(Link& /*link*/, std::string_view frame) override {
    seen.push_back("push: " + std::string(frame));
  }
  void OnLinkDirty(Link& /*link*/) override {}
  void OnPassthrough(std::uint64_t session, std::string_view bytes, bool push) override {
    pushes += push ? 1 : 0;
    CHECK(session == 77);
    passed += bytes;
  }
  [[nodiscard]] std::size_t PassthroughBacklog(std::uint64_t /*session*/) const override {
    return 0;
  }
  void OnSubscriptionsEnded(std::uint64_t /*session*/) override { ++subscriptions_ended; }
  void OnMayBorrow(std::uint64_t /*session*/) override {}
  void OnLinkExchanged(std::uint64_t /*session*/, ExclusiveLink& /*link*/) override {}
  void OnExclusiveLost(std::uint64_t session, std::string_view error_line) override {
    CHECK(session == 77);
    seen.push_back("lost: " + std::string(error_line));
    sink.heard.emplace_back("owner told");
  }
};

}  // namespace nearcached
