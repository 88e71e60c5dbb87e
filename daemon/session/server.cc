#include "daemon/session/server.h"

#include <algorithm>
#include <string>
#include <utility>

#include "daemon/base/check.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::size_t kTickSlices = 10;

// A connection that is told why it is not wanted, and then closed.
class TurnedAway final : public ByteStreamHandler {
 public:
  void OnBytes(std::span<char> /*bytes*/) override {}
  void OnWritable() override {}
  void OnEnd(const Error& /*why*/) override {}
};

void TurnAway(const Server::OpenStream& open, std::string_view error_line) {
  TurnedAway nobody;
  const auto stream = open(nobody);
  std::string reply;
  proto::AppendError(reply, error_line);
  const iovec part{reply.data(), reply.size()};
  (void)stream->Write(
      {&part, 1});  // a fresh socket takes a line; if not, it is closed all the same
}

}  // namespace

Server::~Server() {
  NC_CHECK(active() == 0);
}

void Server::Accept(const ListenerContext& listener, const OpenStream& open) {
  if (draining_) {
    context_.stats.rejected_draining.Add();
    TurnAway(open, proto::kErrDraining);
    return;
  }
  if (active() >= context_.config->limits.clients_max) {
    context_.stats.rejected_full.Add();
    TurnAway(open, proto::kErrMaxClients);
    return;
  }
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(sessions_.size()));
    sessions_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Place& place = sessions_[index];
  const std::uint64_t id = (std::uint64_t{place.generation} << 32U) | index;
  place.session =
      std::make_unique<Session>(id, next_client_id_++, listener, context_, dispatcher_, *this);
  Session& session = *place.session;
  context_.stats.accepted.Add();
  context_.stats.active.Add();
  session.Attach(open(session.handler()));
}

Session* Server::Find(std::uint64_t id) const {
  const auto index = static_cast<std::uint32_t>(id);
  if (index >= sessions_.size() || sessions_[index].generation != id >> 32U) {
    return nullptr;
  }
  return sessions_[index].session.get();
}

void Server::ResumeParked() {
  turn_.clear();
  std::swap(turn_, resumable_);
  for (const std::uint64_t id : turn_) {
    if (Session* session = Find(id)) {
      session->Resume();
    }
  }
}

void Server::Flush() {
  turn_.clear();
  std::swap(turn_, dirty_);
  for (const std::uint64_t id : turn_) {
    if (Session* session = Find(id)) {
      session->Flush();
    }
  }
  Reap();
}

void Server::Reap() {
  while (!closed_.empty()) {
    const std::uint64_t id = closed_.back();
    closed_.pop_back();
    const auto index = static_cast<std::uint32_t>(id);
    Place& place = sessions_[index];
    NC_CHECK(place.session != nullptr && place.session->closed());
    NoteProtocol(place.session->client.protocol, proto::Protocol::kResp2);
    place.session.reset();
    ++place.generation;
    free_.push_back(index);
    context_.stats.active.Sub();
  }
}

void Server::Tick() {
  const MonoTime now = context_.scheduler.Now();
  tick_slice_ = (tick_slice_ + 1) % kTickSlices;
  for (std::size_t i = tick_slice_; i < sessions_.size(); i += kTickSlices) {
    if (sessions_[i].session != nullptr) {
      sessions_[i].session->Tick(now);
    }
  }
}

void Server::StartDrain() {
  draining_ = true;
  for (Place& place : sessions_) {
    if (place.session != nullptr && !place.session->closed()) {
      place.session->StartDrain();
    }
  }
}

void Server::CloseAll() {
  for (Place& place : sessions_) {
    if (place.session != nullptr) {
      place.session->CloseNow(context_.stats.closed_drain);
    }
  }
  Reap();
}

void Server::ForEach(const std::function<void(Session&)>& visit) const {
  for (const Place& place : sessions_) {
    if (place.session != nullptr && !place.session->closed()) {
      visit(*place.session);
    }
  }
}

Session* Server::FindClient(std::int64_t client_id) const {
  for (const Place& place : sessions_) {
    if (place.session != nullptr && !place.session->closed() &&
        static_cast<std::int64_t>(place.session->client_id()) == client_id) {
      return place.session.get();
    }
  }
  return nullptr;
}

void Server::WakeParked() {
  for (const Place& place : sessions_) {
    if (place.session != nullptr) {
      place.session->Wake();
    }
  }
}

void Server::CloseUsersOf(const Upstream& upstream) {
  ForEach([&](Session& session) {
    if (&session.upstream() == &upstream) {
      session.CloseNow(context_.stats.closed_revoked);
    }
  });
}

bool Server::Kill(std::int64_t client_id) {
  Session* const session = FindClient(client_id);
  if (session == nullptr) {
    return false;
  }
  session->CloseNow(context_.stats.closed_admin);
  return true;
}

std::size_t Server::unanswered() const {
  std::size_t total = 0;
  for (const Place& place : sessions_) {
    total += place.session != nullptr ? place.session->unanswered() : 0;
  }
  return total;
}

void Server::NoteProtocol(proto::Protocol from, proto::Protocol to) {
  context_.stats.resp3.Add(static_cast<int>(to == proto::Protocol::kResp3) -
                           static_cast<int>(from == proto::Protocol::kResp3));
}

void Server::OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                         bool last) {
  if (Session* session = Find(token.owner)) {
    session->OnReplyPart(token.seq, bytes, info, last);
  }
}

void Server::OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) {
  if (Session* session = Find(token.owner)) {
    session->OnReplyLost(token.seq, error_line, mid_reply);
  }
}

std::size_t Server::Backlog(RequestToken token) const {
  const Session* session = Find(token.owner);
  return session != nullptr ? session->Backlog() : 0;
}

std::size_t Server::PassthroughBacklog(std::uint64_t session_id) const {
  const Session* session = Find(session_id);
  return session != nullptr && !session->closed() ? session->output_bytes() : 0;
}

void Server::OnFlightPart(const FlightWaiter& waiter, std::string_view bytes, const ReplyInfo& info,
                          bool last) {
  if (Session* session = Find(waiter.token.owner)) {
    session->OnFlightPart(waiter, bytes, info, last);
  }
}

void Server::OnFlightLost(const FlightWaiter& waiter, std::string_view error_line, bool mid_reply) {
  if (Session* session = Find(waiter.token.owner)) {
    session->OnFlightLost(waiter, error_line, mid_reply);
  }
}

void Server::OnPassthrough(std::uint64_t session_id, std::string_view bytes, bool push) {
  if (Session* session = Find(session_id)) {
    session->OnPassthrough(bytes, push);
  }
}

void Server::OnSubscriptionsEnded(std::uint64_t session_id) {
  if (Session* session = Find(session_id)) {
    session->OnSubscriptionsEnded();
  }
}

void Server::OnExclusiveLost(std::uint64_t session_id, std::string_view error_line) {
  if (Session* session = Find(session_id)) {
    session->OnExclusiveLost(error_line);
  }
}

void Server::OnMayBorrow(std::uint64_t session_id) {
  if (Session* session = Find(session_id)) {
    session->OnMayBorrow();
  }
}

void Server::OnLinkExchanged(std::uint64_t session_id, ExclusiveLink& link) {
  Session* const session = Find(session_id);
  NC_CHECK(session != nullptr);  // who is gone has given its link back
  session->OnLinkExchanged(link);
}

}  // namespace nearcached
