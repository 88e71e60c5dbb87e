// TlsStream: the ByteStream seam over another ByteStream, encrypted.
//
// It neither knows sockets nor the loop, so it works over FdStream, over a connection that is still
// being dialled, and over a test's in-memory stream alike. Both roles. Loop thread only.
//
// Beyond the seam's contract: bytes that Write did not take must be offered again, and first, as
// every byte stream's owner does; they are encrypted already by then.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/base/byte_stream.h"
#include "daemon/base/scheduler.h"
#include "daemon/net/tls_context.h"
#include "daemon/net/tls_failure.h"
#include "daemon/net/tls_peer.h"
#include "daemon/net/tls_stats.h"

struct bio_st;         // BIO
struct bio_method_st;  // BIO_METHOD

namespace nearcached {

// What a server says, in plain text, to a client that does not speak TLS, before it closes: a Redis
// client shows it, where an alert record would only look like a broken server.
inline constexpr std::string_view kTlsWantedReply =
    "-ERR nearcached: this address speaks TLS: connect with rediss://\r\n";

// Memory that all TLS streams of a loop use in turn; an idle stream owns no buffer.
struct TlsScratch {
  static constexpr std::size_t kPlainBytes = std::size_t{64} << 10U;
  std::unique_ptr<char[]> plain = std::make_unique<char[]>(kPlainBytes);  // decrypted, handed up
  std::string cipher;  // encrypted, on its way down; empty between calls
};

// What a stream borrows; all of it outlives the stream.
struct TlsEnvironment {
  Scheduler& scheduler;
  TlsScratch& scratch;
  TlsStats& stats;
  Duration handshake_timeout{};  // zero: the owner of the stream has a timeout of its own
};

class TlsStream final : public ByteStream, private ByteStreamHandler {
 public:
  // Makes the stream beneath, given who will handle it.
  using OpenBeneath = std::function<std::unique_ptr<ByteStream>(ByteStreamHandler&)>;

  // Client: the stream beneath is being dialled; once it stands the handshake begins, and once that
  // is done `handler` hears OnOpen. Server: the stream beneath is open, and so is this one for its
  // handler; until the handshake is done Write takes nothing. `handler` outlives the stream.
  TlsStream(TlsPeer peer, const TlsEnvironment& environment, ByteStreamHandler& handler,
            const OpenBeneath& open);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  // Says goodbye (close_notify) if there is room for it, and closes.
  ~TlsStream() override;

  std::size_t Write(std::span<const iovec> parts) override;
  void SetReading(bool on) override;
  [[nodiscard]] bool PeerHasEnded() const override {
    return end_beneath_.has_value() || beneath_->PeerHasEnded();
  }
  [[nodiscard]] std::string PeerName() const override { return beneath_->PeerName(); }

 private:
  enum class State : std::uint8_t { kConnecting, kHandshake, kOpen, kBroken };
  enum class Read : std::uint8_t { kDrained, kFull, kEnd, kFailed };

  // From beneath.
  void OnOpen() override;
  void OnBytes(std::span<char> bytes) override;
  void OnWritable() override;
  void OnEnd(const Error& why) override;

  // The BIO: OpenSSL's view of what is beneath.
  static const bio_method_st* BioMethod();
  static int BioRead(bio_st* bio, char* to, int size) noexcept;
  static int BioWrite(bio_st* bio, const char* from, int size) noexcept;
  static long BioControl(bio_st* bio, int command, long number, void* pointer) noexcept;

  // Each returns false when *this has been destroyed by the handler.
  bool Pump();
  bool Shake();
  bool ReadOn();
  bool Fail(const TlsFault& fault);
  bool End(const Error& why);

  void StartHandshake();
  void NameServer();
  [[nodiscard]] Read FillPlain(std::size_t& have);
  [[nodiscard]] bool Encrypt(std::string_view bytes);
  bool FlushCipher();
  void KeepRest();
  void BreakLater(TlsFault fault);
  void Forget();
  [[nodiscard]] bool is_client() const;

  TlsPeer peer_;
  TlsEnvironment environment_;
  ByteStreamHandler& handler_;
  ssl_st* ssl_ = nullptr;  // owned
  State state_ = State::kConnecting;
  bool is_reading_ = true;       // the owner wants bytes
  bool is_write_owed_ = false;   // a Write was short: OnWritable is owed
  bool is_ended_ = false;        // OnEnd was called
  bool is_more_inside_ = false;  // OpenSSL may hold decrypted bytes
  bool* gone_ = nullptr;         // set on destruction; non-null while the handler may be called

  std::string_view in_;        // while pumping: ciphertext not yet read by OpenSSL
  std::string kept_;           // the same, kept because the owner does not read
  std::string out_;            // ciphertext that the stream beneath has not taken yet
  std::size_t encrypted_ = 0;  // bytes at the front of the next Write that are in out_ already
  std::optional<Error> end_beneath_;  // to be told once kept_ has been read
  MonoTime started_{};
  std::unique_ptr<Timer> deadline_;  // of the handshake
  std::unique_ptr<Timer> later_;     // reading goes on, or a failed Write owes an OnEnd
  std::unique_ptr<ByteStream> beneath_;
};

}  // namespace nearcached
