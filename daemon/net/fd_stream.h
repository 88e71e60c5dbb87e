// FdStream: the ByteStream seam over a connected, non-blocking stream socket (TCP or unix).
//
// Owned by a session through its ByteStream; borrows the loop. Loop thread only.
// An idle stream costs its own object and one poll handle, some 300 bytes: the memory that reads go
// into belongs to the loop, and bytes not yet written belong to whoever offers them to Write.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <uv.h>

#include "daemon/base/byte_stream.h"
#include "daemon/base/scheduler.h"
#include "daemon/net/uv_handle.h"
#include "daemon/net/uv_loop.h"

namespace nearcached {

class FdStream final : public ByteStream {
 public:
  // A TCP stream that was readable this often, and emptied each time, is watched edge-triggered
  // from then on until what is watched changes (fd_stream.cc says what that saves and how).
  static constexpr int kReadsBeforeEdges = 16;

  // Takes ownership of `fd`, a connected stream socket in any blocking mode, makes it non-blocking,
  // sets TCP_NODELAY where that exists, and starts reading. `peer` is what PeerName returns. When
  // the loop cannot watch the fd, the stream is born broken and tells the handler in OnEnd.
  [[nodiscard]] static std::unique_ptr<ByteStream> Adopt(UvLoop& loop, int fd,
                                                         ByteStreamHandler& handler,
                                                         std::string peer);

  FdStream(UvLoop& loop, int fd, ByteStreamHandler& handler, std::string peer);
  FdStream(const FdStream&) = delete;
  FdStream& operator=(const FdStream&) = delete;
  // Closes the socket. On TCP, bytes that had arrived and were never read are discarded first: the
  // kernel would otherwise answer with a reset, which may overtake and destroy our last reply.
  ~FdStream() override;

  std::size_t Write(std::span<const iovec> parts) override;
  void SetReading(bool on) override;
  [[nodiscard]] bool PeerHasEnded() const override;
  [[nodiscard]] std::string PeerName() const override { return peer_; }

 private:
  static void OnPoll(uv_poll_t* handle, int status, int events) noexcept;

  void HandleEvents(uv_poll_t* handle, int status, int events);
  void ReadSome(const uv_poll_t* handle, bool is_poll_failed, bool has_peer_ended);
  [[nodiscard]] std::size_t SendChunk(std::span<const iovec> parts, int& error);
  void Watch();
  void ChangeWatch(int wanted);
  void CountEmptied();
  void WatchEdges();
  void Break(int error);
  void End(const Error& why);

  UvLoop& loop_;
  ByteStreamHandler& handler_;
  const int fd_;
  bool is_tcp_ = false;
  bool is_reading_ = true;        // the owner wants bytes
  bool is_waiting_room_ = false;  // a write was short, OnWritable is owed
  bool is_broken_ = false;        // both directions: writes are swallowed
  bool is_ended_ = false;         // OnEnd was called, nothing more will be read
  bool is_edge_triggered_ = false;
  int times_emptied_ = 0;  // since libuv was last told what to watch
  int watched_ = 0;        // kReadInterest | UV_WRITABLE as libuv knows it
  UvHandle<uv_poll_t> poll_;
  std::unique_ptr<Timer> late_end_;  // a failed Write owes an OnEnd from the loop
  std::string peer_;
};

}  // namespace nearcached
