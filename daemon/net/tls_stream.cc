// OpenSSL sees a BIO of our own: it reads from the view of what has just arrived and writes into a
// string that is sent at the end of each call. Compared to OpenSSL's memory BIOs this saves a copy
// in each direction and two buffers per connection that would never shrink.
//
// Promises of the seam that take some care here:
//
// What Write took is delivered even if the stream is destroyed right after. So bytes count as taken
// only when the stream beneath has taken all the ciphertext they are in. At most one chunk is
// encrypted and not yet taken (out_, encrypted_); its bytes are offered again by the caller and
// skipped. That chunk is also the bound of what a peer that does not read can make us hold.
//
// No OnBytes while the owner does not read. A chunk of ciphertext holds several records, and the
// owner may pause after the first: the rest is kept as ciphertext, while the stream beneath is
// paused as well, so at most what it was about to say is kept.
//
// The handler may destroy us in any callback. Whatever called it looks at a flag on its own stack
// (gone_) before it touches a member again. Handlers are never called from inside Write or
// SetReading: what these find out is told from the loop.
//
// A peer that closes without close_notify has ended like any other: RESP says where each request
// and reply ends, so cutting a connection short gains an attacker nothing. It is counted.
#include "daemon/net/tls_stream.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {
namespace {

// Plaintext encrypted before the stream beneath is asked: four records.
constexpr std::size_t kChunkBytes = std::size_t{64} << 10U;
constexpr std::size_t kRecordBytes = std::size_t{16} << 10U;
// What may wait to be sent at most: a chunk with its framing, and what OpenSSL answers to the
// peer's own key updates. A peer that asks for those without reading is cut off.
constexpr std::size_t kOutBytesMax = 2 * kChunkBytes;

// Whether `host` is an address, which certificates name differently and SNI not at all (RFC 6066).
bool IsAddress(const std::string& host) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
  const bool is = address != nullptr;
  ASN1_OCTET_STRING_free(address);
  ERR_clear_error();
  return is;
}

}  // namespace

TlsStream::TlsStream(TlsPeer peer, const TlsEnvironment& environment, ByteStreamHandler& handler,
                     const OpenBeneath& open)
    : peer_(std::move(peer)),
      environment_(environment),
      handler_(handler),
      ssl_(SSL_new(peer_.context->raw())) {
  NC_CHECK(ssl_ != nullptr);  // out of memory
  BIO* bio = BIO_new(BioMethod());
  NC_CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_ex_data(ssl_, 0, &peer_);  // what SSL_get_app_data gives
  if (is_client()) {
    SSL_set_connect_state(ssl_);
    NameServer();
  } else {
    SSL_set_accept_state(ssl_);
    StartHandshake();
  }
  beneath_ = open(*this);
}

TlsStream::~TlsStream() {
  if (gone_ != nullptr) {
    *gone_ = true;
  }
  if (state_ == State::kOpen) {
    environment_.stats.connections.Sub();
    if (out_.empty()) {
      ERR_clear_error();
      (void)SSL_shutdown(ssl_);
      (void)FlushCipher();
      ERR_clear_error();
    }
  }
  environment_.scratch.cipher.clear();
  beneath_.reset();
  SSL_free(ssl_);
}

bool TlsStream::is_client() const {
  return peer_.context->options().role == TlsRole::kClient;
}

// Client: whom we ask for, whom we expect, and the session we would like to go on with.
void TlsStream::NameServer() {
  const bool is_address = IsAddress(peer_.host);
  if (!is_address && !peer_.host.empty()) {
    // SSL_set_tlsext_host_name, a macro with a cast that our warnings forbid; it copies the name.
    SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, peer_.host.data());
  }
  if (peer_.context->options().verify == TlsVerify::kFull) {
    X509_VERIFY_PARAM* rules = SSL_get0_param(ssl_);
    if (is_address) {
      X509_VERIFY_PARAM_set1_ip_asc(rules, peer_.host.c_str());
    } else {
      X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      // An empty name would be no check at all.
      NC_CHECK(!peer_.host.empty() && SSL_set1_host(ssl_, peer_.host.c_str()) == 1);
    }
  }
  if (ssl_session_st* session = peer_.context->FindSession(peer_.session_key)) {
    SSL_set_session(ssl_, session);
  }
}

void TlsStream::StartHandshake() {
  state_ = State::kHandshake;
  started_ = environment_.scheduler.Now();
  if (environment_.handshake_timeout != Duration::zero()) {
    deadline_ = environment_.scheduler.After(environment_.handshake_timeout, [this] {
      (void)Fail(ExplainTlsTimeout(peer_.context->options().role));
    });
  }
}

// ---- from beneath -------------------------------------------------------------------------------

void TlsStream::OnOpen() {
  StartHandshake();
  (void)Pump();
}

void TlsStream::OnBytes(std::span<char> bytes) {
  if (state_ == State::kBroken || is_ended_) {
    return;
  }
  if (!kept_.empty() || (!is_reading_ && state_ == State::kOpen)) {
    kept_.append(bytes.data(), bytes.size());
    if (is_reading_) {
      (void)Pump();
    }
    return;
  }
  in_ = std::string_view(bytes.data(), bytes.size());
  (void)Pump();
}

void TlsStream::OnWritable() {
  if (state_ == State::kBroken || !FlushCipher() || state_ != State::kOpen) {
    return;
  }
  if (std::exchange(is_write_owed_, false)) {
    handler_.OnWritable();  // may destroy us
  }
}

void TlsStream::OnEnd(const Error& why) {
  if (is_ended_ || state_ == State::kBroken) {
    return;  // the failure has been told, or will be by a timer of ours
  }
  if (state_ == State::kConnecting) {
    (void)End(why);
    return;
  }
  if (state_ == State::kHandshake) {
    TlsFault fault = ExplainTlsClosed(peer_.context->options().role);
    if (why.code != Code::kEof) {
      fault.sentence += " (" + why.message + ")";
    }
    (void)Fail(fault);
    return;
  }
  if (why.code != Code::kEof) {
    Forget();
    (void)End(why);
    return;
  }
  end_beneath_ = why;
  if (is_reading_) {
    (void)Pump();
  }
}

// ---- the BIO ------------------------------------------------------------------------------------

const bio_method_st* TlsStream::BioMethod() {
  static const bio_method_st* const kMethod = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "nearcached");
    NC_CHECK(made != nullptr);
    BIO_meth_set_read(made, &BioRead);
    BIO_meth_set_write(made, &BioWrite);
    BIO_meth_set_ctrl(made, &BioControl);
    return made;
  }();
  return kMethod;
}

int TlsStream::BioRead(bio_st* bio, char* to, int size) noexcept {
  auto* self = static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  std::string_view& in = self->in_;
  if (in.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t n = std::min(in.size(), static_cast<std::size_t>(size));
  std::memcpy(to, in.data(), n);
  in.remove_prefix(n);
  return static_cast<int>(n);
}

int TlsStream::BioWrite(bio_st* bio, const char* from, int size) noexcept {
  auto* self = static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  std::string& cipher = self->environment_.scratch.cipher;
  if (self->out_.size() + cipher.size() > kOutBytesMax) {
    return -1;
  }
  cipher.append(from, static_cast<std::size_t>(size));
  return size;
}

long TlsStream::BioControl(bio_st* /*bio*/, int command, long /*number*/,
                           void* /*pointer*/) noexcept {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Offers the ciphertext to the stream beneath. True when all of it was taken.
bool TlsStream::FlushCipher() {
  std::string& fresh = environment_.scratch.cipher;
  if (out_.empty()) {
    if (fresh.empty()) {
      return true;
    }
    const iovec part{fresh.data(), fresh.size()};
    const std::size_t taken = beneath_ == nullptr ? 0 : beneath_->Write({&part, 1});
    if (taken < fresh.size()) {
      out_.assign(fresh, taken);
    }
    fresh.clear();
    return out_.empty();
  }
  out_.append(fresh);
  fresh.clear();
  const iovec part{out_.data(), out_.size()};
  const std::size_t taken = beneath_->Write({&part, 1});
  if (taken < out_.size()) {
    out_.erase(0, taken);
    return false;
  }
  std::string().swap(out_);
  return true;
}

// ---- reading ------------------------------------------------------------------------------------

// Goes on with what has arrived: the handshake, then the owner's bytes, then the end.
bool TlsStream::Pump() {
  bool gone = false;
  gone_ = &gone;
  std::string kept;
  if (!kept_.empty()) {
    kept.swap(kept_);
    in_ = kept;
  }
  if (state_ == State::kHandshake && !Shake()) {
    return false;
  }
  if (state_ == State::kOpen && !is_ended_ && !ReadOn()) {
    return false;
  }
  KeepRest();
  gone_ = nullptr;
  return true;
}

bool TlsStream::Shake() {
  ERR_clear_error();
  const int rc = SSL_do_handshake(ssl_);
  const int error = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, rc);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    (void)FlushCipher();
    return true;
  }
  if (error != SSL_ERROR_NONE) {
    const TlsFault fault = ExplainTlsFailure(ssl_, peer_.context->options(), peer_.host);
    if (!is_client() && fault.why == TlsFailure::kNotTls) {
      environment_.scratch.cipher = kTlsWantedReply;
    }
    (void)FlushCipher();  // the alert that tells the peer
    return Fail(fault);
  }
  const bool is_sent = FlushCipher();
  deadline_.reset();
  state_ = State::kOpen;
  TlsStats& stats = environment_.stats;
  (SSL_session_reused(ssl_) == 1 ? stats.handshakes_resumed : stats.handshakes_full).Add();
  stats.handshake.Observe(environment_.scheduler.Now() - started_);
  stats.connections.Add();
  if (!is_reading_) {
    beneath_->SetReading(false);  // the owner paused before there was anything to pause
  }
  const bool* gone = gone_;
  if (is_client()) {
    handler_.OnOpen();
  } else if (is_sent && std::exchange(is_write_owed_, false)) {
    handler_.OnWritable();
  }
  return !*gone;
}

// Decrypts into the shared buffer until it is full or nothing more is there.
TlsStream::Read TlsStream::FillPlain(std::size_t& have) {
  char* plain = environment_.scratch.plain.get();
  have = 0;
  while (have < TlsScratch::kPlainBytes) {
    std::size_t n = 0;
    ERR_clear_error();
    const int rc = SSL_read_ex(ssl_, plain + have, TlsScratch::kPlainBytes - have, &n);
    if (rc == 1) {
      have += n;
      continue;
    }
    switch (SSL_get_error(ssl_, rc)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return Read::kDrained;
      case SSL_ERROR_ZERO_RETURN:
        return Read::kEnd;
      default:
        return Read::kFailed;
    }
  }
  return Read::kFull;
}

bool TlsStream::ReadOn() {
  const bool* gone = gone_;
  while (is_reading_ && !is_ended_ && state_ == State::kOpen) {
    std::size_t have = 0;
    const Read outcome = FillPlain(have);
    TlsFault fault;
    if (outcome == Read::kFailed) {
      fault = ExplainTlsFailure(ssl_, peer_.context->options(), peer_.host);
    }
    (void)FlushCipher();  // answers of TLS itself; the shared string must be empty by now
    is_more_inside_ = outcome == Read::kFull;
    if (have > 0) {
      handler_.OnBytes({environment_.scratch.plain.get(), have});
      if (*gone) {
        return false;
      }
    }
    switch (outcome) {
      case Read::kFull:
        break;
      case Read::kFailed:
        return Fail(fault);
      case Read::kEnd:
        return End(Error{Code::kEof, "peer has finished sending"});
      case Read::kDrained:
        if (end_beneath_ && in_.empty()) {
          environment_.stats.truncated.Add();
          return End(*end_beneath_);
        }
        return true;
    }
  }
  return true;
}

// Keeps the ciphertext that was not read, because the owner has paused.
void TlsStream::KeepRest() {
  if (!in_.empty() && state_ == State::kOpen && !is_ended_) {
    kept_.assign(in_);
  }
  in_ = {};
}

void TlsStream::SetReading(bool on) {
  is_reading_ = on;
  if (state_ == State::kOpen) {
    beneath_->SetReading(on);
  }
  if (on && gone_ == nullptr && state_ == State::kOpen &&
      (!kept_.empty() || is_more_inside_ || end_beneath_)) {
    later_ = environment_.scheduler.After(Duration::zero(), [this] {
      if (is_reading_) {
        (void)Pump();
      }
    });
  }
}

// ---- writing ------------------------------------------------------------------------------------

std::size_t TlsStream::Write(std::span<const iovec> parts) {
  const std::size_t offered = TotalBytes(parts);
  if (state_ == State::kBroken) {
    return offered;
  }
  if (state_ != State::kOpen || !out_.empty()) {
    is_write_owed_ = is_write_owed_ || offered > 0;
    return 0;
  }
  // What was encrypted for an earlier, short Write has left since.
  std::size_t taken = std::min(std::exchange(encrypted_, 0), offered);
  std::size_t skip = taken;
  std::size_t chunk = 0;
  for (const iovec& part : parts) {
    std::string_view rest(static_cast<const char*>(part.iov_base), part.iov_len);
    const std::size_t skipped = std::min(skip, rest.size());
    skip -= skipped;
    rest.remove_prefix(skipped);
    while (!rest.empty()) {
      const std::size_t n = std::min({rest.size(), kRecordBytes, kChunkBytes - chunk});
      if (!Encrypt(rest.substr(0, n))) {
        return offered;
      }
      rest.remove_prefix(n);
      chunk += n;
      if (chunk < kChunkBytes) {
        continue;
      }
      if (!FlushCipher()) {
        encrypted_ = chunk;
        is_write_owed_ = true;
        return taken;
      }
      taken += std::exchange(chunk, 0);
    }
  }
  if (!FlushCipher()) {
    encrypted_ = chunk;
    is_write_owed_ = chunk > 0;
    return taken;
  }
  return taken + chunk;
}

bool TlsStream::Encrypt(std::string_view bytes) {
  ERR_clear_error();
  std::size_t n = 0;
  if (SSL_write_ex(ssl_, bytes.data(), bytes.size(), &n) == 1 && n == bytes.size()) {
    return true;
  }
  BreakLater(ExplainTlsFailure(ssl_, peer_.context->options(), peer_.host));
  return false;
}

// ---- the end ------------------------------------------------------------------------------------

// No more of this connection counts: it is neither open nor shaking hands.
void TlsStream::Forget() {
  if (state_ == State::kOpen) {
    environment_.stats.connections.Sub();
  }
  state_ = State::kBroken;
  kept_.clear();
  in_ = {};
  is_write_owed_ = false;
  environment_.scratch.cipher.clear();
}

void TlsStream::BreakLater(TlsFault fault) {
  Forget();
  later_ = environment_.scheduler.After(Duration::zero(),
                                        [this, fault = std::move(fault)] { (void)Fail(fault); });
}

bool TlsStream::Fail(const TlsFault& fault) {
  environment_.stats.failure(fault.why).Add();
  Forget();
  return End(Error{fault.why == TlsFailure::kTimeout ? Code::kTimeout : Code::kUnavailable,
                   fault.sentence});
}

bool TlsStream::End(const Error& why) {
  if (is_ended_) {
    return true;
  }
  is_ended_ = true;
  deadline_.reset();
  bool here = false;
  bool* const outer = gone_;
  if (outer == nullptr) {
    gone_ = &here;
  }
  const bool* gone = gone_;
  // `why` may be the stream beneath's, which the handler may destroy with us.
  const Error told = why;  // NOLINT(performance-unnecessary-copy-initialization)
  handler_.OnEnd(told);
  if (*gone) {
    return false;
  }
  gone_ = outer;
  return true;
}

}  // namespace nearcached
