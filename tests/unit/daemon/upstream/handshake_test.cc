#include "daemon/upstream/handshake.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using Verdict = Handshake::Verdict;
using Protocol = proto::Protocol;

constexpr const char* kHello =
    "%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n";
constexpr const char* kOk = "+OK\r\n";
constexpr const char* kPong = "+PONG\r\n";

struct Exchange {
  std::string command;  // expected, words joined by blanks
  std::string reply;
};

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

// Plays the exchanges; all but the last must lead on. Returns the last verdict.
Verdict Play(Handshake& handshake, const std::vector<Exchange>& exchanges) {
  Verdict verdict = Verdict::kNext;
  for (const Exchange& exchange : exchanges) {
    REQUIRE(verdict == Verdict::kNext);
    CHECK(Joined(handshake.Command()) == exchange.command);
    const auto reply = ParseUpstreamReply(exchange.reply);
    REQUIRE(reply.has_value());
    verdict = handshake.OnReply(*reply);
  }
  return verdict;
}

TEST_CASE("a RESP2 lane says its name and asks whether the server is ready") {
  Handshake handshake({});
  CHECK(Play(handshake, {{"CLIENT SETNAME nearcached", kOk}, {"PING", kPong}}) == Verdict::kDone);
  CHECK(handshake.protocol() == Protocol::kResp2);
  CHECK_FALSE(handshake.armed());
  CHECK(handshake.server_version().empty());
}

TEST_CASE("a link to a cluster's replica says that it only reads, or does not stand") {
  Handshake handshake({.read_only = true});
  const std::vector<Exchange> before = {{"CLIENT SETNAME nearcached", kOk}, {"PING", kPong}};
  CHECK(Play(handshake, before) == Verdict::kNext);
  SUBCASE("taken") {
    CHECK(Play(handshake, {{"READONLY", kOk}}) == Verdict::kDone);
  }
  SUBCASE("refused") {
    CHECK(Play(handshake, {{"READONLY", "-ERR This instance has cluster support disabled\r\n"}}) ==
          Verdict::kFailed);
    CHECK(handshake.failure().find("READONLY") != std::string::npos);
  }
}

TEST_CASE("a RESP3 lane says hello") {
  Handshake handshake({.protocol = Protocol::kResp3});
  CHECK(Play(handshake, {{"HELLO 3 SETNAME nearcached", kHello}, {"PING", kPong}}) ==
        Verdict::kDone);
  CHECK(handshake.protocol() == Protocol::kResp3);
  CHECK(handshake.server_version() == "7.0.15");
  CHECK_FALSE(handshake.resp3_refused());
}

TEST_CASE("a fill link turns tracking on, last") {
  Handshake handshake(
      {.db = 4, .protocol = Protocol::kResp3, .fallback_to_resp2 = true, .track = true});
  CHECK(Play(handshake, {{"HELLO 3 SETNAME nearcached", kHello},
                         {"SELECT 4", kOk},
                         {"PING", kPong},
                         {"CLIENT TRACKING ON", kOk}}) == Verdict::kDone);
  CHECK(handshake.armed());
  CHECK(handshake.tracking_refusal().empty());
}

TEST_CASE(
    "where the primary may change, a node is asked whether it is one, and a replica refused") {
  constexpr const char* kReplica =
      "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:7\r\n";
  Handshake primary({.protocol = Protocol::kResp3, .track = true, .primary_only = true});
  CHECK(Play(primary, {{"HELLO 3 SETNAME nearcached", kHello},
                       {"PING", kPong},
                       {"ROLE", "*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n"},
                       {"CLIENT TRACKING ON", kOk}}) == Verdict::kDone);
  Handshake replica({.primary_only = true});
  CHECK(Play(replica, {{"CLIENT SETNAME nearcached", kOk}, {"PING", kPong}, {"ROLE", kReplica}}) ==
        Verdict::kFailed);
  CHECK(replica.failure() == "the node is a replica");
}

TEST_CASE("a password goes with HELLO, or with AUTH where there is no HELLO") {
  SUBCASE("RESP3, password alone") {
    Handshake handshake({.password = "secret", .protocol = Protocol::kResp3});
    CHECK(Play(handshake, {{"HELLO 3 AUTH default secret SETNAME nearcached", kHello},
                           {"PING", kPong}}) == Verdict::kDone);
  }
  SUBCASE("RESP3, with a user") {
    Handshake handshake({.username = "app", .password = "secret", .protocol = Protocol::kResp3});
    CHECK(Play(handshake, {{"HELLO 3 AUTH app secret SETNAME nearcached", kHello},
                           {"PING", kPong}}) == Verdict::kDone);
  }
  SUBCASE("RESP2, password alone") {
    Handshake handshake({.password = "secret", .db = 2});
    CHECK(Play(handshake, {{"AUTH secret", kOk},
                           {"CLIENT SETNAME nearcached", kOk},
                           {"SELECT 2", kOk},
                           {"PING", kPong}}) == Verdict::kDone);
  }
  SUBCASE("RESP2, with a user") {
    Handshake handshake({.username = "app", .password = "secret"});
    CHECK(Play(handshake,
               {{"AUTH app secret", kOk}, {"CLIENT SETNAME nearcached", kOk}, {"PING", kPong}}) ==
          Verdict::kDone);
  }
}

TEST_CASE("a fill link makes do with a server that knows no RESP3, without tracking") {
  for (const char* refusal :
       {"-ERR unknown command 'HELLO'\r\n", "-NOPROTO unsupported protocol version\r\n"}) {
    CAPTURE(refusal);
    Handshake handshake({.password = "secret",
                         .protocol = Protocol::kResp3,
                         .fallback_to_resp2 = true,
                         .track = true});
    CHECK(Play(handshake, {{"HELLO 3 AUTH default secret SETNAME nearcached", refusal},
                           {"AUTH secret", kOk},
                           {"CLIENT SETNAME nearcached", kOk},
                           {"PING", kPong}}) == Verdict::kDone);
    CHECK(handshake.protocol() == Protocol::kResp2);
    CHECK(handshake.resp3_refused());
    CHECK_FALSE(handshake.armed());
    CHECK(handshake.tracking_refusal() == "the server does not speak RESP3");
  }
}

TEST_CASE("a user is in the database that was selected before it logged in") {
  constexpr const char* kNoPerm =
      "-NOPERM this user has no permissions to run the 'select' command\r\n";
  Handshake handshake(
      {.username = "bob", .password = "secret", .db = 9, .login = LoginKind::kClient});
  SUBCASE("who may select it") {
    CHECK(Play(handshake, {{"SELECT 9", "-NOAUTH Authentication required.\r\n"},
                           {"AUTH bob secret", kOk},
                           {"CLIENT SETNAME nearcached", kOk},
                           {"SELECT 9", kOk},
                           {"PING", kPong}}) == Verdict::kDone);
  }
  SUBCASE("who may not") {
    CHECK(Play(handshake, {{"SELECT 9", kOk},
                           {"AUTH bob secret", kOk},
                           {"CLIENT SETNAME nearcached", kNoPerm},
                           {"SELECT 9", kNoPerm},
                           {"PING", kNoPerm}}) == Verdict::kDone);
  }
  SUBCASE("where nobody may") {
    CHECK(Play(handshake, {{"SELECT 9", kNoPerm},
                           {"AUTH bob secret", kOk},
                           {"CLIENT SETNAME nearcached", kNoPerm},
                           {"SELECT 9", kNoPerm}}) == Verdict::kFailed);
    CHECK(handshake.failure().find("SELECT 9 was answered with: NOPERM") == 0);
  }
  SUBCASE("which is not there") {
    CHECK(Play(handshake, {{"SELECT 9", "-ERR DB index is out of range\r\n"},
                           {"AUTH bob secret", kOk},
                           {"CLIENT SETNAME nearcached", kOk},
                           {"SELECT 9", "-ERR DB index is out of range\r\n"}}) == Verdict::kFailed);
  }
}

TEST_CASE("a link for RESP3 clients does not make do with RESP2") {
  Handshake handshake({.protocol = Protocol::kResp3});
  CHECK(Play(handshake, {{"HELLO 3 SETNAME nearcached", "-NOPROTO sorry\r\n"}}) ==
        Verdict::kFailed);
  CHECK(handshake.resp3_refused());
  CHECK(handshake.failure() == "the upstream does not speak RESP3");
}

TEST_CASE("a server that refuses to track is used all the same, and its words are kept") {
  Handshake handshake({.protocol = Protocol::kResp3, .track = true});
  CHECK(Play(handshake, {{"HELLO 3 SETNAME nearcached", kHello},
                         {"PING", kPong},
                         {"CLIENT TRACKING ON", "-ERR unknown subcommand 'TRACKING'\r\n"}}) ==
        Verdict::kDone);
  CHECK_FALSE(handshake.armed());
  CHECK(handshake.tracking_refusal() == "ERR unknown subcommand 'TRACKING'");
}

struct FailureCase {
  const char* name;
  HandshakeTerms terms;
  std::vector<Exchange> exchanges;
  std::string failure;
};

const FailureCase kFailures[] = {
    {"no password where one is needed, RESP2",
     {},
     {{"CLIENT SETNAME nearcached", "-NOAUTH Authentication required.\r\n"},
      {"PING", "-NOAUTH Authentication required.\r\n"}},
     "PING was answered with: NOAUTH Authentication required.; set upstream.password"},
    {"no password where one is needed, RESP3",
     {.protocol = Protocol::kResp3},
     {{"HELLO 3 SETNAME nearcached", "-NOAUTH HELLO must be called\r\n"}},
     "HELLO was answered with: NOAUTH HELLO must be called; set upstream.password"},
    {"a wrong password, RESP3",
     {.password = "secret", .protocol = Protocol::kResp3, .fallback_to_resp2 = true},
     {{"HELLO 3 AUTH default secret SETNAME nearcached", "-WRONGPASS invalid pair\r\n"}},
     "HELLO was answered with: WRONGPASS invalid pair; check upstream.username and "
     "upstream.password"},
    {"a wrong password, RESP2",
     {.password = "secret"},
     {{"AUTH secret", "-WRONGPASS invalid pair\r\n"}},
     "AUTH was answered with: WRONGPASS invalid pair; check upstream.username and "
     "upstream.password"},
    {"a wrong password, Redis before 6",
     {.password = "secret"},
     {{"AUTH secret", "-ERR invalid password\r\n"}},
     "AUTH was answered with: ERR invalid password; check upstream.username and "
     "upstream.password"},
    {"loading, RESP3",
     {.protocol = Protocol::kResp3, .fallback_to_resp2 = true, .track = true},
     {{"HELLO 3 SETNAME nearcached", kHello}, {"PING", "-LOADING Redis is loading\r\n"}},
     "PING was answered with: LOADING Redis is loading"},
    {"no such database",
     {.db = 99},
     {{"CLIENT SETNAME nearcached", kOk}, {"SELECT 99", "-ERR DB index is out of range\r\n"}},
     "SELECT 99 was answered with: ERR DB index is out of range"},
};

TEST_CASE("a failed handshake says what was answered, and what would mend it; never a password") {
  for (const FailureCase& c : kFailures) {
    CAPTURE(c.name);
    Handshake handshake(c.terms);
    CHECK(Play(handshake, c.exchanges) == Verdict::kFailed);
    CHECK(handshake.failure() == c.failure);
    CHECK(handshake.failure().find("secret") == std::string::npos);
  }
}

TEST_CASE("who may not set a name or PING is let in: what it may do shows later") {
  Handshake handshake({});
  CHECK(Play(handshake, {{"CLIENT SETNAME nearcached", "-NOPERM no\r\n"},
                         {"PING", "-NOPERM no\r\n"}}) == Verdict::kDone);
}

TEST_CASE("what a server says of itself cannot forge a line") {
  Handshake handshake({.protocol = Protocol::kResp3, .track = true});
  const std::string hello = "%1\r\n$7\r\nversion\r\n$9\r\n7.0\r\n-ERR\r\n";
  CHECK(Play(handshake, {{"HELLO 3 SETNAME nearcached", hello}}) == Verdict::kNext);
  CHECK(handshake.server_version() ==
        "7.0?"
        "?-ERR");
}

}  // namespace
}  // namespace nearcached
