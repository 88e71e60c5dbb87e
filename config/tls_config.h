// TLS settings, of the upstream, of its sentinels and of a listener. Files are PEM. Whether the
// files can be used is checked by app (tls_settings.h), which alone may ask OpenSSL.
//
// Thread: plain values.
#pragma once

#include <chrono>
#include <string>

namespace nearcached::config {

// How we are a client of TLS.
struct ClientTlsConfig {
  std::string ca_file;              // empty, with ca_path: the system's CAs
  std::string ca_path;              // a folder of CAs, as openssl rehash makes it
  std::string cert_file;            // ours, for servers that want one; empty: none
  std::string key_file;             // with cert_file
  std::string key_password;         // secret; empty: the key is not encrypted
  std::string server_name;          // asked for and verified; empty: the host
  std::string verify = "full";      // full, ca, none
  std::string min_version = "1.2";  // 1.2, 1.3
  std::string ciphers;              // TLS 1.2; empty: OpenSSL's choice
  std::string ciphersuites;         // TLS 1.3; the same

  friend bool operator==(const ClientTlsConfig&, const ClientTlsConfig&) = default;
};

struct UpstreamTlsConfig : ClientTlsConfig {
  bool enabled = false;  // also by a rediss:// URL

  friend bool operator==(const UpstreamTlsConfig&, const UpstreamTlsConfig&) = default;
};

// The sentinels may have certificates of another CA, or speak no TLS where the nodes do.
struct SentinelTlsConfig : ClientTlsConfig {
  std::string mode = "upstream";  // upstream: as upstream.tls says; own: as this says; off

  friend bool operator==(const SentinelTlsConfig&, const SentinelTlsConfig&) = default;
};

struct ListenerTlsConfig {
  std::string cert_file;  // empty: this listener speaks no TLS
  std::string key_file;
  std::string key_password;          // secret; empty: the key is not encrypted
  std::string client_ca_file;        // who may sign clients' certificates
  std::string client_auth = "none";  // none, optional, required
  std::string min_version = "1.2";   // 1.2, 1.3
  std::string ciphers;               // TLS 1.2; empty: OpenSSL's choice
  std::string ciphersuites;          // TLS 1.3; the same
  std::chrono::milliseconds handshake_timeout{10'000};

  bool enabled() const { return !cert_file.empty(); }
  // Nobody gets past the handshake without a certificate that client_ca_file has signed.
  bool authenticates() const { return enabled() && client_auth == "required"; }

  friend bool operator==(const ListenerTlsConfig&, const ListenerTlsConfig&) = default;
};

}  // namespace nearcached::config
