// The seam to the network: an ordered stream of bytes to one peer, and a way to open one.
//
// Clients and upstream connections use the same seam, so all the code above it runs unchanged in
// the simulator. Real: net/fd_stream, net/tls_stream, upstream/hiredis_dialer. Simulated:
// tests/sim. Loop thread only. Handlers are called from the loop, never from inside a method of the
// stream they belong to. A handler may destroy its stream inside any callback.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <sys/uio.h>

#include "daemon/base/result.h"

namespace nearcached {

// What a stream tells its owner. Borrowed by the stream; must outlive it.
class ByteStreamHandler {
 public:
  // The connection stands (dialled streams only; accepted ones are open from the start).
  virtual void OnOpen() {}
  // Bytes arrived. The view may be changed in place and is gone when the call returns.
  virtual void OnBytes(std::span<char> bytes) = 0;
  // After a short Write: the stream takes bytes again.
  virtual void OnWritable() = 0;
  // Nothing more will be read. Called at most once. Code::kEof: the peer has finished sending, but
  // may still read what is written. Any other code: the stream is broken in both directions.
  virtual void OnEnd(const Error& why) = 0;

 protected:
  ~ByteStreamHandler() = default;
};

// How many bytes `parts` hold together.
[[nodiscard]] inline std::size_t TotalBytes(std::span<const iovec> parts) {
  std::size_t total = 0;
  for (const iovec& part : parts) {
    total += part.iov_len;
  }
  return total;
}

// Destroying a stream closes it at once; what Write accepted is still delivered by the kernel.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // Offers `parts` in order and returns how many bytes were taken; never blocks. When it takes less
  // than offered, OnWritable follows once there is room. A broken stream takes everything and
  // reports through OnEnd.
  virtual std::size_t Write(std::span<const iovec> parts) = 0;

  // Stops or resumes OnBytes (back-pressure). Streams start out reading.
  virtual void SetReading(bool on) = 0;

  // Whether the peer is known to have finished sending, or to be gone, though bytes it sent before
  // may be unread: what OnEnd cannot tell while the stream does not read. Costs a system call.
  // Streams of accepted connections know; others may always say no.
  [[nodiscard]] virtual bool PeerHasEnded() const { return false; }

  // "127.0.0.1:50312", "unix:/run/x.sock": for logs and CLIENT LIST.
  [[nodiscard]] virtual std::string PeerName() const = 0;
};

// Where an upstream listens.
enum class TlsUse : std::uint8_t {
  kNone,       // not encrypted
  kUpstream,   // with the settings for the upstream
  kSentinels,  // with those for its sentinels
};

struct Endpoint {
  std::string host;       // name or address; empty when unix_path is set
  int port = 6379;        // 1..65535
  std::string unix_path;  // absolute path of a unix socket, else empty
  TlsUse tls = TlsUse::kNone;
  // "redis.example:6379", "[::1]:6379", "unix:/run/redis.sock".
  [[nodiscard]] std::string ToString() const {
    if (!unix_path.empty()) {
      return "unix:" + unix_path;
    }
    const bool is_v6 = host.find(':') != std::string::npos;
    return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
  }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Opens streams to upstreams.
class Dialer {
 public:
  // Starts connecting. The outcome comes as handler.OnOpen or handler.OnEnd, after this returns.
  // The caller bounds the wait with a timer of its own.
  [[nodiscard]] virtual std::unique_ptr<ByteStream> Dial(const Endpoint& to,
                                                         ByteStreamHandler& handler) = 0;

 protected:
  ~Dialer() = default;
};

}  // namespace nearcached
