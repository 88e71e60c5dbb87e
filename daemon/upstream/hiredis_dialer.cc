#include "daemon/upstream/hiredis_dialer.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <hiredis/hiredis.h>
#include <uv.h>

#include "daemon/base/check.h"
#include "daemon/net/fd_stream.h"
#include "daemon/net/uv_handle.h"

namespace nearcached {
namespace {

constexpr int kKeepAliveSeconds = 15;

struct ContextDeleter {
  void operator()(redisContext* context) const noexcept { redisFree(context); }
};
using Context = std::unique_ptr<redisContext, ContextDeleter>;

std::string NumericHost(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> host{};
  const int rc = getnameinfo(address.get(), address.length, host.data(), host.size(), nullptr, 0,
                             NI_NUMERICHOST);
  return rc == 0 ? std::string(host.data()) : std::string();
}

// A stream that is being connected, and then passes everything on to the FdStream inside it.
class DialledStream final : public ByteStream {
 public:
  DialledStream(UvLoop& loop, Resolver& names, Duration address_timeout, Endpoint to,
                ByteStreamHandler& handler)
      : loop_(loop),
        names_(names),
        address_timeout_(address_timeout),
        handler_(handler),
        to_(std::move(to)) {
    if (!to_.unix_path.empty()) {
      later_ = loop_.After(Duration::zero(), [this] {
        Watch(Context(redisConnectUnixNonBlock(to_.unix_path.c_str())));
      });
      return;
    }
    lookup_ = names_.Resolve(to_.host, to_.port, [this](auto result) {
      if (!result.ok()) {
        End(result.error());
        return;
      }
      addresses_ = std::move(result).value();
      TryNext();
    });
  }

  std::size_t Write(std::span<const iovec> parts) override {
    NC_CHECK(open_ != nullptr);  // the seam: nothing is written before OnOpen
    return open_->Write(parts);
  }

  void SetReading(bool on) override {
    if (open_ != nullptr) {
      open_->SetReading(on);
    }
  }

  [[nodiscard]] std::string PeerName() const override { return to_.ToString(); }

 private:
  void TryNext() {
    const SocketAddress address = addresses_[next_address_++];
    if (next_address_ < addresses_.size()) {
      // An address that is gone may answer nothing at all; the next one must have its turn while
      // the link still waits. The last one has all the time that is left.
      patience_ = loop_.After(address_timeout_,
                              [this] { Failed("no answer within upstream.address_timeout"); });
    }
    Watch(Context(redisConnectNonBlock(NumericHost(address).c_str(), to_.port)));
  }

  void Watch(Context context) {
    context_ = std::move(context);
    if (context_ == nullptr || context_->err != 0) {
      Failed(context_ == nullptr ? "out of memory" : context_->errstr);
      return;
    }
    const int fd = context_->fd;
    const int rc =
        poll_.Open(this, [&](uv_poll_t* handle) { return uv_poll_init(loop_.raw(), handle, fd); });
    if (rc < 0 || uv_poll_start(poll_.get(), UV_WRITABLE, &OnPoll) < 0) {
      Failed("the event loop cannot watch the socket");
    }
  }

  static void OnPoll(uv_poll_t* handle, int status, int /*events*/) noexcept {
    auto* self = static_cast<DialledStream*>(handle->data);
    if (self != nullptr) {
      self->loop_.BeginTurn();
      self->OnConnected(status);
    }
  }

  void OnConnected(int status) {
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(context_->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
    poll_.Close();
    patience_.reset();
    if (error != 0 || status < 0) {
      Failed(error != 0 ? std::strerror(error) : uv_strerror(status));
      return;
    }
    if (to_.unix_path.empty()) {
      // Finds a peer that vanished without a word; PINGs find it sooner where they are sent.
      (void)redisEnableKeepAliveWithInterval(context_.get(), kKeepAliveSeconds);
    }
    const int fd = redisFreeKeepFd(context_.release());
    open_ = FdStream::Adopt(loop_, fd, handler_, to_.ToString());
    handler_.OnOpen();  // may destroy us
  }

  void Failed(const char* why) {
    std::string text = why;
    poll_.Close();
    context_.reset();
    patience_.reset();
    if (next_address_ < addresses_.size()) {
      // From the loop, so that a long list of dead addresses is no recursion.
      later_ = loop_.After(Duration::zero(), [this] { TryNext(); });
      return;
    }
    if (to_.unix_path.empty()) {
      names_.Forget(to_.host, to_.port);
      if (addresses_.size() > 1) {
        text = "none of its " + std::to_string(addresses_.size()) + " addresses can be reached, " +
               addresses_.back().ToString() + ": " + text;
      }
    }
    End(Error{Code::kUnavailable, text});
  }

  void End(const Error& why) {
    handler_.OnEnd(why);  // may destroy us; `why` is our caller's
  }

  UvLoop& loop_;
  Resolver& names_;
  const Duration address_timeout_;
  ByteStreamHandler& handler_;
  const Endpoint to_;
  std::unique_ptr<Lookup> lookup_;
  std::unique_ptr<Timer> later_;
  std::unique_ptr<Timer> patience_;  // with an address, while there are others
  std::vector<SocketAddress> addresses_;
  std::size_t next_address_ = 0;
  Context context_;
  UvHandle<uv_poll_t> poll_;  // after context_: closed before the descriptor is
  std::unique_ptr<ByteStream> open_;
};

}  // namespace

std::unique_ptr<ByteStream> HiredisDialer::Dial(const Endpoint& to, ByteStreamHandler& handler) {
  return std::make_unique<DialledStream>(loop_, names_, address_timeout_, to, handler);
}

}  // namespace nearcached
