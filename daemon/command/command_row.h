// What the daemon knows about one command: a row of constant data.
//
// Behaviour follows from the row; nothing else in the daemon compares command names. Adding a
// command is adding a row to the rows_*.h file of its group. Plain values, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "daemon/command/key_spec.h"
#include "proto/resp2_writer.h"

namespace nearcached {

// Who carries the command out, and on which upstream connection.
enum class Handling : std::uint8_t {
  kForward,      // the upstream, on any link of the client's lane
  kLocal,        // the sidecar answers it, or has a part in it: connection state, NEARCACHE
  kGet,          // GET: the L1 path of one key
  kMget,         // MGET: the L1 path of many keys
  kRead,         // another read of one key: the L1 path of its variants
  kTransaction,  // MULTI EXEC DISCARD WATCH UNWATCH: state of the client and of one link
  kBlocking,     // may wait upstream for as long as an argument says, see blocking_wait.h
  kSubscribe,    // turns the connection into a subscriber, or back
  kOwnLink,      // sets a state of the server's connection: the client gets one of its own for it
  kUrgent,       // must get through while a script keeps the server, and its lane, busy
  kRefused,      // answered with an error; CommandRow::refusal says why
};

// What a reply may be stored as. kNever unless somebody argued for more (R10): read-only is not
// enough, the reply must depend on nothing but the current values of the keys it names.
enum class CacheClass : std::uint8_t {
  kNever,
  kString,      // GET: one bulk string or nil, the same in both protocols but for the nil
  kStringMany,  // MGET: an array of what GET would answer, key by key
  kReply,       // any other read of one key: the whole reply, for equal requests in one protocol
};

// What a command answers for a key that does not exist. Only such a reply may be remembered when
// the upstream says that there is no key (PTTL -2), and it is right then whatever else was there a
// moment ago. daemon/command/absent_reply.h tells whether a reply is it.
enum class AbsentReply : std::uint8_t {
  kUnknown,      // depends on the arguments, or on a script: never remembered
  kNil,          // HGET
  kZero,         // STRLEN, EXISTS
  kEmpty,        // HGETALL, LRANGE: an aggregate of nothing
  kEmptyString,  // GETRANGE
  kNone,         // TYPE: "+none"
  kEachNil,      // HMGET: an array of nils
  kEachZero,     // SMISMEMBER
};

// Which argument of a command has to do with a script, and how: ScriptMemory.
enum class ScriptRole : std::uint8_t {
  kNone,
  kBodyFirst,   // the text of a script is the first argument: EVAL
  kBodySecond,  // or the second: SCRIPT LOAD
  kNameFirst,   // the SHA1 of a script that the server should know: EVALSHA
  kFlush,       // the server forgets all of them: SCRIPT FLUSH
};

// Properties of a command, as bits.
enum class CommandFlag : std::uint32_t {
  kWrite = 1U << 0U,       // may change a key it names
  kReadOnly = 1U << 1U,    // changes no key
  kFast = 1U << 2U,        // constant or logarithmic time, the server's word
  kBlocking = 1U << 3U,    // may make the connection wait
  kNoScript = 1U << 4U,    // not from scripts
  kAdmin = 1U << 5U,       // an operator's command
  kPubSub = 1U << 6U,      // publish and subscribe
  kWide = 1U << 7U,        // may also write keys that it does not name: scripts
  kFlushesAll = 1U << 8U,  // may change every key at once: FLUSHALL, SWAPDB, REPLICAOF
  kCrossDb = 1U << 9U,     // may write in another database than the selected one: MOVE, COPY … DB
  kVolatile = 1U << 10U,   // random, time-dependent or cursor-based: two equal calls may differ
  kContainer = 1U << 11U,  // the second argument chooses the command: CONFIG, XGROUP
  kNoAuth = 1U << 12U,     // allowed before AUTH
  kNoMulti = 1U << 13U,    // never queued inside MULTI
  kSubscribed = 1U << 14U,   // allowed to a RESP2 subscriber
  kBoundToLane = 1U << 15U,  // speaks of what the same upstream connection did before: WAIT
  kCloses = 1U << 16U,       // the client's connection is closed after the reply: QUIT
};

// A set of CommandFlag.
class CommandFlags {
 public:
  constexpr CommandFlags() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): one flag is a set of flags.
  constexpr CommandFlags(CommandFlag flag) : bits_(static_cast<std::uint32_t>(flag)) {}
  [[nodiscard]] constexpr bool Has(CommandFlag flag) const {
    return (bits_ & static_cast<std::uint32_t>(flag)) != 0;
  }
  [[nodiscard]] constexpr CommandFlags Without(CommandFlag flag) const {
    CommandFlags rest = *this;
    rest.bits_ &= ~static_cast<std::uint32_t>(flag);
    return rest;
  }
  friend constexpr CommandFlags operator|(CommandFlags a, CommandFlags b) {
    CommandFlags both;
    both.bits_ = a.bits_ | b.bits_;
    return both;
  }
  friend constexpr bool operator==(CommandFlags a, CommandFlags b) = default;

 private:
  std::uint32_t bits_ = 0;
};

constexpr CommandFlags operator|(CommandFlag a, CommandFlag b) {
  return CommandFlags(a) | CommandFlags(b);
}

// Where a command that waits says for how long.
struct TimeoutArgument {
  enum class Where : std::uint8_t {
    kNone,     // the command does not wait
    kIndex,    // argument `index`; negative counts from the end, where -1 is the last argument
    kKeyword,  // after BLOCK, before STREAMS; without BLOCK the command does not wait
    kUnknown,  // a command learned from the upstream that blocks, nobody knows for how long
  };
  enum class Unit : std::uint8_t { kSeconds, kMilliseconds };

  Where where = Where::kNone;
  Unit unit = Unit::kSeconds;  // seconds may have a fraction
  std::int8_t index = 0;
};

// The shared id of all commands without a row of their own.
inline constexpr std::uint16_t kUnknownCommandId = 0;

struct CommandRow {
  // Lower case; a subcommand is "config|set".
  std::string_view name;
  // As in Redis: the exact number of arguments including the name, or when negative the least.
  std::int16_t arity = -1;
  CommandFlags flags{};
  Handling handling = Handling::kForward;
  CacheClass cache_class = CacheClass::kNever;
  AbsentReply absent = AbsentReply::kUnknown;                         // of kReply
  proto::Resp2Writer::Form resp2 = proto::Resp2Writer::Form::kPlain;  // of kReply
  KeyScan key_scan = KeyScan::kSpecs;
  std::span<const KeySpec> keys{};  // lives as long as the row
  TimeoutArgument timeout{};
  ScriptRole script = ScriptRole::kNone;
  // kRefused: the error a client gets, without its leading "-" and "\r\n". Empty for all others.
  std::string_view refusal{};
  // Index of the command's counters, see CommandTable::IdName(). Subcommands share their parent's;
  // commands that are not built in share kUnknownCommandId.
  std::uint16_t id = kUnknownCommandId;

  [[nodiscard]] constexpr bool Is(CommandFlag flag) const { return flags.Has(flag); }
  // Whether the call has the number of arguments, name included, that the server asks for.
  [[nodiscard]] constexpr bool ArityHolds(std::size_t arguments) const {
    const auto n = static_cast<std::int64_t>(arguments);
    return arity >= 0 ? n == arity : n >= -arity;
  }
  // Whether a call can change what a later read answers, in any way. Only then are its keys of
  // interest to the cache: ExtractKeys().
  [[nodiscard]] constexpr bool MayWrite() const {
    return Is(CommandFlag::kWrite) || Is(CommandFlag::kWide) || Is(CommandFlag::kFlushesAll) ||
           (key_scan == KeyScan::kEveryArgument && !Is(CommandFlag::kReadOnly));
  }
};

}  // namespace nearcached
