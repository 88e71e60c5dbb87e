#include "daemon/net/fd_stream.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <sys/epoll.h>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/daemon/net/net_fixture.h"

namespace nearcached {
namespace {

static_assert(sizeof(FdStream) + sizeof(uv_poll_t) < 512, "an idle client stays cheap");

struct Wire {
  explicit Wire(SocketPair pair)
      : peer(std::move(pair.theirs)),
        stream(FdStream::Adopt(loop, pair.ours.Release(), handler, "127.0.0.1:1")) {}
  UvLoop loop;
  RecordingHandler handler;
  Fd peer;
  std::unique_ptr<ByteStream> stream;
};

std::string Pattern(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) {
    text[i] = static_cast<char>('a' + (i * 31 + i / 997) % 26);
  }
  return text;
}

// Offers `rest` until the kernel is full; keeps what was not taken.
void Offer(ByteStream& stream, std::string_view& rest) {
  rest.remove_prefix(WriteTo(stream, rest));
}

TEST_CASE("bytes go both ways, one read call for each message") {
  Wire wire(TcpPair());
  WriteAvailable(wire.peer, "ping");
  RunUntil(wire.loop, [&] { return wire.handler.received == "ping"; });
  CHECK(wire.loop.stream_stats().reads.value() == 1);
  CHECK(wire.loop.stream_stats().bytes_read.value() == 4);
  CHECK(WriteTo(*wire.stream, "pong") == 4);
  CHECK(wire.loop.stream_stats().writes.value() == 1);
  std::string answer;
  RunUntil(wire.loop, [&] { return (answer += ReadAvailable(wire.peer)) == "pong"; });
  CHECK(wire.stream->PeerName() == "127.0.0.1:1");
}

TEST_CASE("many parts are sent in order, more of them than one system call takes") {
  Wire wire(UnixPair());
  std::string expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 2500; ++i) {
    texts.push_back(std::to_string(i) + (i % 7 == 0 ? "" : ","));
  }
  std::vector<iovec> parts;
  for (std::string& text : texts) {
    expected += text;
    parts.push_back({text.data(), text.size()});
  }
  CHECK(wire.stream->Write(parts) == expected.size());
  CHECK(ReadAvailable(wire.peer) == expected);
}

TEST_CASE("a short write is followed by OnWritable until all is out, in order and once") {
  for (const bool is_tcp : {false, true}) {
    CAPTURE(is_tcp);
    Wire wire(is_tcp ? TcpPair() : UnixPair());
    const std::string all = Pattern(std::size_t{32} << 20U);
    std::string_view rest = all;
    Offer(*wire.stream, rest);
    REQUIRE_FALSE(rest.empty());
    CHECK(WriteTo(*wire.stream, rest) == 0);  // no room yet: refused without asking the kernel
    CHECK(wire.loop.stream_stats().writes.value() == 1);
    wire.handler.on_writable = [&] { Offer(*wire.stream, rest); };
    std::string got;
    const auto reader = wire.loop.AtTurnEnd([&] { got += ReadAvailable(wire.peer); });
    RunUntil(wire.loop, [&] { return got.size() >= all.size(); });
    CHECK(got == all);
    CHECK(wire.loop.stream_stats().bytes_written.value() == all.size());
    const int writables = wire.handler.writables;
    RunTurns(wire.loop, 3);
    CHECK(wire.handler.writables == writables);  // one-shot: quiet when nothing is owed
  }
}

TEST_CASE("destroying a stream with 32 MiB still to write delivers exactly what was accepted") {
  Wire wire(TcpPair());
  const std::string all = Pattern(std::size_t{32} << 20U);
  std::string_view rest = all;
  Offer(*wire.stream, rest);
  const std::size_t accepted = all.size() - rest.size();
  wire.stream.reset();
  std::string got;
  bool saw_end = false;
  const auto reader = wire.loop.AtTurnEnd([&] { got += ReadAvailable(wire.peer, &saw_end); });
  while (!saw_end) {
    RunTurns(wire.loop, 1);
  }
  CHECK(got == all.substr(0, accepted));
}

TEST_CASE("the owner may destroy the stream inside OnBytes, OnWritable and OnEnd") {
  SUBCASE("OnBytes, with more bytes waiting") {
    Wire wire(UnixPair());
    wire.handler.on_bytes = [&] { wire.stream.reset(); };
    const std::string much = Pattern(3 * UvLoop::kReadBufferBytes);
    WriteAvailable(wire.peer, much);
    RunUntil(wire.loop, [&] { return wire.stream == nullptr; });
    CHECK(wire.handler.reads == 1);
  }
  SUBCASE("OnWritable") {
    Wire wire(UnixPair());
    const std::string all = Pattern(std::size_t{8} << 20U);
    CHECK(WriteTo(*wire.stream, all) < all.size());
    wire.handler.on_writable = [&] { wire.stream.reset(); };
    ReadAvailable(wire.peer);
    WriteAvailable(wire.peer, "never seen");  // readable in the same event as writable
    RunUntil(wire.loop, [&] { return wire.stream == nullptr; });
    CHECK(wire.handler.writables == 1);
    CHECK(wire.handler.reads == 0);
  }
  SUBCASE("OnEnd, orderly") {
    Wire wire(UnixPair());
    wire.handler.on_end = [&] { wire.stream.reset(); };
    wire.peer.Close();
    RunUntil(wire.loop, [&] { return wire.stream == nullptr; });
    CHECK(wire.handler.end->code == Code::kEof);
  }
  SUBCASE("OnEnd, reset") {
    Wire wire(TcpPair());
    wire.handler.on_end = [&] { wire.stream.reset(); };
    ResetPeer(wire.peer);
    RunUntil(wire.loop, [&] { return wire.stream == nullptr; });
    CHECK(wire.handler.end->code == Code::kUnavailable);
  }
  SUBCASE("after a failed write, before its OnEnd") {
    Wire wire(UnixPair());
    wire.peer.Close();
    CHECK(WriteTo(*wire.stream, "lost") == 4);
    wire.stream.reset();
    RunTurns(wire.loop, 2);
    CHECK(wire.handler.ends == 0);
  }
}

TEST_CASE("a peer that has finished sending can still be written to") {
  Wire wire(TcpPair());
  WriteAvailable(wire.peer, "last words");
  REQUIRE(shutdown(wire.peer.get(), SHUT_WR) == 0);
  RunUntil(wire.loop, [&] { return wire.handler.ends == 1; });
  CHECK(wire.handler.received == "last words");
  CHECK(wire.handler.end->code == Code::kEof);
  CHECK(WriteTo(*wire.stream, "answer") == 6);
  std::string answer;
  RunUntil(wire.loop, [&] { return (answer += ReadAvailable(wire.peer)) == "answer"; });
  RunTurns(wire.loop, 3);
  CHECK(wire.handler.ends == 1);  // and the loop does not spin on the end of file
  CHECK(wire.loop.stream_stats().broken.value() == 0);
}

TEST_CASE("a reset is told from an orderly end, after the bytes that came before it") {
  Wire wire(TcpPair());
  WriteAvailable(wire.peer, "before");
  ResetPeer(wire.peer);
  RunUntil(wire.loop, [&] { return wire.handler.ends == 1; });
  CHECK(wire.handler.end->code == Code::kUnavailable);
  CHECK(wire.handler.end->message == "connection reset by peer");
  CHECK(wire.loop.stream_stats().broken.value() == 1);
  CHECK(WriteTo(*wire.stream, "into the void") == 13);
  RunTurns(wire.loop, 3);
  CHECK(wire.handler.ends == 1);
}

TEST_CASE("a failed write raises no signal, takes everything and is told later, from the loop") {
  Wire wire(UnixPair());
  wire.peer.Close();
  CHECK(WriteTo(*wire.stream, "one") == 3);
  CHECK(wire.handler.ends == 0);
  CHECK(WriteTo(*wire.stream, "two") == 3);
  RunUntil(wire.loop, [&] { return wire.handler.ends == 1; });
  CHECK(wire.handler.end->code == Code::kUnavailable);
  RunTurns(wire.loop, 3);
  CHECK(wire.handler.ends == 1);
}

TEST_CASE("after the end of file, a failed write is swallowed and not reported a second time") {
  Wire wire(UnixPair());
  wire.peer.Close();
  RunUntil(wire.loop, [&] { return wire.handler.ends == 1; });
  CHECK(WriteTo(*wire.stream, "gone") == 4);
  CHECK(WriteTo(*wire.stream, "gone") == 4);
  RunTurns(wire.loop, 3);
  CHECK(wire.handler.ends == 1);
  CHECK(wire.handler.end->code == Code::kEof);
}

TEST_CASE("a paused stream hands out nothing, and everything once resumed") {
  Wire wire(UnixPair());
  wire.stream->SetReading(false);
  WriteAvailable(wire.peer, "held back");
  RunTurns(wire.loop, 5);
  CHECK(wire.handler.reads == 0);
  CHECK(wire.loop.stream_stats().reads.value() == 0);
  wire.stream->SetReading(true);
  RunUntil(wire.loop, [&] { return wire.handler.received == "held back"; });
}

TEST_CASE("pausing inside OnBytes stops the reads of that very event") {
  Wire wire(UnixPair());
  const int room = static_cast<int>(4 * UvLoop::kReadBufferBytes);
  REQUIRE(setsockopt(wire.peer.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) == 0);
  const std::string much = Pattern(2 * UvLoop::kReadBufferBytes);
  REQUIRE(WriteAvailable(wire.peer, much) == much.size());
  wire.handler.on_bytes = [&] { wire.stream->SetReading(false); };
  RunUntil(wire.loop, [&] { return wire.handler.reads == 1; });
  RunTurns(wire.loop, 3);
  CHECK(wire.handler.reads == 1);
  wire.handler.on_bytes = nullptr;
  wire.stream->SetReading(true);
  RunUntil(wire.loop, [&] { return wire.handler.received == much; });
}

TEST_CASE("a stream with very much to say lets the loop turn between") {
  Wire wire(UnixPair());
  const int room = static_cast<int>(32 * UvLoop::kReadBufferBytes);
  REQUIRE(setsockopt(wire.peer.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) == 0);
  const std::string much = Pattern(10 * UvLoop::kReadBufferBytes);
  REQUIRE(WriteAvailable(wire.peer, much) == much.size());
  int most_in_a_turn = 0;
  int reads_before = 0;
  const auto hook = wire.loop.AtTurnEnd([&] {
    most_in_a_turn = std::max(most_in_a_turn, wire.handler.reads - reads_before);
    reads_before = wire.handler.reads;
  });
  RunUntil(wire.loop, [&] { return wire.handler.received.size() == much.size(); });
  CHECK(wire.handler.received == much);
  CHECK(most_in_a_turn > 1);
  CHECK(most_in_a_turn <= 4);
}

// What epoll itself says of the loop's sockets (proc(5), fdinfo of an epoll descriptor).
bool WatchesEdges(UvLoop& loop) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(uv_backend_fd(loop.raw())));
  bool found = false;
  for (std::string word; info >> word;) {
    if (word == "events:" && info >> word) {
      found = found || (std::stoul(word, nullptr, 16) & EPOLLET) != 0;
    }
  }
  return found;
}

// Sends one byte at a time until the stream has been moved to edges.
void MoveToEdges(Wire& wire) {
  for (int i = 1; i <= FdStream::kReadsBeforeEdges; ++i) {
    REQUIRE_FALSE(WatchesEdges(wire.loop));
    WriteAvailable(wire.peer, "x");
    RunUntil(wire.loop, [&] { return wire.handler.reads == i; });
  }
  REQUIRE(WatchesEdges(wire.loop));
  wire.handler.received.clear();
}

TEST_CASE("edges: nothing is lost of what comes in one event") {
  Wire wire(TcpPair());
  MoveToEdges(wire);
  SUBCASE("bytes") {
    WriteAvailable(wire.peer, "one");
    RunUntil(wire.loop, [&] { return wire.handler.received == "one"; });
    CHECK(WatchesEdges(wire.loop));
  }
  SUBCASE("bytes and the end of the stream") {
    WriteAvailable(wire.peer, "last words");
    shutdown(wire.peer.get(), SHUT_WR);
    RunUntil(wire.loop, [&] { return wire.handler.ends == 1; });
    CHECK(wire.handler.received == "last words");
    CHECK(wire.handler.end->code == Code::kEof);
  }
  SUBCASE("bytes, and the end while the owner had paused") {
    wire.handler.on_bytes = [&] { wire.stream->SetReading(false); };
    WriteAvailable(wire.peer, "last words");
    shutdown(wire.peer.get(), SHUT_WR);
    RunUntil(wire.loop, [&] { return wire.handler.received == "last words"; });
    RunTurns(wire.loop, 3);
    CHECK(wire.handler.ends == 0);
    wire.stream->SetReading(true);
    RunUntil(wire.loop, [&] { return wire.handler.ends == 1; });
  }
  SUBCASE("bytes and a reset") {
    WriteAvailable(wire.peer, "last words");
    ResetPeer(wire.peer);
    RunUntil(wire.loop, [&] { return wire.handler.ends == 1; });
    CHECK(wire.handler.end->code == Code::kUnavailable);
  }
  SUBCASE("bytes that came while the owner had paused") {
    wire.stream->SetReading(false);
    WriteAvailable(wire.peer, "held back");
    RunTurns(wire.loop, 3);
    CHECK(wire.handler.received.empty());
    wire.stream->SetReading(true);
    RunUntil(wire.loop, [&] { return wire.handler.received == "held back"; });
  }
  SUBCASE("more than a stream may read in one turn") {
    const int room = static_cast<int>(32 * UvLoop::kReadBufferBytes);
    REQUIRE(setsockopt(wire.peer.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) == 0);
    const std::string much = Pattern(10 * UvLoop::kReadBufferBytes);
    std::string_view rest = much;
    const auto writer =
        wire.loop.AtTurnEnd([&] { rest.remove_prefix(WriteAvailable(wire.peer, rest)); });
    RunUntil(wire.loop, [&] { return wire.handler.received.size() == much.size(); });
    CHECK(wire.handler.received == much);
  }
}

TEST_CASE("edges: waiting for room is level-triggered, and edges come back after it") {
  Wire wire(TcpPair());
  MoveToEdges(wire);
  const std::string all = Pattern(std::size_t{32} << 20U);
  std::string_view rest = all;
  Offer(*wire.stream, rest);
  REQUIRE_FALSE(rest.empty());
  wire.handler.on_writable = [&] { Offer(*wire.stream, rest); };
  std::string got;
  {
    const auto reader = wire.loop.AtTurnEnd([&] { got += ReadAvailable(wire.peer); });
    RunUntil(wire.loop, [&] { return got.size() >= all.size(); });
  }
  CHECK(got == all);
  RunTurns(wire.loop, 2);
  wire.handler.reads = 0;
  MoveToEdges(wire);
}

TEST_CASE("edges: a unix socket stays with levels") {
  Wire wire(UnixPair());
  for (int i = 1; i <= 2 * FdStream::kReadsBeforeEdges; ++i) {
    WriteAvailable(wire.peer, "x");
    RunUntil(wire.loop, [&] { return wire.handler.reads == i; });
  }
  CHECK_FALSE(WatchesEdges(wire.loop));
}

TEST_CASE("a paused stream that waits for room learns of a reset") {
  Wire wire(TcpPair());
  const std::string all = Pattern(std::size_t{32} << 20U);
  CHECK(WriteTo(*wire.stream, all) < all.size());
  wire.stream->SetReading(false);
  ResetPeer(wire.peer);
  RunUntil(wire.loop, [&] { return wire.handler.ends == 1; });
  CHECK(wire.handler.end->code == Code::kUnavailable);
}

TEST_CASE("closing with unread bytes does not destroy the reply before the peer has read it") {
  Wire wire(TcpPair());
  wire.stream->SetReading(false);
  WriteAvailable(wire.peer, Pattern(100'000));
  RunTurns(wire.loop, 2);
  CHECK(WriteTo(*wire.stream, "-ERR protocol error\r\n") == 21);
  wire.stream.reset();
  bool saw_end = false;
  std::string got;
  RunTurns(wire.loop, 2);
  while (!saw_end) {
    got += ReadAvailable(wire.peer, &saw_end);
    RunTurns(wire.loop, 1);
  }
  CHECK(got == "-ERR protocol error\r\n");
}

TEST_CASE("a descriptor that cannot be watched gives a broken stream, told from the loop") {
  UvLoop loop;
  RecordingHandler handler;
  const Fd file(open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto stream = FdStream::Adopt(loop, dup(file.get()), handler, "nobody");
  CHECK(handler.ends == 0);
  CHECK(WriteTo(*stream, "x") == 1);
  stream->SetReading(true);
  RunUntil(loop, [&] { return handler.ends == 1; });
}

}  // namespace
}  // namespace nearcached
