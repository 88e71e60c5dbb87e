// Scripts that clients have shown the sidecar, so that EVALSHA outlives the server that knew them.
//
// A server forgets its scripts when it restarts, and a replica that takes over may never have had
// them. Applications rely on having loaded a script once. So what EVAL and SCRIPT LOAD carry is
// remembered here by its SHA1, and a link tells the server it connects to before the first EVALSHA
// (Link::Send); functions need none of this, they are part of the data set and are replicated.
//
// Bounded in bytes, least recently used goes first. Owned by the worker; loop thread only, the
// counters may be read anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/base/counter.h"

namespace nearcached {

struct Script {
  std::string sha1;  // 40 lower-case hexadecimal digits
  std::string body;
  // Links note by this number what their server knows. It changes when the server turns out to have
  // lost the script, so that no link goes on believing otherwise.
  std::uint64_t id = 0;
};
// Shared by the memory and the requests that were sent while it was remembered.
using ScriptRef = std::shared_ptr<const Script>;

struct ScriptStats {
  Gauge remembered;  // scripts
  Gauge bytes;       // and what they take
  Counter evicted;   // forgotten because limits.scripts_bytes_max was reached
  Counter repaired;  // EVALSHA that the server did not know and that was sent once more
};

class ScriptMemory {
 public:
  explicit ScriptMemory(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  ~ScriptMemory() = default;
  ScriptMemory(const ScriptMemory&) = delete;
  ScriptMemory& operator=(const ScriptMemory&) = delete;

  // Takes note of a script. Null when it does not fit, or nothing is to be remembered.
  ScriptRef Remember(std::string_view body);

  // The script of this name, in either case, as the server takes it. Null: never seen, or
  // forgotten.
  ScriptRef Find(std::string_view sha1);

  // The server does not know the script after all.
  void NoteLost(const Script& script);

  // Forgets one, or all (SCRIPT FLUSH): EVALSHA is then answered as the server answers it.
  void Forget(const Script& script);
  void ForgetAll();

  // Zero: nothing is remembered.
  void SetBytesMax(std::uint64_t bytes_max);

  [[nodiscard]] const ScriptStats& stats() const { return stats_; }
  ScriptStats& stats() { return stats_; }

 private:
  // Most recently used first. Views in the indexes point into the scripts.
  using Lru = std::list<std::shared_ptr<Script>>;

  static std::uint64_t CostOf(const Script& script);
  void Erase(Lru::iterator it);
  void EvictTo(std::uint64_t bytes);

  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_id_ = 1;
  Lru lru_;
  std::unordered_map<std::string_view, Lru::iterator> by_sha1_;
  std::unordered_map<std::string_view, Lru::iterator> by_body_;
  ScriptStats stats_;
};

}  // namespace nearcached
