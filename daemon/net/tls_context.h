// TlsContext: certificates, trust and rules of one TLS role, read from files once and then
// constant.
//
// A changed file makes a new context (tls_credentials.h); streams keep the one they began with, so
// a rotation drops nobody. Shared by its streams and whoever makes them; loop thread only. OpenSSL
// stays inside daemon/net/tls_*.cc: its types are only named here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct ssl_ctx_st;      // SSL_CTX
struct ssl_session_st;  // SSL_SESSION

namespace nearcached {

enum class TlsRole : std::uint8_t { kClient, kServer };
enum class TlsVersion : std::uint8_t { k12, k13 };
// How far a client checks the server it reached.
enum class TlsVerify : std::uint8_t {
  kFull,  // signed by a trusted CA, and for the name we asked for
  kCa,    // signed by a trusted CA
  kNone,  // not at all: keeps eavesdroppers out, but not somebody in the middle
};
// Whether a server asks its clients for certificates.
enum class TlsClientAuth : std::uint8_t { kNone, kOptional, kRequired };

struct TlsOptions {
  TlsRole role = TlsRole::kClient;
  std::string section = "upstream.tls";  // client: the settings these are, for messages
  std::string ca_file;       // PEM, what the peer's certificate must lead to; client: empty for the
                             // system's, server: clients' CAs
  std::string ca_path;       // a folder of such, named by hash (openssl rehash); empty: none
  std::string cert_file;     // PEM, ours, followed by what is between it and the CA; empty: none
  std::string key_file;      // PEM
  std::string key_password;  // secret; empty: the key is not encrypted
  std::string server_name;   // client: asked for (SNI) and verified; empty: the host dialled
  std::string ciphers;       // OpenSSL's list for TLS 1.2; empty: OpenSSL's default
  std::string ciphersuites;  // the same for TLS 1.3
  TlsVerify verify = TlsVerify::kFull;               // client
  TlsClientAuth client_auth = TlsClientAuth::kNone;  // server
  TlsVersion min_version = TlsVersion::k12;
};

// Something wrong, or worth a warning, with one of the options.
struct TlsProblem {
  const char* option = "";  // the member of TlsOptions, as "cert_file"
  std::string message;      // "/etc/x.pem does not exist: …", without a final full stop
  bool is_warning = false;  // usable all the same
};

struct TlsLoaded;

class TlsContext {
 public:
  // Reads all files, blocking. Problems come all together. Without a single one that is more than a
  // warning there is a context.
  [[nodiscard]] static TlsLoaded Load(const TlsOptions& options);

  TlsContext(ssl_ctx_st* raw, TlsOptions options) : raw_(raw), options_(std::move(options)) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  [[nodiscard]] ssl_ctx_st* raw() const { return raw_; }
  [[nodiscard]] const TlsOptions& options() const { return options_; }
  // The end of our own certificate in seconds since 1970; 0 when there is none.
  [[nodiscard]] std::int64_t certificate_ends() const { return certificate_ends_; }
  [[nodiscard]] bool is_certificate_expired() const { return is_expired_; }  // when it was read

  // The last session with `peer`, to resume it: a handshake without certificates. Null: none.
  [[nodiscard]] ssl_session_st* FindSession(const std::string& peer) const;
  // Takes over one reference to `session`.
  void KeepSession(const std::string& peer, ssl_session_st* session);

 private:
  friend class TlsContextBuilder;

  ssl_ctx_st* raw_;
  const TlsOptions options_;
  std::int64_t certificate_ends_ = 0;
  bool is_expired_ = false;
  std::map<std::string, ssl_session_st*> sessions_;  // owned; bounded
};

struct TlsLoaded {
  std::shared_ptr<TlsContext> context;  // null: there is a problem that is no warning
  std::vector<TlsProblem> problems;
};

}  // namespace nearcached
