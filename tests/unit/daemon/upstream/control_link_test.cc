#include "daemon/upstream/control_link.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proto/encode.h"
#include "tests/support/fake_network.h"
#include "tests/support/fake_scheduler.h"

namespace nearcached {
namespace {

using std::chrono::milliseconds;

std::string Wire(std::vector<std::string_view> words) {
  std::string bytes;
  proto::AppendCommand(bytes, words);
  return bytes;
}

class ControlLinkFixture {
 public:
  FakeScheduler scheduler;
  FakeDialer dialer;
  ControlStats stats;
  std::vector<std::string> heard;
  std::optional<ControlLink> link;

  ControlLinkFixture() { Make({}, {}); }
  ~ControlLinkFixture() {
    link.reset();
    CHECK(scheduler.timers() == 0);
  }
  ControlLinkFixture(const ControlLinkFixture&) = delete;
  ControlLinkFixture& operator=(const ControlLinkFixture&) = delete;

  void Make(std::string user, std::string password) {
    link.emplace(scheduler, dialer, stats,
                 ControlLink::Terms{.endpoint = {.host = "n1", .port = 7000, .unix_path = {}},
                                    .username = std::move(user),
                                    .password = std::move(password),
                                    .timeout = milliseconds(500)});
  }

  ControlLink::Done Hear() {
    return [this](const Result<UpstreamReply>& reply) {
      heard.push_back(reply.ok() ? reply.value().text : "failed: " + reply.error().message);
    };
  }
  void Ask(std::string word) { link->Ask({std::move(word)}, Hear()); }
};

using Heard = std::vector<std::string>;

TEST_CASE_FIXTURE(ControlLinkFixture,
                  "a question dials, waits for the connection and is answered") {
  CHECK(dialer.dials() == 0);
  Ask("ROLE");
  REQUIRE(dialer.dials() == 1);
  CHECK(dialer.last_endpoint().ToString() == "n1:7000");
  CHECK(dialer.latest().TakeWritten().empty());
  dialer.latest().Open();
  CHECK(link->standing());
  CHECK(dialer.latest().TakeWritten() == Wire({"ROLE"}));
  dialer.latest().FeedByteByByte("$6\r\nmaster\r\n");
  CHECK(heard == Heard{"master"});
  Ask("PING");
  CHECK(dialer.dials() == 1);
  CHECK(dialer.latest().TakeWritten() == Wire({"PING"}));
  dialer.latest().Feed("+PONG\r\n");
  CHECK(heard == Heard{"master", "PONG"});
  CHECK(stats.answered.value() == 2);
}

TEST_CASE_FIXTURE(ControlLinkFixture, "it logs in first, with the user where there is one") {
  Make("u", "p");
  Ask("ROLE");
  dialer.latest().Open();
  CHECK(dialer.latest().TakeWritten() == Wire({"AUTH", "u", "p"}));
  CHECK_FALSE(link->standing());
  dialer.latest().Feed("+OK\r\n");
  CHECK(dialer.latest().TakeWritten() == Wire({"ROLE"}));
  Make("", "p");
  Ask("ROLE");
  dialer.latest().Open();
  CHECK(dialer.latest().TakeWritten() == Wire({"AUTH", "p"}));
}

TEST_CASE_FIXTURE(ControlLinkFixture, "a refused login fails the question without the password") {
  Make("u", "hidden");
  Ask("ROLE");
  dialer.latest().Open();
  dialer.latest().Feed("-ERR unknown command 'AUTH', with args beginning with: 'hidden'\r\n");
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].find("AUTH") != std::string::npos);
  CHECK(heard[0].find("hidden") == std::string::npos);
  CHECK(dialer.latest().closed());
}

TEST_CASE_FIXTURE(ControlLinkFixture, "an error of the server is an answer") {
  Ask("ROLE");
  dialer.latest().Open();
  dialer.latest().Feed("-NOAUTH Authentication required.\r\n");
  CHECK(heard == Heard{"NOAUTH Authentication required."});
  CHECK(link->standing());
}

TEST_CASE_FIXTURE(ControlLinkFixture,
                  "who asks too long is told, all are, and the next dials anew") {
  Ask("A");
  scheduler.Advance(milliseconds(300));
  Ask("B");
  scheduler.Advance(milliseconds(199));
  CHECK(heard.empty());
  scheduler.Advance(milliseconds(1));
  CHECK(heard == Heard{"failed: no connection in time", "failed: no connection in time"});
  CHECK(dialer.latest().closed());
  CHECK(stats.failed.value() == 2);
  Ask("C");
  CHECK(dialer.dials() == 2);
  dialer.latest().Open();
  CHECK(dialer.latest().TakeWritten() == Wire({"C"}));  // what was never sent is not sent now
  scheduler.Advance(milliseconds(500));
  CHECK(heard.back() == "failed: no answer in time");
}

TEST_CASE_FIXTURE(ControlLinkFixture, "a refused or lost connection, and what is not RESP, fail") {
  Ask("A");
  dialer.latest().End(Code::kUnavailable, "connection refused");
  CHECK(heard == Heard{"failed: connection refused"});
  Ask("B");
  dialer.latest().Open();
  dialer.latest().End(Code::kEof);
  CHECK(heard.back() == "failed: the connection was closed");
  Ask("C");
  dialer.latest().Open();
  dialer.latest().Feed("what?\r\n");
  CHECK(heard.back() == "failed: what came is not RESP");
  Ask("D");
  dialer.latest().Open();
  dialer.latest().Feed("+d\r\n+e\r\n");
  CHECK(heard.back() == "d");
  CHECK(dialer.latest().closed());  // +e is an answer to nothing
}

TEST_CASE_FIXTURE(ControlLinkFixture, "a reply without end is given up at a bound") {
  Ask("A");
  dialer.latest().Open();
  dialer.latest().Feed("$999999999\r\n");
  const std::string piece(std::size_t{1} << 20U, 'x');
  for (int i = 0; i < 17 && heard.empty(); ++i) {
    dialer.latest().Feed(piece);
  }
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].find("larger") != std::string::npos);
}

TEST_CASE_FIXTURE(ControlLinkFixture, "messages of channels are no answers") {
  std::vector<std::string> messages;
  link->SetOnMessage([&](std::string_view channel, std::string_view payload) {
    messages.push_back(std::string(channel) + "=" + std::string(payload));
  });
  link->Ask({"SUBSCRIBE", "+switch-master"}, Hear());
  dialer.latest().Open();
  dialer.latest().Feed("*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
  CHECK(heard.size() == 1);
  Ask("PING");
  dialer.latest().Feed(
      "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$3\r\nm a\r\n"
      "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  CHECK(messages == Heard{"+switch-master=m a"});
  CHECK(heard.size() == 2);
}

TEST_CASE_FIXTURE(ControlLinkFixture, "answers may ask again and close") {
  link->Ask({"A"}, [this](const Result<UpstreamReply>& reply) {
    CHECK(reply.ok());
    link->Close();
    Ask("C");
  });
  Ask("B");
  dialer.latest().Open();
  dialer.latest().Feed("+a\r\n+b\r\n");
  CHECK(dialer.dials() == 2);
  CHECK(heard.empty());
  scheduler.Advance(milliseconds(0));
  CHECK(heard == Heard{"failed: closed"});
  dialer.latest().Open();
  dialer.latest().Feed("+c\r\n");
  CHECK(heard.back() == "c");
}

TEST_CASE_FIXTURE(ControlLinkFixture, "a question is sent whole through a narrow connection") {
  Ask("AAAAAAAAAA");
  dialer.latest().SetRoom(4);
  dialer.latest().Open();
  std::string sent = dialer.latest().TakeWritten();
  while (sent.size() < Wire({"AAAAAAAAAA"}).size()) {
    dialer.latest().SetRoom(3);
    const std::string more = dialer.latest().TakeWritten();
    REQUIRE_FALSE(more.empty());
    sent += more;
  }
  CHECK(sent == Wire({"AAAAAAAAAA"}));
}

}  // namespace
}  // namespace nearcached
