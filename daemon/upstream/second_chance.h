// A lane to a replica whose requests have a second chance: what is not answered there, because the
// link is lost or the replica says that it cannot serve (LOADING, MASTERDOWN, CLUSTERDOWN), is
// asked of the primary, on a lane there. Of a cluster's replica, so is what it redirects, and what
// may be a key that it does not have any more (absent_reply.h).
//
// Only reads come here, so asking twice changes nothing. No request of the client overtakes one
// that is asked again: what touches its keys waits while it is unanswered (replica_path.cc).
//
// Owned by the replica it is a lane to; loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/fetch/upstream.h"
#include "daemon/upstream/link.h"
#include "daemon/upstream/replica_stats.h"

namespace nearcached {

class SecondChance final : public UpstreamLink, private ReplySink {
 public:
  // The replica has said that it cannot serve what it has.
  class Observer {
   public:
    virtual void OnReplicaSick(std::string_view error) = 0;

   protected:
    ~Observer() = default;
  };

  // All borrowed, and outlive the lane. `number` is no other lane's, nor was ever.
  SecondChance(Link& link, Upstream& primary, Observer& observer, ReplicaStats& stats,
               std::uint64_t number, bool clustered)
      : link_(link),
        primary_(primary),
        observer_(observer),
        stats_(stats),
        number_(number),
        clustered_(clustered) {}
  ~SecondChance();
  SecondChance(const SecondChance&) = delete;
  SecondChance& operator=(const SecondChance&) = delete;

  using UpstreamLink::Send;
  // REQUIRES: the request has no footprint and no script, and changes nothing.
  std::string_view Send(SendRequest& request) override;
  [[nodiscard]] bool StuckAt(MonoTime now) override { return link_.StuckAt(now); }
  [[nodiscard]] bool Crowded(std::size_t own) const override { return link_.Crowded(own); }
  [[nodiscard]] bool Full(std::size_t bytes) const override { return link_.Full(bytes); }
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  struct Request {
    ReplySink* sink = nullptr;
    RequestToken token;
    std::string bytes;
    Duration timeout{};
    std::uint64_t client = 0;
    bool begun = false;  // pieces of the reply were delivered
  };

  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                   bool last) override;
  [[nodiscard]] std::size_t Backlog(RequestToken token) const override;
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override;
  [[nodiscard]] bool IsForPrimary(std::string_view reply);
  void AskPrimary(Request request);

  Link& link_;
  Upstream& primary_;
  Observer& observer_;
  ReplicaStats& stats_;
  const std::uint64_t number_;
  const bool clustered_;
  std::unordered_map<std::uint64_t, Request> requests_;  // by our own number
  std::uint64_t next_ = 0;
};

}  // namespace nearcached
