// What the TLS connections of one kind (to the upstream, or from clients) went through.
//
// Written by the loop thread, read by anyone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "daemon/base/counter.h"

namespace nearcached {

// Why a handshake, or a connection after it, failed.
enum class TlsFailure : std::uint8_t {
  kExpired,        // the peer's certificate has expired, or is not valid yet
  kName,           // it is for another name
  kUnknownCa,      // nobody we trust has signed it
  kCertificate,    // something else is wrong with it
  kNoCertificate,  // the client has none, and one is required
  kRefusedByPeer,  // the peer refuses our certificate, or the lack of one
  kVersion,        // no protocol version that both sides allow
  kCipher,         // no cipher that both sides allow
  kNotTls,         // the peer speaks something else, such as plain RESP
  kClosed,         // the peer, or the network, ended the connection half-way
  kTimeout,        // the handshake took too long
  kOther,
};
inline constexpr std::size_t kTlsFailures = 12;

// The word for labels: "certificate_expired", "not_tls", …
[[nodiscard]] const char* TlsFailureName(TlsFailure why);

struct TlsStats {
  Counter handshakes_full;
  Counter handshakes_resumed;                  // without certificates, by an earlier session
  std::array<Counter, kTlsFailures> failures;  // by TlsFailure
  Counter truncated;                           // ended without saying so in TLS (close_notify)
  Histogram handshake;                         // from the first byte to the last
  Counter reloads_ok;                          // changed files taken over
  Counter reloads_failed;                      // changed files that were no use: the old ones stay
  Gauge connections;                           // that stand now

  [[nodiscard]] Counter& failure(TlsFailure why) { return failures[static_cast<std::size_t>(why)]; }
};

}  // namespace nearcached
