#include "daemon/upstream/second_chance.h"

#include <optional>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/upstream/absent_reply.h"
#include "daemon/upstream/sick_reply.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// Errors of a replica that the primary would not give, or would give a better answer than.
bool IsSick(std::string_view error) {
  const auto sick = SickReplyOf(error);
  return sick == SickReply::kLoading || sick == SickReply::kMasterDown ||
         sick == SickReply::kClusterDown;
}

bool IsRedirection(std::string_view error) {
  return error.starts_with("-MOVED ") || error.starts_with("-ASK ") ||
         error.starts_with("-TRYAGAIN ");
}

}  // namespace

SecondChance::~SecondChance() {
  NC_CHECK(requests_.empty());
}

std::string_view SecondChance::Send(SendRequest& request) {
  NC_CHECK(request.footprint == nullptr && request.script == nullptr);
  const std::uint64_t number = next_++;
  SendRequest out{
      .bytes = request.bytes, .sink = this, .token = {0, number}, .timeout = request.timeout};
  const std::string_view refused = link_.Send(out);
  if (refused.empty()) {
    requests_.emplace(number, Request{.sink = request.sink,
                                      .token = request.token,
                                      .bytes = std::string(request.bytes),
                                      .timeout = request.timeout,
                                      .client = request.client});
    stats_.reads.Add();
  }
  return refused;
}

void SecondChance::OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                               bool last) {
  const auto found = requests_.find(token.seq);
  NC_CHECK(found != requests_.end());
  Request& request = found->second;
  if (last && !request.begun && IsForPrimary(bytes)) {
    Request again = std::move(request);
    requests_.erase(found);
    AskPrimary(std::move(again));
    return;
  }
  request.begun = true;
  ReplySink& sink = *request.sink;
  const RequestToken theirs = request.token;
  if (last) {
    requests_.erase(found);  // the sink may send something from there
  }
  sink.OnReplyPart(theirs, bytes, info, last);
}

// Whether a whole reply is none for the client.
bool SecondChance::IsForPrimary(std::string_view reply) {
  if (reply.starts_with('-') && IsSick(reply)) {
    observer_.OnReplicaSick(reply);
    return true;
  }
  return clustered_ && (IsRedirection(reply) || MayMeanAbsent(reply));
}

std::size_t SecondChance::Backlog(RequestToken token) const {
  const auto found = requests_.find(token.seq);
  NC_CHECK(found != requests_.end());
  return found->second.sink->Backlog(found->second.token);
}

void SecondChance::OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) {
  const auto found = requests_.find(token.seq);
  NC_CHECK(found != requests_.end());
  Request request = std::move(found->second);
  requests_.erase(found);
  // Who waited for as long as a command may has waited long enough.
  if (mid_reply || request.begun || error_line == proto::kErrTimeout) {
    request.sink->OnReplyLost(request.token, error_line, mid_reply);
    return;
  }
  AskPrimary(std::move(request));
}

void SecondChance::AskPrimary(Request request) {
  stats_.again.Add();
  const Link::Spec& spec = link_.spec();
  std::uint64_t seat = request.client;
  SendRequest out{.bytes = request.bytes,
                  .sink = request.sink,
                  .token = request.token,
                  .timeout = request.timeout,
                  .repeatable = true,
                  .client = request.client};
  const std::string_view refused = primary_.Lane(spec.db, spec.protocol, seat, false).Send(out);
  if (!refused.empty()) {
    const std::string line(refused);
    request.sink->OnReplyLost(request.token, line, false);
  }
}

}  // namespace nearcached
