// The data of the model server: databases, expiry, and every version that every key ever had.
//
// The history is what the checker judges by. Versions are ordered by `op`, a number that rises
// with every executed command and every expiry, so two events at one instant still have an order.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/env.h"
#include "tests/sim/resp.h"

namespace nearcached::sim {

// What a key holds.
struct Value {
  enum class Type : std::uint8_t { kNone, kString, kList, kHash, kSet, kZset };
  Type type = Type::kNone;
  std::string text;
  std::deque<std::string> list;
  std::map<std::string, std::string> fields;  // of a hash; members of a set; scores of a zset
  std::optional<MonoTime> expire_at;

  static Value Text(std::string text) { return {Type::kString, std::move(text), {}, {}, {}}; }
};

// A key in a database.
struct KeyId {
  int db = 0;
  std::string name;
  auto operator<=>(const KeyId&) const = default;
};

// A value from the moment it became current. It ends when the next version begins or, if it has a
// TTL, when that runs out, whichever is first.
struct Version {
  std::uint64_t op = 0;
  MonoTime at{};
  Value value;
};

class Store {
 public:
  static constexpr int kDatabases = 16;

  // `deleted` is called after a key died of its TTL, actively or on access.
  Store(Env& env, std::function<void(const KeyId&)> deleted)
      : env_(env), deleted_(std::move(deleted)) {}
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() = default;

  // The live value, or null. Deletes it first when its TTL has run out.
  Value* Find(const KeyId& id);
  // Stores a new value (kNone deletes) and records the version.
  void Put(const KeyId& id, Value value);
  // Records a version after *Find(id) was changed in place.
  void Changed(const KeyId& id);
  // Deletes all keys of a database and returns how many there were.
  std::size_t Flush(int db);
  void Swap(int a, int b);
  // The keys that `concerns` names hold again what they held at `to` (unless it has expired).
  void RollBack(const std::function<bool(const KeyId&)>& concerns, MonoTime to);
  [[nodiscard]] std::vector<KeyId> LiveKeys(int db) const;

  // The number of the command that is executing; rises with every NextOp.
  std::uint64_t NextOp() { return ++op_; }
  [[nodiscard]] std::uint64_t op() const { return op_; }

  // Oldest first; the state before the first version is "absent".
  [[nodiscard]] const std::vector<Version>& History(const KeyId& id) const;
  // Keys that hold or held something.
  [[nodiscard]] std::vector<KeyId> KnownKeys() const;
  // The version that was current just before `op`; null means absent.
  [[nodiscard]] const Version* Before(const KeyId& id, std::uint64_t op) const;

  void SetExpiryLagMax(Duration lag) { expiry_lag_max_ = lag; }
  // While frozen (a stopped server) nothing expires actively.
  void SetFrozen(bool frozen) { frozen_ = frozen; }

 private:
  void Record(const KeyId& id);
  void ScheduleExpiry(const KeyId& id, MonoTime expire_at, Duration delay);
  void Expire(const KeyId& id);

  Env& env_;
  std::function<void(const KeyId&)> deleted_;
  std::map<KeyId, Value> live_;
  std::map<KeyId, std::vector<Version>> history_;
  std::uint64_t op_ = 0;
  Duration expiry_lag_max_ = std::chrono::milliseconds(300);
  bool frozen_ = false;
};

// What a read of one key answers for a value (model_reads.cc). `read` is the call, or for GET and
// MGET the name alone.
[[nodiscard]] Reply RenderRead(const Args& read, const Value& value);

}  // namespace nearcached::sim
