#include "daemon/base/out_buffer.h"

#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"
#include "tests/support/fake_network.h"

namespace nearcached {
namespace {

class Nobody final : public ByteStreamHandler {
 public:
  void OnBytes(std::span<char> /*bytes*/) override {}
  void OnWritable() override {}
  void OnEnd(const Error& /*why*/) override {}
};

struct Peer {
  Nobody nobody;
  FakeConnection connection;
  std::unique_ptr<ByteStream> stream = connection.MakeStream(nobody);
};

TEST_CASE("small pieces are written together, in one go") {
  Peer peer;
  OutBuffer out;
  out.Append("one ");
  out.Tail() += "two ";
  out.Append("three");
  CHECK(out.size() == 13);
  CHECK(out.Flush(*peer.stream));
  CHECK(peer.connection.TakeWritten() == "one two three");
  CHECK(peer.connection.writes() == 1);
  CHECK(out.empty());
}

TEST_CASE("an empty buffer bothers nobody") {
  Peer peer;
  OutBuffer out;
  CHECK(out.Flush(*peer.stream));
  CHECK(peer.connection.writes() == 0);
}

TEST_CASE("a shared piece goes out in its place and is held until its last byte is written") {
  Peer peer;
  OutBuffer out;
  const auto value = std::make_shared<const std::string>(100, 'x');
  out.Append("before ");
  out.AppendShared(*value, value);
  out.Append(" after");
  CHECK(value.use_count() == 2);

  peer.connection.SetRoom(7 + 99);
  CHECK_FALSE(out.Flush(*peer.stream));
  CHECK(value.use_count() == 2);
  CHECK(out.size() == 1 + 6);

  peer.connection.SetRoom(1);
  CHECK_FALSE(out.Flush(*peer.stream));
  CHECK(value.use_count() == 1);

  peer.connection.SetRoom(FakeConnection::kEndless);
  CHECK(out.Flush(*peer.stream));
  CHECK(peer.connection.TakeWritten() == "before " + *value + " after");
}

TEST_CASE("more pieces than one write can take all arrive in order") {
  Peer peer;
  OutBuffer out;
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    const auto piece = std::make_shared<const std::string>("<" + std::to_string(i) + ">");
    out.AppendShared(*piece, piece);
    expected += *piece;
  }
  out.Append("end");
  CHECK(out.Flush(*peer.stream));
  CHECK(peer.connection.TakeWritten() == expected + "end");
}

TEST_CASE("whatever the room and whatever comes meanwhile, every byte is written once, in order") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Peer peer;
    OutBuffer out;
    std::string expected;
    std::string written;
    for (int step = 0; step < 400; ++step) {
      const std::string piece(rng.Below(rng.Below(20) == 0 ? 100'000 : 200),
                              static_cast<char>('a' + step % 26));
      expected += piece;
      if (rng.Below(3) == 0) {
        const auto shared = std::make_shared<const std::string>(piece);
        out.AppendShared(*shared, shared);
      } else {
        out.Append(piece);
      }
      peer.connection.SetRoom(rng.Below(rng.Below(10) == 0 ? 300'000 : 300));
      const bool all = out.Flush(*peer.stream);
      written += peer.connection.TakeWritten();
      REQUIRE(all == out.empty());
      REQUIRE(out.size() == expected.size() - written.size());
    }
    peer.connection.SetRoom(FakeConnection::kEndless);
    REQUIRE(out.Flush(*peer.stream));
    written += peer.connection.TakeWritten();
    REQUIRE(written == expected);
  }
}

TEST_CASE("a cleared buffer forgets what was not written, and lets go of what it shared") {
  Peer peer;
  OutBuffer out;
  const auto value = std::make_shared<const std::string>("shared");
  out.Append("lost");
  out.AppendShared(*value, value);
  peer.connection.SetRoom(2);
  CHECK_FALSE(out.Flush(*peer.stream));
  out.Clear();
  CHECK(out.empty());
  CHECK(value.use_count() == 1);
  out.Append("new");
  peer.connection.SetRoom(FakeConnection::kEndless);
  CHECK(out.Flush(*peer.stream));
  CHECK(peer.connection.TakeWritten() == "lonew");
}

TEST_CASE("the memory of one large reply is not kept for the life of the client") {
  Peer peer;
  OutBuffer out;
  out.Append(std::string(1'000'000, 'x'));
  CHECK(out.Flush(*peer.stream));
  CHECK(out.Tail().capacity() <= 64 * 1024);
}

}  // namespace
}  // namespace nearcached
