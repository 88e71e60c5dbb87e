#include "daemon/upstream/invalidation_channel.h"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/hash.h"
#include "proto/encode.h"
#include "tests/support/fake_fetch.h"
#include "tests/support/fake_network.h"
#include "tests/support/fake_scheduler.h"

namespace nearcached {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Wire(std::vector<std::string_view> words) {
  std::string bytes;
  proto::AppendCommand(bytes, words);
  return bytes;
}

class Channel {
 public:
  FakeScheduler scheduler;
  FakeDialer dialer;
  config::Config config;
  Rng rng{1};
  KeyHasher hasher{1};
  L1 l1{L1Options{.bytes_max = 4 << 20, .negative_share = 0.1}};
  FakeFillChannel fills;
  RecordingSink sink;
  Coherence coherence{scheduler, hasher, l1, fills};
  EventStats stats;
  std::vector<Endpoint> nodes = {{.host = "n1", .port = 7000, .unix_path = {}}};
  std::unique_ptr<InvalidationChannel> channel;

  Channel() {
    coherence.flights().SetSink(sink);
    config.invalidation.channels = {"changes"};
  }
  ~Channel() {
    channel.reset();
    CHECK(scheduler.timers() == 0);
    CHECK(stats.channels_subscribed.value() == 0);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  void Start() {
    channel = std::make_unique<InvalidationChannel>(
        InvalidationChannel::Deps{scheduler, dialer, config, rng, coherence, l1, stats},
        [this] { return nodes; });
    channel->Tick();
  }
  // Time passes as the worker lets it: with a tick every 100 ms.
  void Wait(Duration d) {
    for (Duration gone{}; gone < d; gone += milliseconds(100)) {
      scheduler.Advance(milliseconds(100));
      channel->Tick();
    }
  }
  void Confirm(std::string_view word = "subscribe", std::string_view name = "changes") {
    dialer.latest().Feed("*3\r\n$" + std::to_string(word.size()) + "\r\n" + std::string(word) +
                         "\r\n$" + std::to_string(name.size()) + "\r\n" + std::string(name) +
                         "\r\n:1\r\n");
  }
  // Subscribed, and nothing else written.
  void Stand() {
    Start();
    dialer.latest().Open();
    Confirm();
    REQUIRE(stats.channels_subscribed.value() == 1);
    (void)dialer.latest().TakeWritten();
  }
  void Publish(std::string_view payload, std::string_view name = "changes") {
    dialer.latest().Feed(Wire({"message", name, payload}));
  }
  void Pong() { dialer.latest().Feed("*2\r\n$4\r\npong\r\n$0\r\n\r\n"); }
  void Store(std::string_view key) {
    REQUIRE(l1.Insert({0, key, hasher(key)}, "$1\r\nx\r\n", false, scheduler.Now() + seconds(600),
                      scheduler.Now(), {0, 1}) == L1::InsertResult::kStored);
  }
  bool Cached(std::string_view key) {
    return l1.Find({0, key, hasher(key)}, scheduler.Now()).has_value();
  }
};

TEST_CASE_FIXTURE(Channel, "without channels nobody is dialled") {
  config.invalidation.channels.clear();
  Start();
  Wait(seconds(3));
  CHECK(dialer.dials() == 0);
}

TEST_CASE_FIXTURE(Channel, "each channel is subscribed to, patterns as patterns") {
  config.invalidation.channels = {"changes", "news.*"};
  config.upstream.password = "pw";
  Start();
  REQUIRE(dialer.dials() == 1);
  CHECK(dialer.last_endpoint().ToString() == "n1:7000");
  dialer.latest().Open();
  CHECK(dialer.latest().TakeWritten() == Wire({"AUTH", "pw"}));
  dialer.latest().Feed("+OK\r\n");
  CHECK(dialer.latest().TakeWritten() ==
        Wire({"subscribe", "changes"}) + Wire({"psubscribe", "news.*"}));
  Store("k");
  Confirm();
  CHECK(stats.channels_subscribed.value() == 0);
  CHECK(Cached("k"));
  Confirm("psubscribe", "news.*");
  CHECK(stats.channels_subscribed.value() == 2);
  CHECK_FALSE(Cached("k"));  // what was published before it stood was not heard
  Store("k");
  dialer.latest().Feed(Wire({"pmessage", "news.*", "news.a", "k"}));
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Channel,
                  "the subscription is asked for by the name that the upstream has for it") {
  config.commands.rename = {"subscribe=x-sub", "ping=x-ping"};
  Start();
  dialer.latest().Open();
  CHECK(dialer.latest().TakeWritten() == Wire({"x-sub", "changes"}));
  Confirm();
  Wait(seconds(2));
  CHECK(dialer.latest().TakeWritten() == Wire({"x-ping"}));
}

TEST_CASE_FIXTURE(Channel, "clients that log in themselves leave the sidecar without a login") {
  config.upstream.identity = "client";
  config.upstream.password = "unused";
  Start();
  dialer.latest().Open();
  CHECK(dialer.latest().TakeWritten() == Wire({"subscribe", "changes"}));
}

TEST_CASE_FIXTURE(Channel, "a message drops what it names and nothing else") {
  Stand();
  for (const char* key : {"a", "b", "p:1", "p:2", "q"}) {
    Store(key);
  }
  Publish("a\nunknown");
  CHECK_FALSE(Cached("a"));
  CHECK(Cached("b"));
  Publish(R"({"keys":["b"],"prefixes":["p:"]})");
  CHECK_FALSE(Cached("b"));
  CHECK_FALSE(Cached("p:1"));
  CHECK_FALSE(Cached("p:2"));
  CHECK(Cached("q"));
  Publish(R"({"all":true})");
  CHECK_FALSE(Cached("q"));
  CHECK(stats.messages_applied.value() == 3);
  CHECK(stats.keys.value() == 3);
  CHECK(stats.prefixes.value() == 1);
}

TEST_CASE_FIXTURE(Channel, "what our own application says is not acted on") {
  config.invalidation.origin = "pod-7";
  Stand();
  Store("k");
  Publish(R"({"keys":["k"],"origin":"pod-7"})");
  CHECK(Cached("k"));
  CHECK(stats.messages_own.value() == 1);
  Publish(R"({"keys":["k"],"origin":"pod-8"})");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Channel, "a message that cannot be read is counted and changes nothing") {
  Stand();
  Store("k");
  for (int i = 0; i < 100; ++i) {
    Publish(R"({"keys":"k"})");
  }
  CHECK(Cached("k"));
  CHECK(stats.messages_bad.value() == 100);
  CHECK(stats.channels_subscribed.value() == 1);
  Publish("k");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Channel, "a message with too many names drops everything") {
  config.invalidation.names_max = 2;
  Stand();
  Store("k");
  Publish("a\nb\nc");
  CHECK_FALSE(Cached("k"));
  CHECK(coherence.stats().flushes_event.value() == 2);  // the first when it was subscribed
}

TEST_CASE_FIXTURE(Channel, "prefixes are looked for within a bound, beyond it everything goes") {
  Stand();
  for (int i = 0; i < 1000; ++i) {
    Store("k" + std::to_string(i));
  }
  std::string many = R"({"prefixes":["p0")";
  for (int i = 1; i < 300; ++i) {  // 300 times 1000 entries are more than a tick may look at
    many += ",\"p" + std::to_string(i) + "\"";
  }
  Publish(R"({"prefixes":["p"]})");
  CHECK(Cached("k1"));
  Publish(many + "]}");
  CHECK_FALSE(Cached("k1"));
  CHECK(stats.prefixes_too_wide.value() > 0);
}

TEST_CASE_FIXTURE(Channel, "a lost connection is made again, and what was missed is made up for") {
  Stand();
  Store("k");
  dialer.latest().End(Code::kEof);
  Wait(milliseconds(100));
  CHECK(stats.channels_subscribed.value() == 0);
  CHECK(Cached("k"));  // bounded by its ttl until the subscription stands again
  Wait(milliseconds(200));
  REQUIRE(dialer.dials() == 2);
  dialer.latest().Open();
  CHECK(Cached("k"));
  Confirm();
  CHECK_FALSE(Cached("k"));
  CHECK(stats.subscribed.value() == 2);
  CHECK(stats.lost.value() == 1);
}

TEST_CASE_FIXTURE(Channel, "silence ends a subscription") {
  Stand();
  Wait(seconds(1));
  CHECK(dialer.latest().TakeWritten() == Wire({"ping"}));
  Pong();
  Wait(seconds(1));
  CHECK(dialer.latest().TakeWritten() == Wire({"ping"}));
  CHECK(dialer.dials() == 1);
  Wait(seconds(4));
  CHECK(stats.lost.value() == 1);
  CHECK(dialer.dials() == 2);
}

TEST_CASE_FIXTURE(Channel, "a PONG outside a subscription gives the connection away") {
  Stand();
  Wait(seconds(1));
  dialer.latest().Feed("+PONG\r\n");
  Wait(milliseconds(100));
  CHECK(stats.channels_subscribed.value() == 0);
  CHECK(stats.lost.value() == 1);
}

TEST_CASE_FIXTURE(Channel, "a refusal is tried again, ever less often") {
  Start();
  for (std::size_t dials = 1; dials <= 3; ++dials) {
    REQUIRE(dialer.dials() == dials);
    dialer.latest().Open();
    dialer.latest().Feed("-NOPERM no permissions to access a channel\r\n");
    Wait(milliseconds(500));
  }
  CHECK(stats.subscribed.value() == 0);
  Wait(seconds(60));
  CHECK(dialer.dials() < 30);
}

TEST_CASE_FIXTURE(Channel, "a node that is no primary any more is left for one that is") {
  Stand();
  nodes = {{.host = "n2", .port = 7000, .unix_path = {}}};
  Wait(milliseconds(300));
  REQUIRE(dialer.dials() == 2);
  CHECK(dialer.connection(0).closed());
  CHECK(dialer.last_endpoint().ToString() == "n2:7000");
  nodes.clear();
  Wait(seconds(1));
  CHECK(dialer.connection(1).closed());
  CHECK(dialer.dials() == 2);
}

TEST_CASE_FIXTURE(Channel, "of several nodes another one is asked after each failure") {
  nodes.push_back({.host = "n2", .port = 7000, .unix_path = {}});
  Start();
  CHECK(dialer.last_endpoint().ToString() == "n1:7000");
  dialer.latest().End(Code::kUnavailable);
  Wait(milliseconds(300));
  REQUIRE(dialer.dials() == 2);
  CHECK(dialer.last_endpoint().ToString() == "n2:7000");
}

TEST_CASE_FIXTURE(Channel, "other settings are taken up at once") {
  Stand();
  config.invalidation.channels = {"other"};
  channel->Restart();
  channel->Tick();
  REQUIRE(dialer.dials() == 2);
  CHECK(dialer.connection(0).closed());
  dialer.latest().Open();
  CHECK(dialer.latest().TakeWritten() == Wire({"subscribe", "other"}));
}

}  // namespace
}  // namespace nearcached
