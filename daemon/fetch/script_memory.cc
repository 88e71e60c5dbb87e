#include "daemon/fetch/script_memory.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/base/sha1.h"
#include "daemon/command/ascii.h"

namespace nearcached {
namespace {

constexpr std::size_t kSha1Digits = 40;
// What a script takes beyond its text: the object, a list node and two rows of an index.
constexpr std::uint64_t kOverhead = 320;

}  // namespace

std::uint64_t ScriptMemory::CostOf(const Script& script) {
  return script.body.size() + kOverhead;
}

// A client that sends EVAL sends the same text again and again: it is found by the text, and its
// SHA1 is computed once.
ScriptRef ScriptMemory::Remember(std::string_view body) {
  if (const auto found = by_body_.find(body); found != by_body_.end()) {
    lru_.splice(lru_.begin(), lru_, found->second);
    return lru_.front();
  }
  if (body.size() + kOverhead > bytes_max_) {
    return nullptr;
  }
  auto script = std::make_shared<Script>();
  script->sha1 = Sha1Hex(body);
  if (script->sha1.empty()) {
    return nullptr;
  }
  script->body.assign(body);
  script->id = next_id_++;
  const std::uint64_t cost = CostOf(*script);
  EvictTo(bytes_max_ - cost);
  bytes_ += cost;
  lru_.push_front(std::move(script));
  by_sha1_.emplace(lru_.front()->sha1, lru_.begin());
  by_body_.emplace(lru_.front()->body, lru_.begin());
  stats_.remembered.Add();
  stats_.bytes.Set(static_cast<std::int64_t>(bytes_));
  return lru_.front();
}

ScriptRef ScriptMemory::Find(std::string_view sha1) {
  if (lru_.empty() || sha1.size() != kSha1Digits) {
    return nullptr;
  }
  auto found = by_sha1_.find(sha1);
  if (found == by_sha1_.end()) {
    std::string lower(sha1);
    std::transform(lower.begin(), lower.end(), lower.begin(), AsciiLower);
    found = by_sha1_.find(lower);
  }
  if (found == by_sha1_.end()) {
    return nullptr;
  }
  lru_.splice(lru_.begin(), lru_, found->second);
  return lru_.front();
}

void ScriptMemory::NoteLost(const Script& script) {
  if (const auto found = by_sha1_.find(script.sha1); found != by_sha1_.end()) {
    (*found->second)->id = next_id_++;
  }
}

void ScriptMemory::Forget(const Script& script) {
  if (const auto found = by_sha1_.find(script.sha1); found != by_sha1_.end()) {
    Erase(found->second);
  }
}

void ScriptMemory::ForgetAll() {
  while (!lru_.empty()) {
    Erase(lru_.begin());
  }
}

void ScriptMemory::SetBytesMax(std::uint64_t bytes_max) {
  bytes_max_ = bytes_max;
  EvictTo(bytes_max);
}

void ScriptMemory::EvictTo(std::uint64_t bytes) {
  while (bytes_ > bytes) {
    stats_.evicted.Add();
    Erase(std::prev(lru_.end()));
  }
}

void ScriptMemory::Erase(Lru::iterator it) {
  bytes_ -= CostOf(**it);
  by_sha1_.erase((*it)->sha1);
  by_body_.erase((*it)->body);
  lru_.erase(it);
  stats_.remembered.Sub();
  stats_.bytes.Set(static_cast<std::int64_t>(bytes_));
}

}  // namespace nearcached
