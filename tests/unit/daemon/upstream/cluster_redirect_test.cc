#include "daemon/upstream/cluster_redirect.h"

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using Kind = Redirect::Kind;

Redirect Parse(std::string_view reply) {
  Endpoint asked;
  asked.host = "10.0.0.9";
  asked.port = 7000;
  return ParseRedirect(reply, asked);
}

TEST_CASE("MOVED and ASK name a slot and a place, in all forms of an address") {
  struct Case {
    std::string_view reply;
    Kind kind;
    Slot slot;
    std::string_view host;
    int port;
  };
  for (const Case& c :
       {Case{"-MOVED 3999 127.0.0.1:6381\r\n", Kind::kMoved, 3999, "127.0.0.1", 6381},
        Case{"-ASK 16383 127.0.0.1:6381\r\n", Kind::kAsk, 16383, "127.0.0.1", 6381},
        Case{"-MOVED 0 ::1:6381\r\n", Kind::kMoved, 0, "::1", 6381},
        Case{"-MOVED 0 [fe80::1]:6381\r\n", Kind::kMoved, 0, "fe80::1", 6381},
        Case{"-MOVED 1 node-3.example:6381\r\n", Kind::kMoved, 1, "node-3.example", 6381},
        Case{"-MOVED 1 :6382\r\n", Kind::kMoved, 1, "10.0.0.9", 6382},
        Case{"-ASK 1 ?:6382\r\n", Kind::kAsk, 1, "10.0.0.9", 6382}}) {
    CAPTURE(c.reply);
    const Redirect redirect = Parse(c.reply);
    CHECK(redirect.kind == c.kind);
    CHECK(redirect.slot == c.slot);
    CHECK(redirect.to.host == c.host);
    CHECK(redirect.to.port == c.port);
  }
}

TEST_CASE("a redirection is followed over TLS where it came over TLS") {
  CHECK(Parse("-MOVED 1 127.0.0.1:6381\r\n").to.tls == TlsUse::kNone);
  Endpoint asked;
  asked.tls = TlsUse::kUpstream;
  CHECK(ParseRedirect("-MOVED 1 127.0.0.1:6381\r\n", asked).to.tls == TlsUse::kUpstream);
  CHECK(ParseRedirect("-ASK 1 127.0.0.1:6381\r\n", asked).to.tls == TlsUse::kUpstream);
}

TEST_CASE("TRYAGAIN and CLUSTERDOWN are told apart from other errors") {
  CHECK(Parse("-TRYAGAIN Multiple keys request during rehashing of slot\r\n").kind ==
        Kind::kTryAgain);
  CHECK(Parse("-CLUSTERDOWN The cluster is down\r\n").kind == Kind::kClusterDown);
  CHECK(Parse("-CLUSTERDOWN The cluster is down and only accepts read commands\r\n").kind ==
        Kind::kClusterDown);
  CHECK(Parse("-CLUSTERDOWN Hash slot not served\r\n").kind == Kind::kUnserved);
  CHECK(Parse("-ERR no such thing\r\n").kind == Kind::kNone);
  CHECK(Parse("+MOVED 1 127.0.0.1:6381\r\n").kind == Kind::kNone);
}

TEST_CASE("a redirection that makes no sense is an answer like any other") {
  for (const std::string_view reply :
       {"-MOVED 16384 127.0.0.1:6381\r\n", "-MOVED -1 127.0.0.1:6381\r\n",
        "-MOVED x 127.0.0.1:6381\r\n", "-MOVED 1 127.0.0.1:0\r\n", "-MOVED 1 127.0.0.1:65536\r\n",
        "-MOVED 1 127.0.0.1\r\n", "-MOVED 1\r\n", "-MOVED \r\n", "-MOVED\r\n",
        "-ASK 1 127.0.0.1:63x1\r\n", "-MOVED 1 127.0.0.1:6381", "", "-", "-\r\n", "\r\n"}) {
    CAPTURE(reply);
    CHECK(Parse(reply).kind == Kind::kNone);
  }
}

}  // namespace
}  // namespace nearcached
