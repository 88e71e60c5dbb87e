#include "daemon/admin/nearcache_handler.h"

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/admin/metric_registry.h"

namespace nearcached {
namespace {

using Args = std::vector<std::string_view>;
using proto::Protocol;

class FakeBackend final : public NearcacheBackend {
 public:
  const config::Config& CurrentConfig() const override { return current; }
  Explanation Explain(std::span<const std::string_view> command) const override {
    Explanation explanation;
    explanation.why = std::string(command[0]);
    return explanation;
  }
  std::size_t FlushCache(std::string_view prefix) override {
    flushed.emplace_back(prefix);
    return dropped;
  }
  std::size_t Invalidate(std::span<const std::string_view> keys) override {
    invalidated.insert(invalidated.end(), keys.begin(), keys.end());
    return 2;
  }
  void SetCacheEnabled(bool on) override { enabled.push_back(on); }
  std::vector<AdminRow> Pools() const override { return {{{"pool", "exclusive"}, {"idle", 3}}}; }
  std::vector<AdminRow> Upstreams() const override { return {}; }
  std::vector<AdminRow> Clients() const override { return {{{"id", 1}}, {{"id", 2}}}; }
  std::vector<AdminRow> Tracking() const override { return {}; }
  AdminRow State() const override { return {{"state", "running"}}; }
  void SetPaused(bool on) override { is_paused = on; }
  bool paused() const override { return is_paused; }
  bool quiet() const override { return is_quiet; }
  void Reconnect() override { done += "reconnect "; }
  bool KillClient(std::uint64_t id) override {
    done += "kill " + std::to_string(id) + " ";
    return id == 7;
  }
  void RequestReload() override { done += "reload "; }
  void RequestShutdown() override { done += "shutdown "; }

  bool is_paused = false;
  bool is_quiet = false;
  std::string done;

  config::Config current;
  std::size_t dropped = 17;
  std::vector<std::string> flushed;
  std::vector<std::string> invalidated;
  std::vector<bool> enabled;
};

struct Desk {
  std::string Say(const Args& args, Protocol protocol = Protocol::kResp2) {
    std::string out;
    last = handler.Handle({args, protocol, 0, again}, out);
    return out;
  }
  bool again = false;
  AdminHandler::Verdict last = AdminHandler::Verdict::kAnswered;
  MetricRegistry registry;
  Counter hits;
  FakeBackend backend;
  NearcacheHandler handler{registry, backend};
};

TEST_CASE("each subcommand does its one thing and gives exactly one reply") {
  Desk desk;
  desk.registry.AddCounter("nearcached_hits_total", "Hits.", {}, &desk.hits);
  desk.hits.Add(2);
  CHECK(desk.Say({"NEARCACHE", "STATS"}) == "*2\r\n$21\r\nnearcached_hits_total\r\n:2\r\n");
  CHECK(desk.Say({"NEARCACHE", "STATS", "other"}, Protocol::kResp3) == "%0\r\n");
  CHECK(desk.Say({"NEARCACHE", "FLUSH"}) == ":17\r\n");
  CHECK(desk.Say({"NEARCACHE", "FLUSH", "user:"}) == ":17\r\n");
  CHECK(desk.backend.flushed == std::vector<std::string>{"", "user:"});
  CHECK(desk.Say({"NEARCACHE", "INVALIDATE", "a", "b", "c"}) == ":2\r\n");
  CHECK(desk.backend.invalidated == std::vector<std::string>{"a", "b", "c"});
  CHECK(desk.Say({"NEARCACHE", "INVALIDATE"}).starts_with("-ERR wrong number of arguments"));
  CHECK(desk.Say({"NEARCACHE", "DISABLE"}) == "+OK\r\n");
  CHECK(desk.Say({"NEARCACHE", "ENABLE"}) == "+OK\r\n");
  CHECK(desk.backend.enabled == std::vector<bool>{false, true});
  CHECK(desk.Say({"NEARCACHE", "EXPLAIN", "GETX", "k"}).find("$4\r\nGETX\r\n") !=
        std::string::npos);
  CHECK(desk.Say({"NEARCACHE", "HELP"}).substr(0, 5) == "*39\r\n");
  CHECK(desk.Say({"NEARCACHE", "frob"}) ==
        "-ERR unknown subcommand 'frob'. Try NEARCACHE HELP.\r\n");
}

TEST_CASE("what there is comes as rows, maps where the client knows them") {
  Desk desk;
  CHECK(desk.Say({"NEARCACHE", "POOLS"}) ==
        "*1\r\n*4\r\n$4\r\npool\r\n$9\r\nexclusive\r\n$4\r\nidle\r\n:3\r\n");
  CHECK(desk.Say({"NEARCACHE", "clients"}, Protocol::kResp3) ==
        "*2\r\n%1\r\n$2\r\nid\r\n:1\r\n%1\r\n$2\r\nid\r\n:2\r\n");
  CHECK(desk.Say({"NEARCACHE", "UPSTREAMS"}) == "*0\r\n");
  CHECK(desk.Say({"NEARCACHE", "TRACKING"}) == "*0\r\n");
  CHECK(desk.Say({"NEARCACHE", "STATE"}, Protocol::kResp3) ==
        "%1\r\n$5\r\nstate\r\n$7\r\nrunning\r\n");
}

TEST_CASE("PAUSE answers when everything has paused, and not before") {
  Desk desk;
  CHECK(desk.Say({"NEARCACHE", "PAUSE"}).empty());
  CHECK(desk.last == AdminHandler::Verdict::kLater);
  CHECK(desk.backend.is_paused);
  desk.again = true;
  SUBCASE("it has") {
    desk.backend.is_quiet = true;
    CHECK(desk.Say({"NEARCACHE", "PAUSE"}) == "+OK\r\n");
    desk.again = false;
    CHECK(desk.Say({"NEARCACHE", "PAUSE"}) == "+OK\r\n");  // once more changes nothing
    CHECK(desk.Say({"NEARCACHE", "RESUME"}) == "+OK\r\n");
    CHECK_FALSE(desk.backend.is_paused);
  }
  SUBCASE("RESUME came first") {
    desk.backend.is_paused = false;
    CHECK(desk.Say({"NEARCACHE", "PAUSE"}).starts_with("-ERR nearcached: RESUME came before"));
    CHECK_FALSE(desk.backend.is_paused);
  }
}

TEST_CASE("the other verbs do what they say") {
  Desk desk;
  CHECK(desk.Say({"NEARCACHE", "RECONNECT"}) == "+OK\r\n");
  CHECK(desk.Say({"NEARCACHE", "KILL", "7"}) == "+OK\r\n");
  CHECK(desk.Say({"NEARCACHE", "KILL", "8"}) == "-ERR No such client ID\r\n");
  CHECK(desk.Say({"NEARCACHE", "KILL", "me"}).starts_with("-ERR nearcached: KILL takes the id"));
  CHECK(desk.Say({"NEARCACHE", "KILL", "0"}).starts_with("-ERR nearcached: KILL takes the id"));
  CHECK(desk.Say({"NEARCACHE", "RELOAD"}) == "+OK\r\n");
  CHECK(desk.Say({"NEARCACHE", "SHUTDOWN"}) == "+OK\r\n");
  CHECK(desk.Say({"NEARCACHE", "SHUTDOWN", "NOW"}).starts_with("-ERR wrong number"));
  CHECK(desk.backend.done == "reconnect kill 7 kill 8 reload shutdown ");
}

TEST_CASE("CONFIG shows the settings in effect and no secret") {
  Desk desk;
  desk.backend.current.upstream.password = "hunter2";
  desk.backend.current.l1.bytes = 123 * config::kMib;
  const std::string out = desk.Say({"NEARCACHE", "CONFIG"});
  CHECK(out.find("upstream.password\r\n$6\r\n******\r\n") != std::string::npos);
  CHECK(out.find("hunter2") == std::string::npos);
  CHECK(out.find("l1.bytes\r\n") != std::string::npos);
  CHECK(out.find("123") != std::string::npos);
}

TEST_CASE("an answer goes behind what the client is owed already") {
  Desk desk;
  const Args args = {"NEARCACHE", "FLUSH"};
  std::string out = "+PONG\r\n";
  desk.handler.Handle({args, Protocol::kResp2, 0}, out);
  CHECK(out == "+PONG\r\n:17\r\n");
}

TEST_CASE("a prefix is taken byte for byte, and what is wrong does nothing") {
  Desk desk;
  const std::string_view odd("\0*\r\n\xff", 5);
  CHECK(desk.Say({"NEARCACHE", "FLUSH", odd}) == ":17\r\n");
  CHECK(desk.backend.flushed == std::vector<std::string>{std::string(odd)});
  for (const Args& wrong : {Args{"NEARCACHE"}, Args{"NEARCACHE", "FLUSH", "a", "b"},
                            Args{"NEARCACHE", "DISABLE", "a"}, Args{"NEARCACHE", "EXPLAIN"}}) {
    const std::string reply = desk.Say(wrong);
    CHECK(reply.starts_with("-ERR "));
    CHECK(reply.find("\r\n") == reply.size() - 2);  // one line, whatever the arguments were
  }
  const std::string forged = desk.Say({"NEARCACHE", "x\r\n+OK"});
  CHECK(forged.starts_with("-ERR "));
  CHECK(forged.find("\r\n") == forged.size() - 2);
  CHECK(desk.backend.flushed.size() == 1);
  CHECK(desk.backend.enabled.empty());
}

TEST_CASE("flushing what is not there is an answer, not an error") {
  Desk desk;
  desk.backend.dropped = 0;
  CHECK(desk.Say({"NEARCACHE", "FLUSH", "nobody:"}) == ":0\r\n");
}

TEST_CASE("STATS speaks the protocol of the request and selects by prefix") {
  Desk desk;
  desk.registry.AddCounter("nearcached_hits_total", "Hits.", {}, &desk.hits);
  CHECK(desk.Say({"NEARCACHE", "STATS", "nearcached_h"}, Protocol::kResp3) ==
        "%1\r\n$21\r\nnearcached_hits_total\r\n:0\r\n");
  CHECK(desk.Say({"NEARCACHE", "STATS", "hits"}) == "*0\r\n");
}

TEST_CASE("CONFIG hides every kind of secret, and selects by prefix") {
  Desk desk;
  desk.backend.current.upstream.url = "redis://app:hunter1@10.0.0.7:6379/2";
  desk.backend.current.upstream.password = "hunter2";
  config::ListenerConfig listener;
  listener.address = "127.0.0.1:6380";
  listener.password = "hunter3";
  desk.backend.current.listeners = {listener};
  for (const Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    const std::string out = desk.Say({"NEARCACHE", "CONFIG"}, protocol);
    CHECK(out.find("hunter") == std::string::npos);
    CHECK(out.find("10.0.0.7") != std::string::npos);
    CHECK(out.find("listeners[0].password\r\n$6\r\n******\r\n") != std::string::npos);
  }
  const std::string l1 = desk.Say({"NEARCACHE", "CONFIG", "l1."});
  CHECK(l1.find("l1.ttl") != std::string::npos);
  CHECK(l1.find("upstream") == std::string::npos);
}

TEST_CASE("EXPLAIN hands the command on as it is, and answers in the client's protocol") {
  Desk desk;
  CHECK(desk.Say({"NEARCACHE", "EXPLAIN", "GET", "k"}, Protocol::kResp3).starts_with("%4\r\n"));
  CHECK(desk.Say({"NEARCACHE", "EXPLAIN", "GET", "k"}).starts_with("*8\r\n"));
}

}  // namespace
}  // namespace nearcached
