// A client's hold on an exclusive link, and why it has it.
//
// Part of its session. The dispatcher sets the reasons when it forwards what needs them; the
// session takes the link, gives it back, and hears of its loss (session_exclusive.cc).
#pragma once

#include <memory>
#include <string>

#include "daemon/fetch/footprint.h"
#include "daemon/fetch/upstream.h"

namespace nearcached {

struct PinState {
  ExclusiveLink* link = nullptr;  // the pool's; null: none is held, and all else is as it is here
  bool watching = false;          // WATCH
  bool multi = false;             // MULTI
  bool aborted = false;           // a queued command was refused here: EXEC must fail
  bool subscribes = false;        // in MULTI: what is queued subscribes
  bool passthrough = false;       // SUBSCRIBE, MONITOR, CLIENT TRACKING
  bool tunnel = false;            // passthrough of a replica: the bytes are no requests any more
  bool stays = false;             // passthrough that outlives its subscriptions: tracking, SELECT
  bool ending = false;            // goes back as soon as nothing is unanswered on it
  bool blocking = false;          // a blocking command waits on it
  bool tainted = false;           // what state it has upstream is in doubt: nobody else may get it
  // CLIENT TRACKING with REDIRECT: the server's id of the other client's link; 0 without.
  std::int64_t redirect_upstream = 0;
  bool translating = false;           // passthrough: the reply that is due names that id
  std::uint32_t commands_queued = 0;  // in MULTI
  // In MULTI: the id of the script that the server was told over a lane, for the EVALSHA that waits
  // for that. 0: none.
  std::uint64_t script_told = 0;
  std::string script_untold;             // why the server could not be told it; empty: it was
  std::unique_ptr<Footprint> queued;     // what the commands queued in MULTI touch, for EXEC (R9)
  std::unique_ptr<WrittenKeys> written;  // and what they write, where replicas are read from
  bool writes_through = false;           // passthrough: a command that may write was sent

  // The server remembers something for this client that would be lost with the link.
  [[nodiscard]] bool HasServerState() const { return multi || watching || passthrough; }
  // Another client may have the link next.
  [[nodiscard]] bool Reusable() const { return !HasServerState() && !tainted; }
  // The MULTI that was sent opened no transaction, as far as anybody knows.
  void CloseMulti() {
    multi = false;
    ending = !watching;
  }
};

}  // namespace nearcached
