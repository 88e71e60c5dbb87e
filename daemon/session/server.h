// All the clients of one worker: accepts, finds, flushes and reaps them.
//
// It is the sink of every reply: links and flights name a session by id, and whoever has left is
// simply not found. Sessions are destroyed here and only here, at the end of a turn.
// Owned by the worker; loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "daemon/fetch/flight_table.h"
#include "daemon/fetch/reply_sink.h"
#include "daemon/fetch/upstream.h"
#include "daemon/session/dispatcher.h"
#include "daemon/session/session.h"
#include "daemon/session/session_context.h"

namespace nearcached {

class Server final : public ReplySink, public FlightSink, public ExclusiveOwner {
 public:
  explicit Server(SessionContext& context) : context_(context), dispatcher_(context) {}
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Makes the stream of an accepted connection, given who will handle it.
  using OpenStream = std::function<std::unique_ptr<ByteStream>(ByteStreamHandler&)>;

  // Takes in a client. One too many (limits.clients_max), or one that comes while draining, is told
  // so and closed. `listener` outlives the server.
  void Accept(const ListenerContext& listener, const OpenStream& open);

  // Lets parked clients go on whose wait is over. First at the end of a turn: it makes requests.
  void ResumeParked();
  [[nodiscard]] bool has_resumable() const { return !resumable_.empty(); }
  // Writes what sessions have to say, and frees those that are done.
  void Flush();
  // Timeouts of a slice of the sessions; called ten times a second, so each is seen once a second.
  void Tick();

  // Takes nobody in any more, and lets everybody finish.
  void StartDrain();
  // Closes who is left.
  void CloseAll();

  [[nodiscard]] std::size_t active() const { return sessions_.size() - free_.size(); }
  // Calls `visit` for every client, in order of their slots.
  void ForEach(const std::function<void(Session&)>& visit) const;
  // The client that was told this CLIENT ID; null when it has gone.
  [[nodiscard]] Session* FindClient(std::int64_t client_id) const;
  // Something changed that clients may be parked for (see Session::Park).
  void WakeParked();
  // Closes the client with this number. False: there is none.
  bool Kill(std::int64_t client_id);
  // Closes every client that uses this upstream: the user it has logged in as is there no more.
  void CloseUsersOf(const Upstream& upstream);
  // Requests of clients that nobody has answered.
  [[nodiscard]] std::size_t unanswered() const;

  // For sessions.
  void AddDirty(Session& session) { dirty_.push_back(session.id()); }
  void AddResumable(Session& session) { resumable_.push_back(session.id()); }
  void AddClosed(Session& session) { closed_.push_back(session.id()); }
  void NoteProtocol(proto::Protocol from, proto::Protocol to);

  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                   bool last) override;
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override;
  [[nodiscard]] std::size_t Backlog(RequestToken token) const override;
  [[nodiscard]] std::size_t WaiterBacklog(const FlightWaiter& waiter) const override {
    return Backlog(waiter.token);
  }
  void OnFlightPart(const FlightWaiter& waiter, std::string_view bytes, const ReplyInfo& info,
                    bool last) override;
  void OnFlightLost(const FlightWaiter& waiter, std::string_view error_line,
                    bool mid_reply) override;
  void OnPassthrough(std::uint64_t session, std::string_view bytes, bool push) override;
  [[nodiscard]] std::size_t PassthroughBacklog(std::uint64_t session) const override;
  void OnSubscriptionsEnded(std::uint64_t session) override;
  void OnExclusiveLost(std::uint64_t session, std::string_view error_line) override;
  void OnMayBorrow(std::uint64_t session) override;
  void OnLinkExchanged(std::uint64_t session, ExclusiveLink& link) override;

 private:
  struct Place {
    std::unique_ptr<Session> session;
    std::uint32_t generation = 1;
  };

  [[nodiscard]] Session* Find(std::uint64_t id) const;
  void Reap();

  SessionContext& context_;
  Dispatcher dispatcher_;
  std::vector<Place> sessions_;      // a session id is generation << 32 | index
  std::vector<std::uint32_t> free_;  // indexes of empty places
  std::vector<std::uint64_t> dirty_;
  std::vector<std::uint64_t> resumable_;
  std::vector<std::uint64_t> closed_;
  std::vector<std::uint64_t> turn_;  // the list being worked on
  std::uint64_t next_client_id_ = 1;
  std::size_t tick_slice_ = 0;
  bool draining_ = false;
};

}  // namespace nearcached
