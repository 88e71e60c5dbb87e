// Replies leave in the order of the requests, whatever order they come in (I1).
//
// A slot per unanswered request. Bytes for the front slot go straight to the output; bytes for a
// later one wait in it. Owned by a session; loop thread only. Bounded by the session's pipeline_max
// slots and output_bytes_max bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/out_buffer.h"
#include "daemon/base/ring.h"
#include "daemon/base/time.h"
#include "daemon/fetch/recent_writes.h"
#include "daemon/session/mget_gather.h"

namespace nearcached {

// What the session must remember of a request until it is answered.
struct PendingRequest {
  enum class Kind : std::uint8_t {
    kLocal,        // answered by the sidecar itself; waits only for its turn
    kForward,      // on a lane or an exclusive link
    kFlight,       // waits for a flight
    kMget,         // waits for several flights
    kMulti,        // MULTI: an error means that no transaction was opened
    kTxnEnd,       // EXEC, DISCARD, UNWATCH, or a blocking command: afterwards the link goes back
    kExecAborted,  // DISCARD sent in place of an EXEC that must fail
    kSelect,       // a SELECT or PING sent to find out whether the database exists
    kLogin,        // AUTH or HELLO that the upstream judges
    kScriptLoad,   // SCRIPT LOAD ahead of an EVALSHA in MULTI; nobody hears the reply
  };
  Kind kind = Kind::kLocal;
  bool muted = false;       // CLIENT REPLY OFF or SKIP: nobody hears the reply
  bool wide = false;        // kForward: may touch keys it does not name
  bool past_l1 = false;     // kFlight: its reply may be of a later moment than what L1 holds
  bool at_replica = false;  // kForward: a replica was asked
  std::uint16_t command = 0;
  std::uint32_t db = 0;    // kSelect
  std::uint64_t hash = 0;  // the one key, if `hashed`
  bool hashed = false;
  std::vector<std::uint64_t> more_hashes;  // the others
  std::unique_ptr<MgetGather> gather;      // kMget
  std::unique_ptr<WrittenKeys> written;    // what it may have written once it is answered
  MonoTime since{};                        // when it was dispatched

  void AddKey(std::uint64_t key_hash) {
    if (!hashed) {
      hash = key_hash;
      hashed = true;
    } else {
      more_hashes.push_back(key_hash);
    }
  }
};

class ReplyQueue {
 public:
  ReplyQueue() = default;
  ~ReplyQueue() = default;
  ReplyQueue(const ReplyQueue&) = delete;
  ReplyQueue& operator=(const ReplyQueue&) = delete;

  [[nodiscard]] bool empty() const { return slots_.empty(); }
  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  // Bytes that wait in slots behind an unanswered one.
  [[nodiscard]] std::size_t held_bytes() const { return held_bytes_; }

  // The number that the next slot will have.
  [[nodiscard]] std::uint64_t next() const { return first_ + slots_.size(); }
  // Opens the slot of the next request; returns its number.
  std::uint64_t Open(PendingRequest&& pending);

  // The same for one whose reply is already known. REQUIRES: !empty(); an empty queue has no turn
  // to wait for, the reply goes straight out.
  void OpenAnswered(std::string reply);

  // The request of an unanswered slot; null when `seq` names none (any more).
  PendingRequest* Find(std::uint64_t seq);

  // Every request behind the one of `seq` has its answer. REQUIRES: its slot is open.
  [[nodiscard]] bool NothingOpenBehind(std::uint64_t seq) const;

  // True when bytes for `seq` would go straight out.
  [[nodiscard]] bool IsFront(std::uint64_t seq) const { return !empty() && seq == first_; }

  // Adds reply bytes. REQUIRES: the slot is open.
  void Append(std::uint64_t seq, std::string_view bytes, OutBuffer& out);

  // Answers the slot. Everything that is now in order goes to `out`. REQUIRES: the slot is open.
  void Finish(std::uint64_t seq, OutBuffer& out);

  // Gives memory back. REQUIRES: empty().
  void Release() { slots_.Release(); }

 private:
  struct Slot {
    PendingRequest pending;
    std::string held;
    bool done = false;
  };

  Ring<Slot> slots_;
  std::uint64_t first_ = 0;  // number of the front slot
  std::size_t held_bytes_ = 0;
};

}  // namespace nearcached
