// The upstream at the other end of a FakeDialer: answers handshakes, keeps the rest for the test.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fake_network.h"

namespace nearcached {

class FakeServer {
 public:
  explicit FakeServer(FakeDialer& dialer) : dialer_(dialer) {}
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() = default;

  // What it says to the sidecar's own questions. An empty answer leaves the question to the test.
  bool accepts = true;  // false: connections that are dialled stay as they are
  std::string away{};   // the host that refuses them; empty: none does
  std::string hello = "%2\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n";
  std::string auth = "+OK\r\n";
  std::string select = "+OK\r\n";
  std::string client = "+OK\r\n";     // CLIENT SETNAME
  std::string client_id = ":77\r\n";  // of every connection
  std::string tracking = "+OK\r\n";
  std::string ping = "+PONG\r\n";
  std::string command = "-ERR unknown command 'COMMAND'\r\n";

  // Takes in what was dialled and written, and answers what it answers by itself. True when
  // something happened.
  bool Pump();

  // The requests that wait for an answer, in the order they came: "GET k".
  [[nodiscard]] std::vector<std::string> Asked() const;

  // Answers the oldest request that reads like this. It must be the next one of its connection,
  // as no server answers out of order.
  void Answer(std::string_view request, std::string_view reply);
  // Where that request came in.
  FakeConnection& ConnectionOf(std::string_view request);
  // The same as an address, "host:port": several servers may be played at once.
  std::string PlaceOf(std::string_view request);
  // All places where requests that read like this wait, the oldest first.
  [[nodiscard]] std::vector<std::string> PlacesOf(std::string_view request) const;
  // As Answer, of the one that waits at `place`.
  void AnswerAt(std::string_view place, std::string_view request, std::string_view reply);
  // The latest connection that asked for tracking and is open.
  FakeConnection& tracking_connection();

  // How many times something like this was asked in all, handshakes included.
  [[nodiscard]] std::size_t Times(std::string_view request) const;

 private:
  struct Request {
    std::string text;
    std::uint64_t order = 0;
  };
  struct Peer {
    FakeConnection* connection = nullptr;
    std::string unparsed;
    std::deque<Request> waiting;
    bool tracks = false;
  };

  void TakeRequests(Peer& peer);
  bool AnswerOwn(Peer& peer);
  static void AnswerPeer(Peer& peer, std::string_view request, std::string_view reply);
  [[nodiscard]] const std::string* OwnAnswer(std::string_view request) const;
  Peer& PeerOf(std::string_view request);
  [[nodiscard]] std::string PlaceAt(const Peer& peer) const;
  // Those with such a request, by the age of the oldest of each.
  [[nodiscard]] std::map<std::uint64_t, std::size_t> PeersWith(std::string_view request) const;

  FakeDialer& dialer_;
  std::deque<Peer> peers_;
  std::vector<std::string> log_;
  std::uint64_t next_order_ = 0;
};

}  // namespace nearcached
