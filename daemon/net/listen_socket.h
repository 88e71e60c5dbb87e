// ListenSocket: a bound, listening TCP or unix socket, and the file that goes with the latter.
//
// A movable owner without a loop: app opens the sockets before anything else runs, so that every
// startup error is one clear line, and hands each to a Listener. Any thread.
#pragma once

#include <string>
#include <sys/types.h>

#include "daemon/base/byte_stream.h"
#include "daemon/base/result.h"
#include "daemon/net/socket_address.h"

namespace nearcached {

struct ListenOptions {
  int backlog = 1024;           // connections the kernel completes ahead of accept (≤ somaxconn)
  mode_t unix_mode = 0660;      // permissions of a unix socket: who may write may connect
  bool is_shared_port = false;  // TCP: several workers listen on the same port (SO_REUSEPORT)
};

class ListenSocket {
 public:
  // Binds and listens. `at.host` is an address or a name (its first address counts, IPv4 before
  // IPv6); `at.port` 0 lets the kernel choose. An IPv6 address serves IPv6 only. A unix socket file
  // that nobody answers on is replaced; one that somebody answers on, or a file that is no socket,
  // is an error. May block on a name: call before the loop runs.
  // Errors: kInvalid (address, path, permissions), kUnavailable (in use, no descriptors).
  [[nodiscard]] static Result<ListenSocket> Open(const Endpoint& at, const ListenOptions& options);

  ListenSocket(const ListenSocket&) = delete;
  ListenSocket& operator=(const ListenSocket&) = delete;
  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&& other) noexcept;
  // Closes the socket and removes its file, unless the path has come to name another socket.
  ~ListenSocket();

  // A second descriptor of the same listening socket, for another worker's Listener. The file stays
  // the business of the original.
  [[nodiscard]] Result<ListenSocket> Share() const;

  [[nodiscard]] int fd() const { return fd_; }
  // What the socket is really bound to: with port 0 this has the port the kernel chose.
  [[nodiscard]] const SocketAddress& address() const { return address_; }

 private:
  explicit ListenSocket(int fd) : fd_(fd) {}
  [[nodiscard]] static Result<ListenSocket> OpenTcp(const Endpoint& at,
                                                    const ListenOptions& options);
  [[nodiscard]] static Result<ListenSocket> OpenUnix(const Endpoint& at,
                                                     const ListenOptions& options);
  void Close();

  int fd_ = -1;
  SocketAddress address_;
  std::string owned_path_;  // unix socket file to remove, empty if none
  dev_t file_device_ = 0;   // identity of that file when we made it
  ino_t file_inode_ = 0;
};

}  // namespace nearcached
