#include "daemon/net/cached_resolver.h"

namespace nearcached {
namespace {

// An answer that is known already, told from the loop like any other.
class KnownLookup final : public Lookup {
 public:
  KnownLookup(Scheduler& scheduler, std::vector<SocketAddress> addresses,
              Resolver::OnResolved on_resolved)
      : timer_(scheduler.After(
            Duration::zero(), [addresses = std::move(addresses),
                               on_resolved = std::move(on_resolved)] { on_resolved(addresses); })) {
  }

 private:
  std::unique_ptr<Timer> timer_;
};

}  // namespace

std::unique_ptr<Lookup> CachedResolver::Resolve(const std::string& host, int port,
                                                OnResolved on_resolved) {
  const std::pair<std::string, int> name(host, port);
  const auto known = answers_.find(name);
  if (known != answers_.end() && scheduler_.Now() < known->second.until) {
    stats_.cached.Add();
    return std::make_unique<KnownLookup>(scheduler_, known->second.addresses,
                                         std::move(on_resolved));
  }
  return source_.Resolve(host, port,
                         [this, name, on_resolved = std::move(on_resolved)](auto result) {
                           if (result.ok()) {
                             stats_.resolved.Add();
                             Remember(name, result.value());
                           } else {
                             stats_.failed.Add();
                           }
                           on_resolved(std::move(result));  // may destroy the lookup
                         });
}

void CachedResolver::Remember(const std::pair<std::string, int>& name,
                              const std::vector<SocketAddress>& found) {
  if (ttl_ == Duration::zero()) {
    return;
  }
  if (answers_.size() >= kAnswersMax && !answers_.contains(name)) {
    const MonoTime now = scheduler_.Now();
    std::erase_if(answers_, [&](const auto& entry) { return entry.second.until <= now; });
    if (answers_.size() >= kAnswersMax) {
      return;  // more names within one ttl than any topology has: they are asked for each time
    }
  }
  answers_.insert_or_assign(name, Answer{found, scheduler_.Now() + ttl_});
}

}  // namespace nearcached
