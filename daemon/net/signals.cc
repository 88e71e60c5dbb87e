#include "daemon/net/signals.h"

#include <csignal>
#include <cstddef>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {
namespace {

constexpr std::array<int, 3> kCaught = {SIGTERM, SIGINT, SIGHUP};

}  // namespace

Signals::Signals(UvLoop& loop, OnSignal on_signal) : loop_(loop), on_signal_(std::move(on_signal)) {
  for (std::size_t i = 0; i < kCaught.size(); ++i) {
    UvHandle<uv_signal_t>& handle = handles_[i];
    NC_CHECK(handle.Open(this, [&](uv_signal_t* h) { return uv_signal_init(loop.raw(), h); }) == 0);
    NC_CHECK(uv_signal_start(handle.get(), &OnUvSignal, kCaught[i]) == 0);
    uv_unref(handle.base());
  }
}

void Signals::IgnoreSigpipe() {
  NC_CHECK(std::signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

void Signals::OnUvSignal(uv_signal_t* handle, int signal_number) noexcept {
  auto* self = static_cast<Signals*>(handle->data);
  if (self == nullptr) {
    return;
  }
  self->loop_.BeginTurn();
  const OnSignal on_signal = self->on_signal_;  // a copy: the call may destroy *self
  on_signal(signal_number);
}

}  // namespace nearcached
