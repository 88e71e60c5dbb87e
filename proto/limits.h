// What a client may make us hold before its request is refused. Plain values, any thread.
#pragma once

#include <cstddef>

namespace nearcached::proto {

// The defaults are those of Redis where it has one (proto-max-bulk-len, client-query-buffer-limit,
// PROTO_INLINE_MAX_SIZE). A bound that is reached is a protocol error, because the bytes that
// follow cannot be told from a new request.
struct RequestLimits {
  // Arguments of one request, the command name included.
  std::size_t args_max = std::size_t{1024} * 1024;
  // Payload bytes of one argument.
  std::size_t bulk_bytes_max = std::size_t{512} << 20;
  // Bytes of one whole request, framing included. Values from 4 GiB up mean 4 GiB - 1.
  std::size_t request_bytes_max = std::size_t{1} << 30;
  // Bytes of one inline line, and of one length line, without its terminator.
  std::size_t inline_bytes_max = std::size_t{64} * 1024;
};

}  // namespace nearcached::proto
