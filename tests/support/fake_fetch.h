// Stand-ins for both sides of the fetch room: the channel that fills, and those who wait.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/fetch/fill_channel.h"
#include "daemon/fetch/flight_table.h"
#include "daemon/fetch/reply_sink.h"

namespace nearcached {

// Records what was asked for; the test answers through the sink it was given.
class FakeFillChannel final : public FillChannel {
 public:
  struct Fill {
    std::string key;
    DbIndex db = 0;
    ReplySink* sink = nullptr;
    std::uint64_t flight = 0;
    std::string request{};  // empty: GET
  };
  std::vector<Fill> sent;
  FillOwner owner{0, 1};
  std::string_view refusal;  // not empty: nothing can be sent
  TrackingState state = TrackingState::kArmed;

  std::variant<FillOwner, std::string_view> SendFill(const CacheKey& key, const ReadRequest& read,
                                                     ReplySink& sink,
                                                     std::uint64_t flight) override {
    if (!refusal.empty()) {
      return refusal;
    }
    sent.push_back({std::string(key.key), key.db, &sink, flight, std::string(read.bytes)});
    return owner;
  }
  TrackingState StateFor(const CacheKey& /*key*/) override { return state; }

  // A reply, or a piece of one that begins with `type` and announces `bulk_length`.
  void Value(std::size_t i, std::string_view bytes) { Part(i, kValue, bytes, InfoOf(bytes), true); }
  void ValuePiece(std::size_t i, std::string_view bytes, std::int64_t bulk_length, bool last) {
    Part(i, kValue, bytes, {'$', false, bulk_length}, last);
  }
  // A piece of a reply of another type.
  void Piece(std::size_t i, std::string_view bytes, char type, bool last) {
    Part(i, kValue, bytes, {type, false, -1}, last);
  }
  void Ttl(std::size_t i, std::string_view bytes) { Part(i, kTtl, bytes, InfoOf(bytes), true); }
  void LoseValue(std::size_t i, bool mid_reply = false) {
    sent.at(i).sink->OnReplyLost({sent.at(i).flight, kValue}, "ERR lost", mid_reply);
  }
  void LoseTtl(std::size_t i) {
    sent.at(i).sink->OnReplyLost({sent.at(i).flight, kTtl}, "ERR lost", false);
  }

 private:
  static ReplyInfo InfoOf(std::string_view bytes) {
    return {bytes.front(), bytes.starts_with("$-1") || bytes.front() == '_', -1};
  }
  void Part(std::size_t i, std::uint64_t seq, std::string_view bytes, const ReplyInfo& info,
            bool last) {
    sent.at(i).sink->OnReplyPart({sent.at(i).flight, seq}, bytes, info, last);
  }
};

// Records answers, one string each: "7: $1\r\nx\r\n", "7 lost: ERR …". A piece that is not the last
// ends in "…", what broke off in the middle begins with "7 broken: ".
class RecordingSink : public ReplySink, public FlightSink {
 public:
  RecordingSink() = default;
  virtual ~RecordingSink() = default;
  RecordingSink(const RecordingSink&) = delete;
  RecordingSink& operator=(const RecordingSink&) = delete;

  std::vector<std::string> heard;
  std::size_t backlog = 0;  // what it says when asked

  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& /*info*/,
                   bool last) override {
    heard.push_back(std::to_string(token.seq) + ": " + std::string(bytes) + (last ? "" : "…"));
  }
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override {
    heard.push_back(std::to_string(token.seq) + (mid_reply ? " broken: " : " lost: ") +
                    std::string(error_line));
  }
  void OnFlightPart(const FlightWaiter& waiter, std::string_view bytes, const ReplyInfo& info,
                    bool last) override {
    OnReplyPart(waiter.token, bytes, info, last);
  }
  [[nodiscard]] std::size_t Backlog(RequestToken /*token*/) const override { return backlog; }
  [[nodiscard]] std::size_t WaiterBacklog(const FlightWaiter& /*waiter*/) const override {
    return backlog;
  }
  void OnFlightLost(const FlightWaiter& waiter, std::string_view error_line,
                    bool mid_reply) override {
    OnReplyLost(waiter.token, error_line, mid_reply);
  }
};

}  // namespace nearcached
