// How an answer comes back: the one door through which upstream replies reach those who asked.
//
// Sinks are long-lived (the server's session registry, the flight table), never a session itself:
// a session may die while its request is on the wire, and the token then simply finds nobody.
// Loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace nearcached {

struct Footprint;

// Says which request of a sink a reply belongs to. The sink chose it; nobody else looks inside.
struct RequestToken {
  std::uint64_t owner = 0;  // session id, or flight index
  std::uint64_t seq = 0;    // request number within the owner
};

// What the proxy must know of a reply it does not otherwise look into.
struct ReplyInfo {
  char type = 0;                  // first byte of the reply: '+', '-', ':', '$', '*', '_', …
  bool null = false;              // "$-1", "*-1" or "_"
  std::int64_t bulk_length = -1;  // payload bytes of a bulk string, else -1
};

class ReplySink {
 public:
  // The next piece of the reply to `token`, verbatim. Replies below the streaming threshold come
  // whole, in one piece with `last` set. The view is gone when the call returns.
  virtual void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                           bool last) = 0;

  // Asked after a piece that was not the last: how many bytes whoever gets the rest has yet to
  // read. Where that is much, the link stops reading for a moment (back-pressure).
  [[nodiscard]] virtual std::size_t Backlog(RequestToken token) const = 0;

  // There will be no (more) reply. `error_line` is what to tell the client, without '-' and CRLF.
  // `mid_reply`: pieces were already delivered, so the client's stream cannot be mended.
  virtual void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) = 0;

  // The connection was lost, and the request is one that may be sent once more. True: the sink sees
  // to that itself, by whatever way, and has taken `footprint` back; the link forgets the request.
  // False: the link sends it again. Nothing may be sent, and no other sink called, from in here.
  [[nodiscard]] virtual bool TakeBack(RequestToken /*token*/,
                                      std::unique_ptr<Footprint>& /*footprint*/) {
    return false;
  }

 protected:
  ~ReplySink() = default;
};

}  // namespace nearcached
