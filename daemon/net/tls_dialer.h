// TlsDialer: a Dialer over another, that encrypts the connections to endpoints which say so.
//
// Owned by app, which owns what is beneath. Loop thread only.
#pragma once

#include <memory>

#include "daemon/base/byte_stream.h"
#include "daemon/net/tls_credentials.h"
#include "daemon/net/tls_stream.h"

namespace nearcached {

class TlsDialer final : public Dialer {
 public:
  // All outlives the dialer and its streams. Credentials may be null where no endpoint wants such.
  TlsDialer(Dialer& beneath, const TlsCredentials* upstream, const TlsCredentials* sentinels,
            const TlsEnvironment& environment)
      : beneath_(beneath), upstream_(upstream), sentinels_(sentinels), environment_(environment) {}

  // The certificate is checked for the configured name, or for the host of `to`.
  [[nodiscard]] std::unique_ptr<ByteStream> Dial(const Endpoint& to,
                                                 ByteStreamHandler& handler) override;

 private:
  Dialer& beneath_;
  const TlsCredentials* upstream_;
  const TlsCredentials* sentinels_;
  TlsEnvironment environment_;
};

}  // namespace nearcached
