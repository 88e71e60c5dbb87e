#include "daemon/admin/nearcache_command.h"

#include <chrono>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using Kind = NearcacheRequest::Kind;
using Args = std::vector<std::string_view>;
using proto::Protocol;

std::string ParseError(const Args& args) {
  const auto parsed = ParseNearcache(args);
  return parsed.ok() ? "" : parsed.error().message;
}

TEST_CASE("subcommands are recognised in any case, with their arguments") {
  const Args flush = {"NEARCACHE", "fLuSh", "user:"};
  CHECK(ParseNearcache(flush).value().kind == Kind::kFlush);
  CHECK(ParseNearcache(flush).value().prefix == "user:");
  const Args stats = {"nearcache", "STATS"};
  CHECK(ParseNearcache(stats).value().kind == Kind::kStats);
  CHECK(ParseNearcache(stats).value().prefix.empty());
  const Args explain = {"NEARCACHE", "EXPLAIN", "MGET", "a", "b"};
  const auto parsed = ParseNearcache(explain);
  CHECK(parsed.value().kind == Kind::kExplain);
  REQUIRE(parsed.value().command.size() == 3);
  CHECK(parsed.value().command[0] == "MGET");
  for (const std::string_view name : {"CONFIG", "ENABLE", "DISABLE", "HELP"}) {
    const Args args = {"NEARCACHE", name};
    CHECK(ParseNearcache(args).ok());
  }
}

TEST_CASE("wrong subcommands and counts get Redis's words") {
  CHECK(ParseError({"NEARCACHE"}) == "ERR wrong number of arguments for 'nearcache' command");
  CHECK(ParseError({"NEARCACHE", "EXPLAIN"}) ==
        "ERR wrong number of arguments for 'nearcache|explain' command");
  CHECK(ParseError({"NEARCACHE", "FLUSH", "a", "b"}) ==
        "ERR wrong number of arguments for 'nearcache|flush' command");
  CHECK(ParseError({"NEARCACHE", "ENABLE", "now"}) ==
        "ERR wrong number of arguments for 'nearcache|enable' command");
  CHECK(ParseError({"NEARCACHE", "frob"}) == "ERR unknown subcommand 'frob'. Try NEARCACHE HELP.");
}

TEST_CASE("STATS is a map of names to integers and doubles") {
  const std::vector<StatLine> lines = {
      {"a_total", 42}, {"b", -3}, {"c_seconds_sum", 0.5}, {"big_total", 9007199254740992.0}};
  std::string resp3;
  AppendStats(resp3, lines, Protocol::kResp3);
  CHECK(resp3 ==
        "%4\r\n$7\r\na_total\r\n:42\r\n$1\r\nb\r\n:-3\r\n$13\r\nc_seconds_sum\r\n,0.5\r\n"
        "$9\r\nbig_total\r\n:9007199254740992\r\n");
  std::string resp2;
  AppendStats(resp2, lines, Protocol::kResp2);
  CHECK(resp2 ==
        "*8\r\n$7\r\na_total\r\n:42\r\n$1\r\nb\r\n:-3\r\n$13\r\nc_seconds_sum\r\n$3\r\n0.5\r\n"
        "$9\r\nbig_total\r\n:9007199254740992\r\n");
}

TEST_CASE("STATS shows what is not finite as a double") {
  const std::vector<StatLine> lines = {{"p99", std::numeric_limits<double>::infinity()},
                                       {"fds", std::numeric_limits<double>::quiet_NaN()}};
  std::string out;
  AppendStats(out, lines, Protocol::kResp3);
  CHECK(out == "%2\r\n$3\r\np99\r\n,inf\r\n$3\r\nfds\r\n,nan\r\n");
}

TEST_CASE("CONFIG is a map of paths to values, selected by prefix") {
  const std::vector<std::pair<std::string, std::string>> settings = {
      {"l1.bytes", "64mb"}, {"l1.ttl", "5s"}, {"upstream.password", "******"}};
  std::string out;
  AppendConfig(out, settings, "l1.", Protocol::kResp3);
  CHECK(out == "%2\r\n$8\r\nl1.bytes\r\n$4\r\n64mb\r\n$6\r\nl1.ttl\r\n$2\r\n5s\r\n");
  out.clear();
  AppendConfig(out, settings, "", Protocol::kResp2);
  CHECK(out.substr(0, 4) == "*6\r\n");
  out.clear();
  AppendConfig(out, settings, "nothing", Protocol::kResp2);
  CHECK(out == "*0\r\n");
}

TEST_CASE("EXPLAIN tells the verdict and one map for each key") {
  Explanation explanation;
  explanation.cacheable = true;
  explanation.reason = Reason::kCacheable;
  explanation.why = "it is";
  Explanation::Key key;
  key.key = "k";
  key.policy.cache = true;
  key.policy.reason = Reason::kCacheable;
  key.policy.ttl = std::chrono::milliseconds(1500);
  key.policy.negative_ttl = std::chrono::milliseconds(250);
  key.policy.stale_if_error = std::chrono::seconds(3);
  key.policy.ttl_jitter = 0.25;
  key.policy.entry_bytes_max = 1024;
  key.rule = "defaults of l1";
  key.why = "w";
  explanation.keys = {key};
  const std::string why_not(ReasonName(Reason::kCacheable));
  const std::string reason =
      "$6\r\nreason\r\n$" + std::to_string(why_not.size()) + "\r\n" + why_not + "\r\n";

  std::string out;
  AppendExplanation(out, explanation, Protocol::kResp3);
  CHECK(out == "%4\r\n$9\r\ncacheable\r\n#t\r\n" + reason +
                   "$3\r\nwhy\r\n$5\r\nit is\r\n$4\r\nkeys\r\n*1\r\n"
                   "%11\r\n$3\r\nkey\r\n$1\r\nk\r\n$5\r\nwrite\r\n#f\r\n$9\r\ncacheable\r\n#t\r\n" +
                   reason +
                   "$3\r\nwhy\r\n$1\r\nw\r\n$4\r\nrule\r\n$14\r\ndefaults of l1\r\n"
                   "$6\r\nttl_ms\r\n:1500\r\n$15\r\nnegative_ttl_ms\r\n:250\r\n$17\r\nstale_if_"
                   "error_ms\r\n:3000\r\n"
                   "$10\r\nttl_jitter\r\n,0.25\r\n$15\r\nentry_bytes_max\r\n:1024\r\n");
  out.clear();
  AppendExplanation(out, explanation, Protocol::kResp2);
  CHECK(out.substr(0, 23) == "*8\r\n$9\r\ncacheable\r\n:1\r\n");
  CHECK(out.find("*22\r\n$3\r\nkey\r\n") != std::string::npos);
}

TEST_CASE("HELP has a line for each subcommand") {
  std::string out;
  AppendHelp(out);
  CHECK(out.substr(0, 5) == "*39\r\n");
  for (const char* name : {"STATS", "CONFIG", "EXPLAIN", "FLUSH", "ENABLE", "DISABLE", "POOLS",
                           "UPSTREAMS", "CLIENTS", "STATE", "TRACKING", "PAUSE", "RESUME",
                           "RECONNECT", "KILL", "RELOAD", "SHUTDOWN", "HELP"}) {
    CHECK(out.find(std::string("\r\n+") + name) != std::string::npos);
  }
}

}  // namespace
}  // namespace nearcached
