// The sentinels of one master: whom each of them calls the primary.
//
// It believes none of them: what they say are votes, which the topology counts, and names, which it
// verifies by asking the node itself. Sentinels that are not configured are learned from those that
// are. One sentinel under two names counts once.
//
// Owned by the topology; loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/upstream_url.h"
#include "daemon/upstream/control_link.h"
#include "daemon/upstream/topology.h"

namespace nearcached {

class SentinelWatch {
 public:
  static constexpr std::size_t kSentinelsMax = 64;

  // `on_change` is called from the loop, never from Ask, when some sentinel's word may have become
  // another.
  SentinelWatch(const TopologyContext& context, std::function<void()> on_change);
  ~SentinelWatch();
  SentinelWatch(const SentinelWatch&) = delete;
  SentinelWatch& operator=(const SentinelWatch&) = delete;

  // Asks every sentinel that is not being asked; what they publish is subscribed to as well.
  // REQUIRES: not called from a callback of a control link.
  void Ask();

  struct Candidate {
    config::HostPort node;
    std::uint32_t votes = 0;
    std::uint64_t epoch = 0;  // the newest among those who say so; 0: not known
  };
  [[nodiscard]] std::vector<Candidate> Candidates() const;

  // How many there are, as far as anybody knows: what a majority is a majority of.
  [[nodiscard]] std::uint32_t known() const;
  // Every configured one has answered or failed to.
  [[nodiscard]] bool settled() const;
  // What the last one that gave no address said instead; for messages.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  struct Sentinel;

  std::unique_ptr<Sentinel> MakeSentinel(const config::HostPort& address, bool configured);
  void AskOne(Sentinel& sentinel);
  void Introduce(Sentinel& sentinel);
  void Subscribe(Sentinel& sentinel);
  void OnAddress(Sentinel& sentinel, const Result<UpstreamReply>& reply);
  void OnMessage(Sentinel& sentinel, std::string_view channel, std::string_view payload);
  void Say(Sentinel& sentinel, std::optional<config::HostPort> node);
  void MeetOthers();

  const TopologyContext context_;
  const std::function<void()> on_change_;
  std::vector<std::unique_ptr<Sentinel>> sentinels_;
  std::string trouble_;
};

}  // namespace nearcached
