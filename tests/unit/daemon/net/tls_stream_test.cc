#include "daemon/net/tls_stream.h"

#include <memory>
#include <string>

#include "tests/unit/daemon/net/tls_fixture.h"

namespace nearcached {
namespace {

std::string Pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) {
    text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  }
  return text;
}

TEST_CASE_FIXTURE(TlsFixture, "a handshake, then bytes both ways") {
  Connect();
  CHECK(client.owner.opens == 0);
  Carry();
  CHECK(client.owner.opens == 1);
  CHECK(server.owner.opens == 0);  // accepted streams are open from the start
  CHECK(client.stats.handshakes_full.value() == 1);
  CHECK(server.stats.handshakes_full.value() == 1);
  CHECK(client.Write("PING\r\n") == 6);
  Carry();
  CHECK(server.owner.received == "PING\r\n");
  CHECK(server.Write("+PONG\r\n") == 7);
  Carry();
  CHECK(client.owner.received == "+PONG\r\n");
}

TEST_CASE_FIXTURE(TlsFixture, "nothing on the wire is readable") {
  Connect();
  Carry();
  CHECK(client.Write("correct horse battery") == 21);
  CHECK(client.wire.TakeWritten().find("horse") == std::string::npos);
}

TEST_CASE("a connection cut into single bytes says the same, with TLS 1.2 and 1.3") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsFixture fixture;
    fixture.Speak(version);
    fixture.Connect();
    fixture.Carry(1);
    REQUIRE(fixture.client.owner.opens == 1);
    const std::string text = Pattern(40'000);
    CHECK(fixture.client.Write(text) == text.size());
    CHECK(fixture.server.Write(text) == text.size());
    fixture.Carry(1);
    CHECK(fixture.server.owner.received == text);
    CHECK(fixture.client.owner.received == text);
  }
}

TEST_CASE("a handshake that breaks off at any byte is a failure of both sides, told once") {
  // The length of the client's and the server's parts differ a little from one to the next, so the
  // cut is counted in what the client has sent, up to beyond all of it.
  for (std::size_t cut = 0; cut < 700; cut += 7) {
    TlsFixture fixture;
    fixture.Connect();
    std::size_t left = cut;
    bool is_busy = true;
    while (is_busy) {
      std::string bytes = fixture.client.wire.TakeWritten();
      bytes.resize(std::min(bytes.size(), left));
      left -= bytes.size();
      fixture.server.wire.Feed(bytes);
      is_busy = !bytes.empty();
      is_busy = TlsFixture::Move(fixture.server, fixture.client, 1000) || is_busy;
    }
    const bool was_server_done = fixture.server.stats.handshakes_full.value() == 1;
    fixture.server.wire.End(Code::kEof);
    fixture.client.wire.End(Code::kUnavailable, "connection reset");
    CHECK(fixture.server.owner.ends == 1);
    CHECK(fixture.client.owner.ends == 1);
    CHECK(fixture.client.owner.end->code == Code::kUnavailable);
    CHECK(fixture.server.failures(TlsFailure::kClosed) == (was_server_done ? 0 : 1));
    CHECK(fixture.server.owner.received.empty());
  }
}

TEST_CASE("a flipped byte anywhere in the handshake is an error, not a crash") {
  for (std::size_t flip = 0; flip < 1200; flip += 3) {
    TlsFixture fixture;
    fixture.Connect();
    std::size_t at = 0;
    for (int round = 0; round < 4; ++round) {
      for (const bool up : {true, false}) {
        TlsEnd& from = up ? fixture.client : fixture.server;
        TlsEnd& to = up ? fixture.server : fixture.client;
        std::string bytes = from.wire.TakeWritten();
        if (flip >= at && flip < at + bytes.size()) {
          bytes[flip - at] = static_cast<char>(bytes[flip - at] ^ 0x55);
        }
        at += bytes.size();
        to.wire.Feed(bytes);
      }
    }
    CHECK(fixture.client.owner.ends <= 1);
    CHECK(fixture.server.owner.ends <= 1);
    CHECK(fixture.server.owner.received.empty());
  }
}

TEST_CASE_FIXTURE(TlsFixture, "a client that speaks plain RESP is told apart, and closed") {
  server_context = Load(server_options);
  server.stream = MakeStream({server_context, "", ""}, server, handshake_timeout);
  server.wire.Feed("*1\r\n$4\r\nPING\r\n");
  REQUIRE(server.owner.end);
  CHECK(server.owner.end->message.find("does not speak TLS") != std::string::npos);
  CHECK(server.failures(TlsFailure::kNotTls) == 1);
  CHECK(server.wire.TakeWritten() == kTlsWantedReply);
  CHECK(server.Write("swallowed") == 9);
}

TEST_CASE_FIXTURE(TlsFixture, "an upstream that speaks plain RESP is told apart") {
  Connect();
  client.wire.Feed("-ERR unknown command\r\n");
  REQUIRE(client.owner.end);
  CHECK(client.owner.end->message.find("redis://") != std::string::npos);
  CHECK(client.failures(TlsFailure::kNotTls) == 1);
  CHECK(client.owner.opens == 0);
}

TEST_CASE_FIXTURE(TlsFixture, "a client that never finishes its handshake is closed") {
  Connect();
  Move(client, server, 10);
  scheduler.Advance(handshake_timeout);
  REQUIRE(server.owner.end);
  CHECK(server.owner.end->code == Code::kTimeout);
  CHECK(server.failures(TlsFailure::kTimeout) == 1);
}

TEST_CASE_FIXTURE(TlsFixture, "the certificate must be for the name that was dialled") {
  Connect("other.test");
  Carry();
  REQUIRE(client.owner.end);
  CHECK(client.owner.end->message.find("is not for other.test") != std::string::npos);
  CHECK(client.failures(TlsFailure::kName) == 1);
  CHECK(client.owner.opens == 0);
}

TEST_CASE_FIXTURE(TlsFixture, "verify: ca does not ask for the name, and still for the CA") {
  client_options.verify = TlsVerify::kCa;
  Connect("other.test");
  Carry();
  CHECK(client.owner.opens == 1);
}

TEST_CASE_FIXTURE(TlsFixture, "a certificate for an address is verified as an address") {
  files.Make("server", {.issuer = "ca", .ip = "127.0.0.1"});
  Connect("127.0.0.1");
  Carry();
  CHECK(client.owner.opens == 1);
}

TEST_CASE_FIXTURE(TlsFixture,
                  "a certificate of an unknown CA is refused, and verify: none is not") {
  files.Make("stranger", {.is_ca = true});
  client_options.ca_file = files.Cert("stranger");
  SUBCASE("refused") {
    Connect();
    Carry();
    REQUIRE(client.owner.end);
    CHECK(client.owner.end->message.find("upstream.tls.ca_file") != std::string::npos);
    CHECK(client.failures(TlsFailure::kUnknownCa) == 1);
    CHECK(server.failures(TlsFailure::kRefusedByPeer) == 1);
  }
  SUBCASE("not verified") {
    client_options.verify = TlsVerify::kNone;
    Connect();
    Carry();
    CHECK(client.owner.opens == 1);
  }
}

TEST_CASE_FIXTURE(TlsFixture, "an expired certificate is refused with that reason") {
  files.Make("server", {.issuer = "ca", .dns = "redis.test", .begins_days = -9, .ends_days = -1});
  Connect();
  Carry();
  REQUIRE(client.owner.end);
  CHECK(client.owner.end->message.find("has expired") != std::string::npos);
  CHECK(client.failures(TlsFailure::kExpired) == 1);
}

TEST_CASE("a listener that requires certificates turns away who has none or a stranger's") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsFixture fixture;
    fixture.server_options.client_auth = TlsClientAuth::kRequired;
    fixture.server_options.ca_file = fixture.files.Cert("ca");
    SUBCASE("none") {
      fixture.Speak(version);
      fixture.Connect();
      fixture.Carry();
      CHECK(fixture.server.failures(TlsFailure::kNoCertificate) == 1);
      REQUIRE(fixture.client.owner.end);
      CHECK(fixture.client.owner.end->message.find("cert_file") != std::string::npos);
      CHECK(fixture.client.failures(TlsFailure::kRefusedByPeer) == 1);
    }
    SUBCASE("a good one") {
      fixture.client_options.cert_file = fixture.files.Cert("client");
      fixture.client_options.key_file = fixture.files.Key("client");
      fixture.Speak(version);
      fixture.Connect();
      fixture.Carry();
      CHECK(fixture.client.owner.opens == 1);
      CHECK(fixture.server.stats.handshakes_full.value() == 1);
    }
    SUBCASE("a stranger's") {
      fixture.files.Make("stranger", {});
      fixture.client_options.cert_file = fixture.files.Cert("stranger");
      fixture.client_options.key_file = fixture.files.Key("stranger");
      fixture.Speak(version);
      fixture.Connect();
      fixture.Carry();
      CHECK(fixture.server.failures(TlsFailure::kUnknownCa) == 1);
      REQUIRE(fixture.server.owner.end);
      CHECK(fixture.server.owner.end->message.find("client_ca_file") != std::string::npos);
    }
  }
}

TEST_CASE_FIXTURE(TlsFixture, "no version in common says so on both sides") {
  Speak(TLS1_2_VERSION);
  server_options.min_version = TlsVersion::k13;
  server_context = Load(server_options);
  Connect();
  Carry();
  REQUIRE(server.owner.end);
  CHECK(server.owner.end->message.find("min_version") != std::string::npos);
  CHECK(server.failures(TlsFailure::kVersion) == 1);
  REQUIRE(client.owner.end);
  CHECK(client.owner.end->message.find("min_version") != std::string::npos);
  CHECK(client.failures(TlsFailure::kVersion) == 1);
}

TEST_CASE_FIXTURE(TlsFixture, "no cipher in common says so") {
  client_options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
  server_options.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
  Speak(TLS1_2_VERSION);
  Connect();
  Carry();
  CHECK(server.failures(TlsFailure::kCipher) == 1);
}

TEST_CASE_FIXTURE(TlsFixture, "the next connection to a peer resumes the session of the last") {
  Connect();
  Carry();
  client.Write("x");
  Carry();
  TlsEnd again_server;
  TlsEnd again_client;
  again_server.stream = MakeStream({server_context, "", ""}, again_server, Duration::zero());
  again_client.stream =
      MakeStream({client_context, "redis.test", "redis.test"}, again_client, Duration::zero());
  again_client.wire.Open();
  while (Move(again_client, again_server, 1000) || Move(again_server, again_client, 1000)) {
  }
  CHECK(again_client.owner.opens == 1);
  CHECK(again_client.stats.handshakes_resumed.value() == 1);
  CHECK(again_server.stats.handshakes_resumed.value() == 1);
}

// ---- back-pressure ------------------------------------------------------------------------------

TEST_CASE_FIXTURE(TlsFixture, "a peer that takes little is given everything in the end, in order") {
  Connect();
  Carry();
  const std::string text = Pattern(1'000'000);
  std::size_t sent = 0;
  client.wire.SetRoom(0);
  int short_writes = 0;
  const auto write = [&] {
    while (sent < text.size()) {
      const std::size_t taken = client.Write(std::string_view(text).substr(sent));
      sent += taken;
      if (sent < text.size()) {
        ++short_writes;
        return;
      }
    }
  };
  client.owner.on_writable = write;
  write();
  CHECK(sent == 0);
  for (int i = 0; i < 2'000 && sent < text.size(); ++i) {
    client.wire.SetRoom(1'000 + static_cast<std::size_t>(i % 7) * 333);
    Move(client, server, 5'000);
  }
  client.wire.SetRoom(FakeConnection::kEndless);
  Carry();
  CHECK(sent == text.size());
  CHECK(server.owner.received == text);
  CHECK(short_writes > 5);
}

TEST_CASE_FIXTURE(TlsFixture, "what Write took has left even when the stream is destroyed next") {
  Connect();
  Carry();
  const std::string text = Pattern(300'000);
  client.wire.SetRoom(150'000);
  const std::size_t taken = client.Write(text);
  CHECK(taken > 0);
  CHECK(taken < text.size());
  client.stream.reset();
  Move(client, server, 5'000);
  CHECK(server.owner.received.substr(0, taken) == text.substr(0, taken));
}

TEST_CASE_FIXTURE(TlsFixture, "a stream that takes nothing holds no more than one chunk") {
  Connect();
  Carry();
  client.wire.SetRoom(1);
  const std::string text = Pattern(10'000'000);
  CHECK(client.Write(text) == 0);
  CHECK(client.Write(text) == 0);
  client.wire.SetRoom(FakeConnection::kEndless);
  CHECK(client.wire.TakeWritten().size() < 70'000);
  CHECK(client.owner.writables == 1);
}

TEST_CASE_FIXTURE(TlsFixture, "nothing is handed up while the owner does not read") {
  Connect();
  Carry();
  const std::string text = Pattern(500'000);
  server.owner.on_bytes = [&] {
    if (server.owner.pieces == 1) {
      server.stream->SetReading(false);
    }
  };
  CHECK(client.Write(text) == text.size());
  Move(client, server, 1U << 20U);  // one large piece, which is paused in its middle
  CHECK(server.owner.pieces == 1);
  CHECK_FALSE(server.wire.reading());
  CHECK(server.owner.received.size() <= TlsScratch::kPlainBytes);
  server.stream->SetReading(true);
  CHECK(server.owner.pieces == 1);  // never from inside a method
  scheduler.Advance(Duration::zero());
  CHECK(server.owner.received == text);
}

TEST_CASE_FIXTURE(TlsFixture, "an end that comes while bytes are kept is told after them") {
  Connect();
  Carry();
  server.owner.on_bytes = [&] {
    if (server.owner.pieces == 1) {
      server.stream->SetReading(false);
    }
  };
  const std::string text = Pattern(200'000);
  CHECK(client.Write(text) == text.size());
  Move(client, server, 1U << 20U);
  server.wire.End(Code::kEof);
  CHECK(server.owner.ends == 0);
  server.stream->SetReading(true);
  scheduler.Advance(Duration::zero());
  CHECK(server.owner.received == text);
  CHECK(server.owner.ends == 1);
  CHECK(server.owner.end->code == Code::kEof);
  CHECK(server.stats.truncated.value() == 1);
}

TEST_CASE_FIXTURE(TlsFixture, "an owner that pauses before the handshake is done is not read to") {
  server_context = Load(server_options);
  Connect();
  server.stream->SetReading(false);
  Carry();
  CHECK(client.owner.opens == 1);
  CHECK_FALSE(server.wire.reading());
  CHECK(client.Write("later") == 5);
  Carry();
  CHECK(server.owner.received.empty());
  server.stream->SetReading(true);
  server.wire.Feed("");
  scheduler.Advance(Duration::zero());
  CHECK(server.owner.received == "later");
}

TEST_CASE_FIXTURE(TlsFixture, "what is written before the handshake is done waits for it") {
  Connect();
  CHECK(server.Write("early") == 0);
  server.owner.on_writable = [&] { CHECK(server.Write("early") == 5); };
  Carry();
  CHECK(server.owner.writables == 1);
  CHECK(client.owner.received == "early");
}

// ---- the end ------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(TlsFixture, "half a close: who has finished sending still gets the replies") {
  Connect();
  Carry();
  client.Write("last request");
  client.stream.reset();  // close_notify, as a client's shutdown sends it
  Move(client, server, 1000);
  CHECK(server.owner.received == "last request");
  REQUIRE(server.owner.end);
  CHECK(server.owner.end->code == Code::kEof);
  CHECK(server.stats.truncated.value() == 0);
  CHECK(server.Write("last reply") == 10);
  CHECK_FALSE(server.wire.TakeWritten().empty());
}

TEST_CASE_FIXTURE(TlsFixture, "a reset is told as it is, once") {
  Connect();
  Carry();
  server.wire.End(Code::kUnavailable, "connection reset");
  REQUIRE(server.owner.end);
  CHECK(server.owner.end->code == Code::kUnavailable);
  CHECK(server.owner.ends == 1);
  CHECK(server.Write("swallowed") == 9);
}

TEST_CASE_FIXTURE(TlsFixture, "garbage after the handshake ends the connection") {
  Connect();
  Carry();
  server.wire.Feed(std::string("\x17\x03\x03\0\x20", 5) + std::string(32, 'g'));
  REQUIRE(server.owner.end);
  CHECK(server.owner.end->code == Code::kUnavailable);
  CHECK(server.owner.received.empty());
}

TEST_CASE_FIXTURE(TlsFixture, "a stream may be destroyed in each of its callbacks") {
  SUBCASE("opened") {
    client.owner.on_open = [&] { client.stream.reset(); };
    Connect();
    Carry();
    CHECK(client.owner.opens == 1);
  }
  SUBCASE("bytes") {
    Connect();
    Carry();
    server.owner.on_bytes = [&] { server.stream.reset(); };
    client.Write(Pattern(300'000));
    Carry();
    CHECK(server.owner.pieces == 1);
  }
  SUBCASE("writable") {
    Connect();
    Carry();
    client.owner.on_writable = [&] { client.stream.reset(); };
    client.wire.SetRoom(5);
    client.Write("more than five");
    client.wire.SetRoom(FakeConnection::kEndless);
    CHECK(client.owner.writables == 1);
  }
  SUBCASE("writable after the handshake") {
    Connect();
    server.owner.on_writable = [&] { server.stream.reset(); };
    CHECK(server.Write("early") == 0);
    Carry();
    CHECK(server.owner.writables == 1);
  }
  SUBCASE("end") {
    Connect();
    client.owner.on_end = [&] { client.stream.reset(); };
    client.wire.Feed("-ERR plain\r\n");
    CHECK(client.owner.ends == 1);
  }
  SUBCASE("end by the deadline") {
    Connect();
    server.owner.on_end = [&] { server.stream.reset(); };
    scheduler.Advance(handshake_timeout);
    CHECK(server.owner.ends == 1);
  }
  CHECK((client.stream == nullptr || server.stream == nullptr));
}

}  // namespace
}  // namespace nearcached
