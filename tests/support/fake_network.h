// Connections that lead nowhere: they record what is written and say what a test feeds them.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/byte_stream.h"

namespace nearcached {

// The test's end of one stream. Outlives the stream that it makes.
class FakeConnection {
 public:
  FakeConnection() = default;
  FakeConnection(const FakeConnection&) = delete;
  FakeConnection& operator=(const FakeConnection&) = delete;
  ~FakeConnection() = default;

  // The other end, for the code under test. Once only.
  [[nodiscard]] std::unique_ptr<ByteStream> MakeStream(ByteStreamHandler& handler);

  // What happens to the stream. Nothing does once it is closed, and no bytes come while it does not
  // read: those wait, as in a socket, and are fed by the first Feed after reading was resumed.
  void Open();
  void Feed(std::string_view bytes);
  void FeedByteByByte(std::string_view bytes);
  void End(Code code, std::string message = "gone");
  // The peer is gone, but that lies behind bytes that are not read, so nobody is told.
  void EndUnread() { ended_ = true; }

  // Everything that was written since the last call.
  [[nodiscard]] std::string TakeWritten();
  // How many bytes Write takes from now on; when there is room again after a short write, the
  // handler is told.
  void SetRoom(std::size_t bytes);
  static constexpr std::size_t kEndless = std::numeric_limits<std::size_t>::max();

  [[nodiscard]] bool opened() const { return opened_; }
  [[nodiscard]] bool closed() const { return made_ && handler_ == nullptr; }
  [[nodiscard]] bool reading() const { return reading_; }
  [[nodiscard]] std::size_t writes() const { return writes_; }

 private:
  class Stream;

  ByteStreamHandler* handler_ = nullptr;  // null: not made yet, or closed
  std::string written_;
  std::string unread_;
  std::size_t room_ = kEndless;
  std::size_t writes_ = 0;
  bool made_ = false;
  bool opened_ = false;
  bool ended_ = false;
  bool reading_ = true;
  bool short_write_ = false;
};

// Every dial makes a connection that stands or fails when the test says so.
class FakeDialer final : public Dialer {
 public:
  [[nodiscard]] std::unique_ptr<ByteStream> Dial(const Endpoint& to,
                                                 ByteStreamHandler& handler) override;

  [[nodiscard]] std::size_t dials() const { return connections_.size(); }
  // In the order they were dialled.
  FakeConnection& connection(std::size_t i) { return *connections_.at(i); }
  FakeConnection& latest() { return *connections_.back(); }
  [[nodiscard]] const Endpoint& last_endpoint() const { return endpoints_.back(); }
  // Where that connection was dialled to.
  [[nodiscard]] const Endpoint& endpoint(std::size_t i) const { return endpoints_.at(i); }

 private:
  std::vector<std::unique_ptr<FakeConnection>> connections_;
  std::vector<Endpoint> endpoints_;
};

}  // namespace nearcached
