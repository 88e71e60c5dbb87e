// Rows of the command table: keys of any type, strings, bitmaps and HyperLogLogs. Sorted by name.
//
// Sources: COMMAND of a Redis 7.0.15, and for what came later the command pages of Redis 8 and
// Valkey 9 (https://redis.io/docs/latest/commands/, https://valkey.io/commands/).
// Included by command_rows.cc alone.
#pragma once

#include "daemon/command/row_builders.h"

namespace nearcached::rows {

// clang-format off: one row a line is how a table is read and changed.
inline constexpr CommandRow kStringRows[] = {
    Write("append", 3, kWriteFirst, kFast),
    Reply(Read("bitcount", -2, kReadFirst), Absent::kZero),
    Write("bitfield", -2, kWriteFirst),
    Read("bitfield_ro", -2, kReadFirst, kFast),
    Write("bitop", -4, kBitop),
    Reply(Read("bitpos", -3, kReadFirst), Absent::kUnknown),
    Write("copy", -3, kCopy, kCrossDb),
    Read("dbsize", 1, kNoKeys, kFast | kVolatile),
    Write("decr", 2, kWriteFirst, kFast),
    Write("decrby", 3, kWriteFirst, kFast),
    Write("del", -2, kWriteAll),
    Write("delex", -2, kWriteFirst, kFast),
    Write("delifeq", 3, kWriteFirst, kFast),
    Read("digest", 2, kReadFirst, kFast),
    Read("dump", 2, kReadFirst),
    Reply(Read("exists", -2, kReadAll, kFast), Absent::kZero),
    Write("expire", -3, kWriteFirst, kFast),
    Write("expireat", -3, kWriteFirst, kFast),
    Read("expiretime", 2, kReadFirst, kFast),
    Write("flushall", -1, kNoKeys, kFlushesAll),
    Write("flushdb", -1, kNoKeys, kFlushesAll),
    Cached(Read("get", 2, kReadFirst, kFast), Handling::kGet, CacheClass::kString),
    Reply(Read("getbit", 3, kReadFirst, kFast), Absent::kZero),
    Write("getdel", 2, kWriteFirst, kFast),
    Write("getex", -2, kWriteFirst, kFast),
    Reply(Read("getrange", 4, kReadFirst), Absent::kEmptyString),
    Write("getset", 3, kWriteFirst, kFast),
    Write("incr", 2, kWriteFirst, kFast),
    Write("incrby", 3, kWriteFirst, kFast),
    Write("incrbyfloat", 3, kWriteFirst, kFast),
    Read("keys", 2, kNoKeys, kVolatile),
    Read("lcs", -3, kReadFirstTwo),
    Cached(Read("mget", -2, kReadAll, kFast), Handling::kMget, CacheClass::kStringMany),
    Waits(Scanned(Write("migrate", -6), KeyScan::kMigrate), kMigrateMillis),
    Write("move", 3, kWriteFirst, kFast | kCrossDb),
    Write("mset", -3, kWritePairs),
    Write("msetex", -4, kWriteCountedPairs),
    Write("msetnx", -3, kWritePairs),
    Read("object|encoding", 3, kReadSecond),
    Read("object|freq", 3, kReadSecond, kVolatile),
    Other("object|help", 2),
    Read("object|idletime", 3, kReadSecond, kVolatile),
    Read("object|refcount", 3, kReadSecond),
    Write("persist", 2, kWriteFirst, kFast),
    Write("pexpire", -3, kWriteFirst, kFast),
    Write("pexpireat", -3, kWriteFirst, kFast),
    Read("pexpiretime", 2, kReadFirst, kFast),
    Write("pfadd", -2, kWriteFirst, kFast),
    Write("pfcount", -2, kWriteAll),
    Write("pfdebug", 3, kWriteSecond, kAdmin),
    Write("pfmerge", -2, kStoreFromRest),
    Other("pfselftest", 1, kNoKeys, kAdmin),
    Write("psetex", 4, kWriteFirst),
    Read("pttl", 2, kReadFirst, kFast | kVolatile),
    Read("randomkey", 1, kNoKeys, kVolatile),
    Write("rename", 3, kWriteFirstTwo),
    Write("renamenx", 3, kWriteFirstTwo, kFast),
    Write("restore", -4, kWriteFirst),
    Write("restore-asking", -4, kWriteFirst),
    Read("scan", -2, kNoKeys, kVolatile),
    Write("set", -3, kWriteFirst),
    Write("setbit", 4, kWriteFirst),
    Write("setex", 4, kWriteFirst),
    Write("setnx", 3, kWriteFirst, kFast),
    Write("setrange", 4, kWriteFirst),
    Reply(Read("strlen", 2, kReadFirst, kFast), Absent::kZero),
    Reply(Read("substr", 4, kReadFirst), Absent::kEmptyString),
    Write("swapdb", 3, kNoKeys, kFast | kFlushesAll),
    Read("touch", -2, kReadAll, kFast),
    Read("ttl", 2, kReadFirst, kFast | kVolatile),
    Reply(Read("type", 2, kReadFirst, kFast), Absent::kNone),
    Write("unlink", -2, kWriteAll, kFast),
};
// clang-format on

}  // namespace nearcached::rows
