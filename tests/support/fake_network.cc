#include "tests/support/fake_network.h"

#include <algorithm>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

class FakeConnection::Stream final : public ByteStream {
 public:
  explicit Stream(FakeConnection& connection) : connection_(connection) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() override { connection_.handler_ = nullptr; }

  std::size_t Write(std::span<const iovec> parts) override {
    ++connection_.writes_;
    std::size_t offered = 0;
    std::size_t taken = 0;
    for (const iovec& part : parts) {
      offered += part.iov_len;
      const std::size_t n = std::min(part.iov_len, connection_.room_ - taken);
      connection_.written_.append(static_cast<const char*>(part.iov_base), n);
      taken += n;
    }
    if (connection_.room_ != kEndless) {
      connection_.room_ -= taken;
    }
    connection_.short_write_ = taken < offered;
    return taken;
  }

  void SetReading(bool on) override { connection_.reading_ = on; }
  [[nodiscard]] bool PeerHasEnded() const override { return connection_.ended_; }
  [[nodiscard]] std::string PeerName() const override { return "127.0.0.1:50000"; }

 private:
  FakeConnection& connection_;
};

std::unique_ptr<ByteStream> FakeConnection::MakeStream(ByteStreamHandler& handler) {
  NC_CHECK(!made_);
  made_ = true;
  handler_ = &handler;
  return std::make_unique<Stream>(*this);
}

void FakeConnection::Open() {
  if (handler_ != nullptr && !opened_) {
    opened_ = true;
    handler_->OnOpen();
  }
}

void FakeConnection::Feed(std::string_view bytes) {
  unread_.append(bytes);
  if (handler_ == nullptr || !reading_ || ended_ || unread_.empty()) {
    return;
  }
  // An allocation of exactly this size that is gone afterwards: a sanitizer sees every read beyond
  // it, and every view that outlives the call.
  std::vector<char> piece(unread_.begin(), unread_.end());
  piece.shrink_to_fit();
  unread_.clear();
  handler_->OnBytes(piece);
}

void FakeConnection::FeedByteByByte(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Feed(bytes.substr(i, 1));
  }
}

void FakeConnection::End(Code code, std::string message) {
  if (handler_ != nullptr && !ended_) {
    ended_ = true;
    handler_->OnEnd(Error{code, std::move(message)});
  }
}

std::string FakeConnection::TakeWritten() {
  return std::exchange(written_, {});
}

void FakeConnection::SetRoom(std::size_t bytes) {
  room_ = bytes;
  if (short_write_ && room_ > 0 && handler_ != nullptr) {
    short_write_ = false;
    handler_->OnWritable();
  }
}

std::unique_ptr<ByteStream> FakeDialer::Dial(const Endpoint& to, ByteStreamHandler& handler) {
  endpoints_.push_back(to);
  connections_.push_back(std::make_unique<FakeConnection>());
  return connections_.back()->MakeStream(handler);
}

}  // namespace nearcached
