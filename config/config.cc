#include "config/config.h"

namespace nearcached::config {

// Why these: a lock that is read from a cache is a lock held by two, and its owner often reads it
// back with GET before deleting it. The names are those that lock libraries and their examples use
// ("redlock:" is put before every key by pottery, "lock:" is the usual prefix elsewhere). They are
// anchored at separators because "*lock*" would also stop "clock:…" and "block:…" from being
// cached.
std::vector<std::string> L1Config::DefaultNeverCache() {
  return {"lock:*",   "locks:*", "mutex:*", "redlock:*", "semaphore:*", "*:lock",
          "*:lock:*", "*:mutex", "*.lock",  "*_lock",    "*{lock}*"};
}

std::vector<ListenerConfig> Config::DefaultListeners() {
  ListenerConfig loopback;
  loopback.address = "127.0.0.1:6380";
  return {loopback};
}

}  // namespace nearcached::config
