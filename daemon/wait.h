// `nearcached wait`: asks a running sidecar for PING until it answers. For start order, health
// checks of containers, and `make run`.
#pragma once

#include <chrono>
#include <string>

#include "config/listen_address.h"

namespace nearcached {

// Blocks until the sidecar at `address` answers a PING (or says NOAUTH, or that it speaks
// TLS, which it can only do when it runs), at most `timeout`, though the last attempt is given a
// tenth of a second in any case. Empty: it answered. Otherwise why it did not.
[[nodiscard]] std::string WaitForSidecar(const config::ListenAddress& address,
                                         std::chrono::milliseconds timeout);

}  // namespace nearcached
