// Files are read by us and handed to OpenSSL as memory. Its own loaders report a missing file, a
// folder, a file without PEM and an encrypted key in ways that no operator can tell apart, and
// would ask for a missing pass phrase on the terminal.
#include "daemon/net/tls_context.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/net/tls_peer.h"

namespace nearcached {
namespace {

constexpr std::size_t kPemBytesMax = std::size_t{8}
                                     << 20U;  // a bundle of all public CAs is 0.3 MiB
constexpr std::size_t kSessionsMax = 64;      // peers, not connections
constexpr int kWarnDaysBefore = 14;

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* thing) const noexcept {
    kFree(thing);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

// What OpenSSL has to say about its last failure. Clears its queue.
std::string LastError() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown reason";
}

// Gives the pass phrase that was configured, and never asks anybody.
int GivePassword(char* buffer, int size, int /*writing*/, void* user) noexcept {
  const auto& password = *static_cast<const std::string*>(user);
  if (password.empty() || password.size() > static_cast<std::size_t>(size)) {
    return -1;
  }
  return static_cast<int>(password.copy(buffer, password.size()));
}

int NoPassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) noexcept {
  return -1;
}

// The bytes of a regular file; otherwise `problem` says why not.
std::string ReadPem(const std::string& path, std::string& problem) {
  std::string bytes;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    problem = path + (errno == ENOENT ? " does not exist: give the path of a PEM file"
                                      : " cannot be read: " + std::string(std::strerror(errno)));
    return bytes;
  }
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    problem = path + " is no regular file: give the path of a PEM file";
  } else if (static_cast<std::size_t>(info.st_size) > kPemBytesMax) {
    problem = path + " is larger than 8 MiB, which is no PEM file of certificates";
  } else {
    bytes.resize(static_cast<std::size_t>(info.st_size));
    std::size_t have = 0;
    ssize_t n = 1;
    while (have < bytes.size() && n > 0) {
      n = read(fd, bytes.data() + have, bytes.size() - have);
      have += n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    bytes.resize(have);
  }
  (void)close(fd);
  return bytes;
}

std::int64_t SecondsOf(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(timegm(&parts)) : 0;
}

std::string DayOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    return "an unreadable date";
  }
  std::string text(32, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts));
  return text;
}

bool IsPast(const ASN1_TIME* time) {
  return X509_cmp_current_time(time) < 0;
}

std::string NameOf(X509* certificate) {
  const Bio out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : "(no subject)";
}

// A client's new session, or ticket: the next connection to that peer may resume it.
int OnNewSession(SSL* ssl, SSL_SESSION* session) noexcept {
  auto* peer = static_cast<TlsPeer*>(SSL_get_app_data(ssl));
  if (peer == nullptr || peer->context == nullptr) {
    return 0;
  }
  peer->context->KeepSession(peer->session_key, session);
  return 1;
}

}  // namespace

// Fills one SSL_CTX, collecting what is wrong on the way.
class TlsContextBuilder {
 public:
  explicit TlsContextBuilder(const TlsOptions& options)
      : options_(options),
        raw_(SSL_CTX_new(options.role == TlsRole::kClient ? TLS_client_method()
                                                          : TLS_server_method())) {
    NC_CHECK(raw_ != nullptr);  // out of memory
  }

  TlsLoaded Build() {
    ERR_clear_error();
    SetRules();
    SetCiphers();
    SetTrust();
    SetIdentity();
    ERR_clear_error();
    for (const TlsProblem& problem : problems_) {
      if (!problem.is_warning) {
        return {nullptr, std::move(problems_)};
      }
    }
    auto context = std::make_shared<TlsContext>(raw_.release(), options_);
    context->certificate_ends_ = ends_;
    context->is_expired_ = is_expired_;
    return {std::move(context), std::move(problems_)};
  }

 private:
  void Fail(const char* option, std::string message) {
    problems_.push_back({option, std::move(message), false});
  }
  void Warn(const char* option, std::string message) {
    problems_.push_back({option, std::move(message), true});
  }

  void SetRules() {
    SSL_CTX* raw = raw_.get();
    SSL_CTX_set_min_proto_version(
        raw, options_.min_version == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(
        raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // An idle connection gives back its record buffers: 34 KiB of what it would otherwise hold.
    // The caller offers the same bytes again from wherever they then lie.
    SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(raw, &NoPassword);
    if (options_.role == TlsRole::kClient) {
      SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
      SSL_CTX_sess_set_new_cb(raw, &OnNewSession);
      return;
    }
    // Tickets, which cost the server no memory, and one is enough for clients that keep one.
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(raw, 1);
    constexpr std::string_view kIdentity = "nearcached";
    SSL_CTX_set_session_id_context(raw, reinterpret_cast<const unsigned char*>(kIdentity.data()),
                                   static_cast<unsigned>(kIdentity.size()));
  }

  void SetCiphers() {
    if (!options_.ciphers.empty() &&
        SSL_CTX_set_cipher_list(raw_.get(), options_.ciphers.c_str()) != 1) {
      Fail("ciphers", "names no cipher that OpenSSL knows for TLS 1.2: see openssl ciphers -v");
    }
    if (!options_.ciphersuites.empty() &&
        SSL_CTX_set_ciphersuites(raw_.get(), options_.ciphersuites.c_str()) != 1) {
      Fail("ciphersuites",
           "holds a suite that OpenSSL does not know for TLS 1.3: see openssl ciphers -v -tls1_3");
    }
  }

  // ---- whom we believe ----

  void SetTrust() {
    const bool is_client = options_.role == TlsRole::kClient;
    const bool wanted = is_client ? options_.verify != TlsVerify::kNone
                                  : options_.client_auth != TlsClientAuth::kNone;
    int mode = SSL_VERIFY_NONE;
    if (wanted) {
      mode = SSL_VERIFY_PEER;
      if (options_.client_auth == TlsClientAuth::kRequired) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
      }
    }
    SSL_CTX_set_verify(raw_.get(), mode, nullptr);
    if (!options_.ca_file.empty()) {
      AddCaFile();
    }
    if (!options_.ca_path.empty()) {
      AddCaPath();
    }
    if (wanted && options_.ca_file.empty() && options_.ca_path.empty()) {
      AddSystemCas();
    }
  }

  void AddCaFile() {
    const std::string& path = options_.ca_file;
    std::string problem;
    const std::string bytes = ReadPem(path, problem);
    if (!problem.empty()) {
      Fail("ca_file", std::move(problem));
      return;
    }
    const Bio in(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    std::size_t count = 0;
    std::size_t expired = 0;
    while (const Certificate ca{PEM_read_bio_X509(in.get(), nullptr, &NoPassword, nullptr)}) {
      ++count;
      expired += IsPast(X509_get0_notAfter(ca.get())) ? 1U : 0U;
      X509_STORE_add_cert(SSL_CTX_get_cert_store(raw_.get()), ca.get());
      if (options_.role == TlsRole::kServer) {
        SSL_CTX_add_client_CA(raw_.get(), ca.get());  // so that clients know which one to send
      }
    }
    if (count == 0) {
      Fail("ca_file", path + " holds no PEM certificate (BEGIN CERTIFICATE)");
    } else if (expired == count) {
      Warn("ca_file", path + " holds only certificates that have expired: nobody will be believed");
    }
    ERR_clear_error();  // the end of the file is an error to PEM_read
  }

  void AddCaPath() {
    struct stat info {};
    if (stat(options_.ca_path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
      Fail("ca_path",
           options_.ca_path + " is no folder: give one that openssl rehash has prepared");
    } else if (SSL_CTX_load_verify_dir(raw_.get(), options_.ca_path.c_str()) != 1) {
      Fail("ca_path", options_.ca_path + " cannot be used: " + LastError());
    }
  }

  void AddSystemCas() {
    SSL_CTX_set_default_verify_paths(raw_.get());  // SSL_CERT_FILE and SSL_CERT_DIR count
    const auto exists = [](const char* path) { return access(path, R_OK) == 0; };
    if (!exists(X509_get_default_cert_file()) && !exists(X509_get_default_cert_dir())) {
      Warn("ca_file",
           "is not given, and this system has no CA certificates of its own: unless SSL_CERT_FILE "
           "names some, nobody will be believed; install ca-certificates, or name the CA");
    }
  }

  // ---- who we are ----

  void SetIdentity() {
    if (options_.cert_file.empty()) {
      return;
    }
    const Certificate leaf = UseCertificates();
    const Key key = ReadKey();
    if (leaf == nullptr || key == nullptr) {
      return;
    }
    if (X509_check_private_key(leaf.get(), key.get()) != 1) {
      Fail("key_file", options_.key_file + " is not the key of the certificate in " +
                           options_.cert_file + " (" + NameOf(leaf.get()) + ")");
    } else if (SSL_CTX_use_PrivateKey(raw_.get(), key.get()) != 1) {
      Fail("key_file", options_.key_file + " cannot be used: " + LastError());
    }
  }

  Certificate UseCertificates() {
    const std::string& path = options_.cert_file;
    std::string problem;
    const std::string bytes = ReadPem(path, problem);
    if (!problem.empty()) {
      Fail("cert_file", std::move(problem));
      return nullptr;
    }
    const Bio in(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    Certificate leaf(PEM_read_bio_X509(in.get(), nullptr, &NoPassword, nullptr));
    if (leaf == nullptr) {
      Fail("cert_file", path + " holds no PEM certificate (BEGIN CERTIFICATE)");
      return nullptr;
    }
    CheckDates(leaf.get());
    if (SSL_CTX_use_certificate(raw_.get(), leaf.get()) != 1) {
      Fail("cert_file", path + " cannot be used: " + LastError());
      return nullptr;
    }
    while (Certificate next{PEM_read_bio_X509(in.get(), nullptr, &NoPassword, nullptr)}) {
      if (SSL_CTX_add0_chain_cert(raw_.get(), next.get()) == 1) {
        (void)next.release();
      }
    }
    ERR_clear_error();
    return leaf;
  }

  void CheckDates(X509* leaf) {
    const ASN1_TIME* begins = X509_get0_notBefore(leaf);
    const ASN1_TIME* ends = X509_get0_notAfter(leaf);
    ends_ = SecondsOf(ends);
    is_expired_ = IsPast(ends);
    const std::string which = options_.cert_file + " (" + NameOf(leaf) + ")";
    int days = 0;
    int seconds = 0;
    if (is_expired_) {
      Warn("cert_file",
           which + " expired on " + DayOf(ends) + ": peers that verify will refuse it");
    } else if (!IsPast(begins)) {
      Warn("cert_file", which + " is valid only from " + DayOf(begins) + " on");
    } else if (ASN1_TIME_diff(&days, &seconds, nullptr, ends) == 1 && days < kWarnDaysBefore) {
      Warn("cert_file", which + " expires on " + DayOf(ends) + ": renew it");
    }
  }

  Key ReadKey() {
    const std::string& path = options_.key_file;
    std::string problem;
    std::string bytes = ReadPem(path, problem);
    if (!problem.empty()) {
      Fail("key_file", std::move(problem));
      return nullptr;
    }
    const Bio in(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    std::string password = options_.key_password;
    Key key(PEM_read_bio_PrivateKey(in.get(), nullptr, &GivePassword, &password));
    if (key == nullptr) {
      const bool is_encrypted = bytes.find("ENCRYPTED") != std::string::npos;
      Fail("key_file", path + (!is_encrypted ? " holds no PEM private key (BEGIN PRIVATE KEY)"
                               : password.empty()
                                   ? " is encrypted and no key_password is given"
                                   : " cannot be decrypted: key_password is not its pass phrase"));
    }
    OPENSSL_cleanse(bytes.data(), bytes.size());
    OPENSSL_cleanse(password.data(), password.size());
    ERR_clear_error();
    return key;
  }

  const TlsOptions& options_;
  Context raw_;
  std::int64_t ends_ = 0;
  bool is_expired_ = false;
  std::vector<TlsProblem> problems_;
};

TlsLoaded TlsContext::Load(const TlsOptions& options) {
  return TlsContextBuilder(options).Build();
}

TlsContext::~TlsContext() {
  for (const auto& [peer, session] : sessions_) {
    SSL_SESSION_free(session);
  }
  SSL_CTX_free(raw_);
}

ssl_session_st* TlsContext::FindSession(const std::string& peer) const {
  const auto found = sessions_.find(peer);
  return found == sessions_.end() ? nullptr : found->second;
}

void TlsContext::KeepSession(const std::string& peer, ssl_session_st* session) {
  const auto found = sessions_.find(peer);
  if (found != sessions_.end()) {
    SSL_SESSION_free(found->second);
    found->second = session;
    return;
  }
  if (sessions_.size() >= kSessionsMax) {  // peers that came and went: an old one makes room
    SSL_SESSION_free(sessions_.begin()->second);
    sessions_.erase(sessions_.begin());
  }
  sessions_.emplace(peer, session);
}

}  // namespace nearcached
