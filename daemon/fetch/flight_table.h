// Flights: one upstream read per (database, key) generation, however many clients ask.
//
// A flight is also the fill ticket of consistency.md R1: it is registered before its request is
// written, and an invalidation of its key, a write through this sidecar or the loss of its link
// poisons it. A poisoned flight still answers those who wait, fills nothing, and is *detached*: it
// leaves the table, so that whoever asks afterwards starts a new one (R2). Replies of GET have one
// form in RESP2 and RESP3 except for nil, which is encoded when it is released, so clients of both
// protocols share flights and entries. Other reads of a key fly, and are kept, for each request and
// protocol apart (CacheKey::variant); what concerns a key concerns all of them. There is one
// upstream identity per worker, so the user is not part of the key.
//
// Owned by the worker's Coherence; loop thread only. Bounded by the clients' own bounds (each
// client has at most pipeline_max requests open) and by waiters_max per flight.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/counter.h"
#include "daemon/base/scheduler.h"
#include "daemon/cache/l1.h"
#include "daemon/fetch/fill_channel.h"
#include "daemon/fetch/read_request.h"
#include "daemon/fetch/reply_sink.h"
#include "proto/resp2_writer.h"

namespace nearcached {

struct FlightStats {
  Counter started;         // upstream reads begun
  Counter coalesced;       // requests that joined a read already on its way
  Counter detached;        // flights that an invalidation or a write made unjoinable
  Counter lost;            // flights whose link failed or timed out
  Counter fills_stored;    // values that reached L1
  Counter fills_poisoned;  // not stored: invalidated, written or flushed while on the way
  Counter fills_refused;   // not stored: error reply, too large, expiring, or L1 would not take it
  Gauge open;
  Gauge waiters;
  Histogram wait;  // from joining to the answer
};

// One request that waits for a flight.
struct FlightWaiter {
  RequestToken token;      // the session's
  std::uint32_t part = 0;  // which key of an MGET; 0 for GET
  MonoTime since{};
};

// Where flights answer: the session registry.
class FlightSink {
 public:
  virtual void OnFlightPart(const FlightWaiter& waiter, std::string_view bytes,
                            const ReplyInfo& info, bool last) = 0;
  virtual void OnFlightLost(const FlightWaiter& waiter, std::string_view error_line,
                            bool mid_reply) = 0;
  // As ReplySink::Backlog.
  [[nodiscard]] virtual std::size_t WaiterBacklog(const FlightWaiter& waiter) const = 0;

 protected:
  ~FlightSink() = default;
};

// How the outcome may be remembered; jitter is already taken off the TTLs.
struct FillTerms {
  Duration ttl{};
  Duration negative_ttl{};  // zero: a missing key is not remembered
  std::uint64_t entry_bytes_max = 0;
  bool may_fill = true;  // false: a write of the key is unanswered, answer only (R3)
};

// Which flight under way a request may wait for.
enum class Joining : std::uint8_t {
  kNone,      // none: it starts its own
  kYoungest,  // only one that was sent after all others of its key, since the client waits for
              // another read of the key: what it is told last must not be the older
  kAny,
};

class FlightTable final : public ReplySink {
 public:
  FlightTable(Scheduler& scheduler, L1& l1, FillChannel& channel)
      : scheduler_(scheduler), l1_(l1), channel_(channel) {}
  ~FlightTable();
  FlightTable(const FlightTable&) = delete;
  FlightTable& operator=(const FlightTable&) = delete;

  // Where answers go. Set once, before the first Join; must outlive the table.
  void SetSink(FlightSink& sink) { sink_ = &sink; }

  // Joins the key's flight, or starts one. Returns an error line (valid until the next call) when
  // the upstream cannot be asked; then nobody waits. REQUIRES: `read` is empty if and only if
  // key.variant is.
  std::string_view Join(const CacheKey& key, const ReadRequest& read, const FillTerms& terms,
                        const FlightWaiter& waiter, Joining joining, std::uint32_t waiters_max);

  // How many flights of keys with this hash others could find.
  [[nodiscard]] std::size_t UnderWay(std::uint64_t hash) const { return by_hash_.count(hash); }

  // Poisons and detaches the flights of `key` in every database (R1, R2; invalidations do not name
  // the database).
  void Poison(std::uint64_t hash, std::string_view key);
  // The same for every key that begins with `prefix`.
  void PoisonPrefix(std::string_view prefix);
  void PoisonAll();

  // A client that leaves does not fail the others: its waiters stay and find nobody at the end.

  [[nodiscard]] const FlightStats& stats() const { return stats_; }
  [[nodiscard]] std::size_t open() const { return flights_.size() - free_.size(); }

  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                   bool last) override;
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override;
  // Of a value that streams: the largest of its waiters'.
  [[nodiscard]] std::size_t Backlog(RequestToken token) const override;

 private:
  struct Flight {
    DbIndex db = 0;
    std::uint64_t hash = 0;
    std::string key;
    std::string variant;                                 // empty: GET
    std::string request;                                 // the same
    const CommandRow* row = nullptr;                     // not of GET
    proto::Protocol protocol = proto::Protocol::kResp2;  // the same
    FillTerms terms;
    std::uint64_t order = 0;  // of sending; flights of one key share a link, so also of replies
    FillOwner owner{};
    MonoTime sent_at{};
    std::string value;                         // the reply so far, unless it streams
    std::optional<proto::Resp2Writer> writer;  // where it has to be put into RESP2
    ReplyInfo info;
    std::vector<FlightWaiter> waiters;
    bool open = false;       // in use
    bool listed = false;     // in the table: can be found by its key
    bool joinable = false;   // others may wait for it too
    bool streaming = false;  // too large to keep: pieces go straight to the waiters
    bool answered = false;   // the value has come
    bool failed = false;     // the value is of no use: its waiters have been told
    int replies_due = 0;     // of the two that the channel owes

    [[nodiscard]] bool IsOf(const CacheKey& k) const {
      return db == k.db && key == k.key && variant == k.variant;
    }
    // Says that there is no such key.
    [[nodiscard]] bool SaysNoKey() const;
    [[nodiscard]] bool IsError() const { return info.type == '-' || info.type == '!'; }
    [[nodiscard]] CacheKey Key() const { return {db, key, hash, variant}; }
  };

  std::uint64_t Open(const CacheKey& key, const ReadRequest& read, const FillTerms& terms);
  Flight* FindJoinable(const CacheKey& key, Joining joining, std::uint32_t waiters_max);
  void Close(std::uint64_t index);
  void Unlist(std::uint64_t index);
  void PoisonOne(std::uint64_t index);
  void SupersedeOlder(const CacheKey& key);
  void OnValuePart(std::uint64_t index, std::string_view bytes, const ReplyInfo& info, bool last);
  void TakeValue(std::uint64_t index, std::string_view bytes, bool last);
  void LoseWaiters(Flight& flight, std::string_view error_line, bool mid_reply);
  void OnTtl(std::uint64_t index, std::string_view bytes, const ReplyInfo& info);
  void TryFill(Flight& flight, std::int64_t pttl_ms);
  void ForgetOlder(const Flight& flight);
  void Answer(std::uint64_t index);
  static Flight Asked(const Flight& flight);
  static std::vector<FlightWaiter> TakeRepeated(Flight& flight);
  static std::vector<FlightWaiter> TakeTooLate(Flight& flight, std::int64_t pttl_ms);
  void AskAgain(const Flight& asked, const std::vector<FlightWaiter>& waiters);
  void Rejoin(const Flight& asked, FlightWaiter waiter);
  void FollowUp(const Flight& asked, const std::vector<FlightWaiter>& ahead, std::uint64_t reached);
  void SendToWaiters(std::uint64_t index, std::string_view bytes, bool last);

  Scheduler& scheduler_;
  L1& l1_;
  FillChannel& channel_;
  FlightSink* sink_ = nullptr;
  std::vector<std::unique_ptr<Flight>> flights_;  // by index; stable while open
  std::vector<std::uint64_t> free_;
  std::unordered_multimap<std::uint64_t, std::uint64_t> by_hash_;  // listed flights
  std::uint64_t last_order_ = 0;
  FlightStats stats_;
};

}  // namespace nearcached
