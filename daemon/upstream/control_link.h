// A small connection for questions of the daemon's own: who is the primary, what does a sentinel
// know, how are the slots spread. Dials when first asked, logs in, sends one question after the
// other and hands each its parsed answer.
//
// It speaks RESP2, which every server, sentinel and cluster node knows, and never decides anything:
// whatever goes wrong (refused, hung up, too late, not RESP) ends the connection, every question
// that waits is told, and the next one dials anew. Pausing between attempts is the asker's
// business.
//
// Owned by who asks; loop thread only. Callbacks come from the loop, never from Ask, and may call
// Ask and Close, but must not destroy the link.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/byte_stream.h"
#include "daemon/base/counter.h"
#include "daemon/base/out_buffer.h"
#include "daemon/base/result.h"
#include "daemon/base/scheduler.h"
#include "daemon/upstream/hiredis_reply.h"
#include "proto/reply_scanner.h"

namespace nearcached {

// Counted over all links that share it.
struct ControlStats {
  Counter answered;  // questions that got a reply, be it an error
  Counter failed;    // questions that got none
};

class ControlLink final : private ByteStreamHandler {
 public:
  struct Terms {
    Endpoint endpoint;
    std::string username;  // empty: AUTH with the password alone
    std::string password;  // empty: no AUTH
    Duration timeout{};    // from asking to the answer, connecting and AUTH included
  };
  // The reply, which may be an error of the server; or why there is none, without credentials.
  using Done = std::function<void(const Result<UpstreamReply>&)>;
  // A message of a channel that was subscribed to.
  using OnMessage = std::function<void(std::string_view channel, std::string_view payload)>;

  // What is larger is no answer to anything we ask. CLUSTER SHARDS of a thousand nodes is 1 MiB.
  static constexpr std::size_t kReplyBytesMax = std::size_t{16} << 20U;

  // Borrowed things outlive the link.
  ControlLink(Scheduler& scheduler, Dialer& dialer, ControlStats& stats, Terms terms);
  ~ControlLink() { Forget(); }
  ControlLink(const ControlLink&) = delete;
  ControlLink& operator=(const ControlLink&) = delete;

  // `done` is called exactly once, unless the link is destroyed before.
  void Ask(const std::vector<std::string>& command, Done done);

  // Messages that come once a SUBSCRIBE was asked go here. They are no answer to anything.
  void SetOnMessage(OnMessage on_message) { on_message_ = std::move(on_message); }

  // Hangs up. Questions that wait are told, from the loop.
  void Close();

  // Logged in, and not heard to be lost.
  [[nodiscard]] bool standing() const { return state_ == State::kReady; }
  [[nodiscard]] std::size_t waiting() const { return questions_.size(); }
  [[nodiscard]] const Endpoint& endpoint() const { return terms_.endpoint; }

 private:
  enum class State : std::uint8_t { kClosed, kConnecting, kLogin, kReady };
  struct Question {
    Done done;
    MonoTime deadline;
  };

  void OnOpen() override;
  void OnBytes(std::span<char> bytes) override;
  void OnWritable() override;
  void OnEnd(const Error& why) override;

  void Dial();
  void BeginReady();
  void TakeReply(std::string_view frame);
  bool TakeMessage(const UpstreamReply& reply);
  void ArmTimer();
  void OnTimer();
  void Fail(const Error& why);
  void Forget();

  Scheduler& scheduler_;
  Dialer& dialer_;
  ControlStats& stats_;
  const Terms terms_;
  OnMessage on_message_;

  State state_ = State::kClosed;
  std::unique_ptr<ByteStream> stream_;
  OutBuffer login_out_;
  OutBuffer out_;  // questions; waits until the login is done
  std::deque<Question> questions_;
  std::deque<Question> closed_;  // told by a timer, because Close() was called from anywhere
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<Timer> close_timer_;
  proto::ReplyScanner scanner_;
  std::string input_;        // bytes of replies whose end has not come
  std::size_t scanned_ = 0;  // of input_
  unsigned int dials_ = 0;   // tells a callback that the connection is no longer the one it was
};

}  // namespace nearcached
