// A client's request with everything that is needed to judge its reply.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/time.h"
#include "tests/sim/model_store.h"
#include "tests/sim/resp.h"

namespace nearcached::sim {

// How the reply to a request is judged.
enum class Expect : std::uint8_t {
  kLiteral,     // exactly these bytes
  kRead,        // a value that the key held: may come from the cache
  kMget,        // the same for each item of an array
  kExecuted,    // the reply of exactly one execution at the server, claimed by nobody else
  kExec,        // kExecuted, for a whole transaction
  kParts,       // one execution of each part, and a reply made of theirs
  kEveryNode,   // one execution on every primary, and the sum or the OK of them
  kHello,       // a map that names the protocol asked for
  kInteger,     // any integer (CLIENT ID)
  kSubscribed,  // a subscribe or unsubscribe confirmation
  kAny,         // any well-formed reply
};

// What one queued command of a transaction reads or writes.
struct QueuedAccess {
  std::string command;
  std::vector<KeyId> reads;
  std::vector<KeyId> writes;
};

// What a request for several slots of a cluster is taken apart into.
struct RequestPart {
  std::string line;
  std::vector<KeyId> writes;
};

struct Request {
  std::uint64_t index = 0;  // on its connection, from 1
  Args args;
  bool inline_form = false;
  Expect expect = Expect::kLiteral;
  std::string literal;
  std::string line;  // kExecuted, kExec: the model's log line
  Protocol protocol = Protocol::kResp2;
  std::string user;        // whom the client is logged in as; "" is the default user
  bool logged_in = false;  // by itself
  std::vector<KeyId> reads;
  std::vector<KeyId> writes;
  std::vector<KeyId> concerns;       // kExecuted: keys it reads, past the cache
  std::vector<RequestPart> parts;    // kParts
  std::vector<KeyId> marks;          // keys that will hold this request's token
  std::vector<QueuedAccess> queued;  // kExec
  bool writes_everything = false;    // FLUSH*, SWAPDB
  bool unique = false;               // the line occurs once in a run: it carries a token
  bool changes_session = false;  // SELECT, MULTI, …: after an error the session state is unknown
  bool watched_read = false;     // between WATCH and EXEC
  bool needs_own_link = false;   // blocking, or part of a transaction
  bool names_shown_script = false;  // EVALSHA, or EXEC of one: it was shown before (I9)
  bool closes = false;              // QUIT, or bytes that end the connection
  Duration extra{};                 // a blocking command's own timeout

  // Set when it is sent.
  MonoTime sent{};
  std::uint64_t end_offset = 0;       // of its last byte in the connection
  std::vector<std::uint64_t> floors;  // per read: the newest acknowledged write then
  MonoTime horizon{};                 // older endings of a version may not be seen any more
  std::uint64_t stale_before = 0;     // served in outages when it was sent
  MonoTime expiry_horizon{};          // the same for endings by TTL
};

// What the judge remembers of one client connection.
struct ClientState {
  int number = 0;
  // As of the last request sent.
  Protocol protocol = Protocol::kResp2;
  int db = 0;
  std::string user;  // as Request's
  bool logged_in = false;
  bool in_multi = false;
  bool watching = false;
  std::vector<QueuedAccess> queued;
  std::string exec_line;
  bool multi_unique = false;
  bool multi_shown = false;  // at MULTI: every script had been shown
  std::string name;
  // As of the last reply.
  bool uncertain = false;               // an error hit a command that changes the session
  bool multi_refused = false;           // something was not queued
  std::map<KeyId, std::uint64_t> seen;  // newest version known to be seen, by op
  std::map<std::uint64_t, std::vector<KeyId>> marks;  // by request index
  std::uint64_t last_claim = 0;
  std::map<KeyId, std::uint64_t> claims;  // the same for each key, where there are several nodes
  std::vector<std::pair<KeyId, std::string>> watch_reads;  // GET replies since WATCH
  std::set<std::string> messages;                          // of channels
};

}  // namespace nearcached::sim
