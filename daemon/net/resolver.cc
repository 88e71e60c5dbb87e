#include "daemon/net/resolver.h"

#include <chrono>
#include <cstring>
#include <netdb.h>
#include <utility>

#include <uv.h>

namespace nearcached {
namespace {

// The request belongs to the loop until its callback; it may outlive the Lookup, which then has
// nulled `data` (the rule of uv_handle.h, for requests).
class UvLookup final : public Lookup {
 public:
  UvLookup(UvLoop& loop, std::string host, Resolver::OnResolved on_resolved)
      : loop_(loop), host_(std::move(host)), on_resolved_(std::move(on_resolved)) {}
  UvLookup(const UvLookup&) = delete;
  UvLookup& operator=(const UvLookup&) = delete;
  ~UvLookup() override {
    if (request_ != nullptr) {
      request_->data = nullptr;
      // Succeeds only while it is still queued; either way the callback runs and frees it.
      uv_cancel(reinterpret_cast<uv_req_t*>(request_));
    }
  }

  void Start(int port) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    auto request = std::make_unique<uv_getaddrinfo_t>();
    const std::string service = std::to_string(port);
    const int rc =
        uv_getaddrinfo(loop_.raw(), request.get(), &OnDone, host_.c_str(), service.c_str(), &hints);
    if (rc < 0) {  // a name that cannot be one, such as an over-long label
      failure_ = loop_.After(Duration::zero(), [this, rc] { Finish(Failed(rc)); });
      return;
    }
    request_ = request.release();
    request_->data = this;
  }

 private:
  static void OnDone(uv_getaddrinfo_t* raw_request, int status, addrinfo* found) noexcept {
    const std::unique_ptr<uv_getaddrinfo_t> request(raw_request);
    const std::unique_ptr<addrinfo, decltype(&uv_freeaddrinfo)> list(found, &uv_freeaddrinfo);
    auto* self = static_cast<UvLookup*>(request->data);
    if (self == nullptr) {
      return;
    }
    self->request_ = nullptr;
    self->loop_.BeginTurn();
    if (status < 0) {
      self->Finish(self->Failed(status));
      return;
    }
    std::vector<SocketAddress> addresses;
    for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
      SocketAddress& address = addresses.emplace_back();
      address.length = info->ai_addrlen;
      std::memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
    }
    self->Finish(std::move(addresses));
  }

  [[nodiscard]] Error Failed(int rc) const {
    return Error{Code::kUnavailable, "look up " + host_ + ": " + uv_strerror(rc)};
  }

  // May destroy *this.
  void Finish(Result<std::vector<SocketAddress>> result) {
    const Resolver::OnResolved on_resolved = std::move(on_resolved_);
    on_resolved(std::move(result));
  }

  UvLoop& loop_;
  const std::string host_;
  Resolver::OnResolved on_resolved_;
  uv_getaddrinfo_t* request_ = nullptr;  // owned by the loop; null before and after
  std::unique_ptr<Timer> failure_;
};

}  // namespace

std::unique_ptr<Lookup> UvResolver::Resolve(const std::string& host, int port,
                                            OnResolved on_resolved) {
  auto lookup = std::make_unique<UvLookup>(loop_, host, std::move(on_resolved));
  lookup->Start(port);
  return lookup;
}

}  // namespace nearcached
