// The vocabulary in which rows are written: where keys are, how long a command waits, what kind of
// command it is. Included by the rows_*.h files alone; compile time only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "daemon/command/command_row.h"

namespace nearcached::rows {

using enum CommandFlag;
using Absent = AbsentReply;
using Resp2 = proto::Resp2Writer::Form;

// One specification, in the words of KeySpec.
constexpr KeySpec Range(KeyAccess access, int begin, int last, int step = 1) {
  KeySpec spec;
  spec.access = access;
  spec.begin = static_cast<std::int16_t>(begin);
  spec.last = static_cast<std::int16_t>(last);
  spec.step = static_cast<std::int16_t>(step);
  return spec;
}
constexpr KeySpec Counted(KeyAccess access, int count_at, int step = 1) {
  KeySpec spec;
  spec.access = access;
  spec.find_by = KeySpec::Find::kKeynum;
  spec.begin = static_cast<std::int16_t>(count_at);
  spec.step = static_cast<std::int16_t>(step);
  return spec;
}

inline constexpr KeyAccess kRead = KeyAccess::kRead;
inline constexpr KeyAccess kStore = KeyAccess::kWrite;

// Where the keys are. "First" is the first argument after the name.
inline constexpr std::span<const KeySpec> kNoKeys{};
inline constexpr KeySpec kReadFirst[] = {Range(kRead, 1, 0)};
inline constexpr KeySpec kReadFirstTwo[] = {Range(kRead, 1, 1)};
inline constexpr KeySpec kReadSecond[] = {Range(kRead, 2, 0)};
inline constexpr KeySpec kReadAll[] = {Range(kRead, 1, -1)};
inline constexpr KeySpec kReadAllButLast[] = {Range(kRead, 1, -2)};
inline constexpr KeySpec kReadCounted[] = {Counted(kRead, 1)};
inline constexpr KeySpec kReadCountedSecond[] = {Counted(kRead, 2)};
inline constexpr KeySpec kWriteFirst[] = {Range(kStore, 1, 0)};
inline constexpr KeySpec kWriteFirstTwo[] = {Range(kStore, 1, 1)};
inline constexpr KeySpec kWriteSecond[] = {Range(kStore, 2, 0)};
inline constexpr KeySpec kWriteAll[] = {Range(kStore, 1, -1)};
inline constexpr KeySpec kWriteAllButLast[] = {Range(kStore, 1, -2)};
inline constexpr KeySpec kWritePairs[] = {Range(kStore, 1, -1, 2)};    // key value …
inline constexpr KeySpec kWriteTriples[] = {Range(kStore, 1, -1, 3)};  // key path value …
inline constexpr KeySpec kWriteCounted[] = {Counted(kStore, 1)};
inline constexpr KeySpec kWriteCountedPairs[] = {Counted(kStore, 1, 2)};
inline constexpr KeySpec kWriteCountedSecond[] = {Counted(kStore, 2)};
inline constexpr KeySpec kCopy[] = {Range(kRead, 1, 0), Range(kStore, 2, 0)};
inline constexpr KeySpec kStoreFromSecond[] = {Range(kStore, 1, 0), Range(kRead, 2, 0)};
inline constexpr KeySpec kStoreFromRest[] = {Range(kStore, 1, 0), Range(kRead, 2, -1)};
inline constexpr KeySpec kStoreCounted[] = {Range(kStore, 1, 0), Counted(kRead, 2)};
inline constexpr KeySpec kBitop[] = {Range(kStore, 2, 0), Range(kRead, 3, -1)};

// Where a command says how long it waits.
constexpr TimeoutArgument TimeoutAt(int index, TimeoutArgument::Unit unit) {
  return {TimeoutArgument::Where::kIndex, unit, static_cast<std::int8_t>(index)};
}
inline constexpr auto kFirstSeconds = TimeoutAt(1, TimeoutArgument::Unit::kSeconds);
inline constexpr auto kLastSeconds = TimeoutAt(-1, TimeoutArgument::Unit::kSeconds);
inline constexpr auto kLastMillis = TimeoutAt(-1, TimeoutArgument::Unit::kMilliseconds);
inline constexpr auto kMigrateMillis = TimeoutAt(5, TimeoutArgument::Unit::kMilliseconds);
inline constexpr TimeoutArgument kBlockOption{TimeoutArgument::Where::kKeyword,
                                              TimeoutArgument::Unit::kMilliseconds, 0};

// Why a command is refused: what it would do to connections that many clients share.
inline constexpr std::string_view kNoShutdown =
    "ERR SHUTDOWN is not passed on by nearcached. Connect to the upstream server itself";
inline constexpr std::string_view kNoHttp = "ERR This is not an HTTP server";

// The kinds of command. `keys` may be any of the shapes above.
constexpr CommandRow Other(std::string_view name, int arity,
                           std::span<const KeySpec> keys = kNoKeys, CommandFlags flags = {}) {
  CommandRow row;
  row.name = name;
  row.arity = static_cast<std::int16_t>(arity);
  row.keys = keys;
  row.flags = flags;
  return row;
}
constexpr CommandRow Read(std::string_view name, int arity, std::span<const KeySpec> keys = kNoKeys,
                          CommandFlags flags = {}) {
  return Other(name, arity, keys, flags | kReadOnly);
}
constexpr CommandRow Write(std::string_view name, int arity,
                           std::span<const KeySpec> keys = kNoKeys, CommandFlags flags = {}) {
  return Other(name, arity, keys, flags | kWrite);
}

// What sets a row apart from a command that is merely forwarded.
constexpr CommandRow Handled(CommandRow row, Handling handling) {
  row.handling = handling;
  return row;
}
constexpr CommandRow Local(const CommandRow& row) {
  return Handled(row, Handling::kLocal);
}
constexpr CommandRow Transaction(const CommandRow& row) {
  return Handled(row, Handling::kTransaction);
}
constexpr CommandRow Subscribes(const CommandRow& row) {
  return Handled(row, Handling::kSubscribe);
}
constexpr CommandRow OwnLink(const CommandRow& row) {
  return Handled(row, Handling::kOwnLink);
}
constexpr CommandRow Urgent(const CommandRow& row) {
  return Handled(row, Handling::kUrgent);
}
constexpr CommandRow Cached(CommandRow row, Handling handling, CacheClass cache_class) {
  row.cache_class = cache_class;
  return Handled(row, handling);
}
// A read of one key whose reply depends on nothing but the key's value and the arguments.
constexpr CommandRow Reply(CommandRow row, AbsentReply absent,
                           proto::Resp2Writer::Form resp2 = proto::Resp2Writer::Form::kPlain) {
  row.absent = absent;
  row.resp2 = resp2;
  return Cached(row, Handling::kRead, CacheClass::kReply);
}
constexpr CommandRow Waits(CommandRow row, TimeoutArgument timeout) {
  row.timeout = timeout;
  return row;
}
constexpr CommandRow Blocks(const CommandRow& row, TimeoutArgument timeout) {
  return Handled(Waits(row, timeout), Handling::kBlocking);
}
constexpr CommandRow Refused(CommandRow row, std::string_view why) {
  row.refusal = why;
  return Handled(row, Handling::kRefused);
}
constexpr CommandRow Scripted(CommandRow row, ScriptRole role) {
  row.script = role;
  return row;
}
constexpr CommandRow Scanned(CommandRow row, KeyScan scan) {
  row.key_scan = scan;
  return row;
}

}  // namespace nearcached::rows
