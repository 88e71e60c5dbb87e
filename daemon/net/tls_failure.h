// What went wrong with a TLS connection, as a reason to count and a sentence for people.
//
// Pure but for OpenSSL's queue of errors, which belongs to the thread. Loop thread only.
#pragma once

#include <string>

#include "daemon/net/tls_context.h"
#include "daemon/net/tls_stats.h"

struct ssl_st;  // SSL

namespace nearcached {

struct TlsFault {
  TlsFailure why = TlsFailure::kOther;
  std::string sentence;  // with the remedy where there is one; no final full stop
};

// Reads why the last call on `ssl` failed, and clears the queue. `host` is what was asked for.
[[nodiscard]] TlsFault ExplainTlsFailure(ssl_st* ssl, const TlsOptions& options,
                                         const std::string& host);

// The peer closed the connection before the handshake was done.
[[nodiscard]] TlsFault ExplainTlsClosed(TlsRole role);

// The handshake took too long. A plain Redis says nothing at all to one: it waits for a line to
// end.
[[nodiscard]] TlsFault ExplainTlsTimeout(TlsRole role);

}  // namespace nearcached
