#include "tests/sim/announcements.h"

#include <algorithm>

namespace nearcached::sim {

void Announcements::Said(const SimConnection& connection, const Names& names, std::uint64_t op) {
  if (!connection.carries()) {
    return;  // it was not sent at all
  }
  pending_.push_back({&connection, connection.sent(), names, op});
}

// A connection that the product has closed counts no more: bytes before the message may have been
// no RESP, and what comes instead is another subscription, which says everything.
void Announcements::TakeDelivered() {
  std::erase_if(pending_, [this](const Pending& said) {
    if (!said.connection->product_open()) {
      return true;
    }
    if (said.connection->delivered() < said.end) {
      return false;
    }
    for (const std::string& key : said.names.keys) {
      keys_[key] = std::max(keys_[key], said.op);
    }
    for (const std::string& prefix : said.names.prefixes) {
      prefixes_[prefix] = std::max(prefixes_[prefix], said.op);
    }
    everything_ = std::max(everything_, said.names.everything ? said.op : 0);
    return true;
  });
}

std::uint64_t Announcements::FloorOf(const std::string& key) {
  TakeDelivered();
  std::uint64_t floor = everything_;
  if (const auto at = keys_.find(key); at != keys_.end()) {
    floor = std::max(floor, at->second);
  }
  for (const auto& [prefix, op] : prefixes_) {
    floor = std::max(floor, key.starts_with(prefix) ? op : 0);
  }
  return floor;
}

}  // namespace nearcached::sim
