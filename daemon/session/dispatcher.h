// Decides what becomes of one request. Every branch of the product starts in Dispatch().
//
// One per worker, without state of its own beyond reused memory. Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/command/key_extract.h"
#include "daemon/session/session.h"
#include "daemon/session/session_context.h"

namespace nearcached {

class Dispatcher {
 public:
  explicit Dispatcher(SessionContext& context) : context_(context) {}

  // False: the request was not taken, the session is parked and will offer it again.
  bool Dispatch(Session& session, const Request& request);

  // The same for a large request of which only the first arguments are there (upload_path.cc).
  // kTaken: what follows goes to the session's exclusive link, or nowhere if it holds none.
  enum class Upload : std::uint8_t { kGather, kParked, kTaken };
  Upload BeginUpload(Session& session, const Request& request);

 private:
  [[nodiscard]] std::string PolicyRefusal(const Session& session, const Request& request) const;

  // Where what concerns one connection has no meaning.
  [[nodiscard]] bool InCluster() const {
    return context_.config->upstream.topology == config::TopologyKind::kCluster;
  }

  // passthrough.cc: clients that talk with the server over a link of their own.
  static bool IsOurs(const CommandRow& row);
  bool DispatchPassthrough(Session& session, const Request& request);
  std::unique_ptr<Footprint> PassthroughFootprint(Session& session, const Request& request);
  void SendPassthrough(Session& session, const Request& request, std::string_view bytes);
  static void ConfirmUnsubscribe(Session& session, const Request& request);
  bool StartPassthrough(Session& session, const Request& request);
  bool AbortPassthrough(Session& session, const Request& request) const;
  bool TranslateRedirect(Session& session, const Request& request, std::string& bytes);
  std::int64_t UpstreamIdOf(Session& target) const;

  // read_path.cc: GET and MGET.
  bool Get(Session& session, const Request& request);
  bool Mget(Session& session, const Request& request);
  // Whether all the keys of an MGET may be looked up; then their hashes are in hashes_.
  bool HashMgetKeys(const Session& session, const Request& request);
  // L1 does not have it: `read` is empty for GET.
  bool Missed(Session& session, const Request& request, const CacheKey& key,
              const ReadRequest& read);
  [[nodiscard]] std::optional<L1Hit> FindStale(const Session& session, const CacheKey& key) const;
  bool GatherMget(Session& session, const Request& request, std::unique_ptr<MgetGather> gather,
                  const std::vector<std::uint32_t>& missing);
  std::string_view JoinFlight(const CacheKey& key, const ReadRequest& read, const KeyPolicy& policy,
                              const FlightWaiter& waiter, Joining joining);

  // For l1.adaptive_stop and l1.touch_rate.
  void NoteHit(const CacheKey& key) {
    if (context_.adaptive.Samples()) [[unlikely]] {
      NoteSampledHit(key.key);
    }
    if (context_.hit_touch.Samples()) [[unlikely]] {
      context_.hit_touch.Note(key.db, key.key);
    }
  }
  void NoteSampledHit(std::string_view key);
  [[nodiscard]] bool Stopped(const KeyPolicy& policy) const {
    return context_.adaptive.Stopped(policy.rule, context_.scheduler.Now());
  }

  // variant_path.cc: other reads of one key.
  bool Read(Session& session, const Request& request);
  bool NamesOneKey(const Request& request);
  void NameVariant(proto::Protocol protocol, const Request& request, std::string_view key);

  // forward_path.cc: everything that goes upstream as it is.
  struct ForwardOptions {
    PendingRequest::Kind kind = PendingRequest::Kind::kForward;
    Duration timeout{};                 // zero: no timeout
    std::unique_ptr<Footprint> extra;   // joins the command's own footprint (EXEC)
    std::string_view instead_of_raw{};  // sent in place of the request
    DbIndex db = 0;                     // kSelect
    bool unfinished = false;            // SendRequest::unfinished
  };
  // Whether what needs the upstream has to wait for it (PAUSE, upstream.max_hold): then parked.
  // `lane`: the link it is to travel on; null: any link would do.
  bool ParkedForUpstream(Session& session, const UpstreamLink* lane = nullptr) const;
  bool MayForwardNow(Session& session, std::size_t bytes) const;
  bool Forward(Session& session, const Request& request, ForwardOptions options);
  bool ForwardPlain(Session& session, const Request& request);
  std::unique_ptr<Footprint> FootprintOf(const Request& request);
  // Requests may be unanswered that were judged by the rules before a reload: nobody noted keys of
  // theirs which count now, so one client's requests on lanes and on fill links wait for each
  // other.
  [[nodiscard]] bool RulesAreNew() const {
    return context_.scheduler.Now() < context_.no_fill_before;
  }
  static bool Repeatable(const CommandRow& row);
  static void Merge(std::unique_ptr<Footprint>& footprint, std::unique_ptr<Footprint> extra);
  void QueueInMulti(Session& session, const Footprint& footprint, PendingRequest::Kind kind);
  bool Transaction(Session& session, const Request& request);
  bool EndTransaction(Session& session, const Request& request);
  bool Blocking(Session& session, const Request& request);
  bool Urgent(Session& session, const Request& request);
  // True when the session holds an exclusive link with nothing unanswered, or the request was
  // answered with why not (`answered`). False: parked.
  bool EnsurePinned(Session& session, const Request& request, bool& answered) const;

  // upload_path.cc
  [[nodiscard]] bool MayUpload(const Session& session, const Request& request) const;

  // replica_path.cc: reads that a replica answers.
  std::optional<bool> ReadFromReplica(Session& session, const Request& request);
  bool NoteForReplicas(Session& session, const Request& request, PendingRequest& pending);
  static void KeepForExec(Session& session, const WrittenKeys& written);

  // script_path.cc: EVAL, EVALSHA, SCRIPT.
  ScriptRef NoteScript(Session& session, const Request& request);
  enum class ScriptState : std::uint8_t {
    kKnown,      // or none is called, or none that we know
    kBeingTold,  // the request is parked meanwhile
    kUntold,     // it could not be told: pin.script_untold
  };
  ScriptState ScriptStateOf(Session& session, const Request& request);
  void KeepScriptCall(Session& session, const Request& request, std::uint64_t seq, ScriptRef script,
                      const Footprint* footprint) const;

  // local_commands.cc: what the sidecar answers itself.
  bool Local(Session& session, const Request& request);
  bool LocalInMulti(Session& session, const Request& request);
  bool Nearcache(Session& session, const Request& request) const;
  std::optional<proto::Protocol> HelloVersion(Session& session, const Request& request) const;
  bool HelloOptions(Session& session, const Request& request);
  bool Hello(Session& session, const Request& request);
  bool Auth(Session& session, const Request& request);
  bool Select(Session& session, const Request& request);
  bool Reset(Session& session, const Request& request) const;
  bool CheckPassword(Session& session, std::string_view user, std::string_view password);

  // login_path.cc: AUTH and HELLO, where the upstream judges them.
  [[nodiscard]] bool IsForUpstream(const Session& session, const Request& request) const;
  bool LogIn(Session& session, const Request& request);

  // client_commands.cc: CLIENT.
  bool Client(Session& session, const Request& request);
  void ClientAboutItself(Session& session, const Request& request, std::string_view sub) const;
  static void ClientTrackingOff(Session& session);
  static void ClientSetInfo(Session& session, const Request& request);
  static void ClientReply(Session& session, const Request& request);
  void ClientList(Session& session, const Request& request) const;
  void ClientKill(Session& session, const Request& request) const;
  bool ClientUnblock(Session& session, const Request& request);

  void RefuseInMulti(Session& session, const Request& request, std::string_view line);
  void RefuseAsRowSays(Session& session, const Request& request);

  SessionContext& context_;
  std::vector<KeyVisit> visits_;       // reused
  std::vector<std::uint64_t> hashes_;  // reused
  std::string variant_;                // reused
};

}  // namespace nearcached
