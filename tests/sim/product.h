// What the world needs of the thing under test: the real composition (product.cc), or a naive
// proxy with planted bugs (naive_proxy.h) that proves the checker sharp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "daemon/base/byte_stream.h"
#include "daemon/base/scheduler.h"

namespace nearcached::sim {

// The configuration of a world, in the terms that matter to the checker.
struct ProductSetup {
  std::uint64_t seed = 1;
  bool tracking = true;
  std::string_view method = "auto";  // tracking.method
  Duration request_timeout = std::chrono::milliseconds(1000);
  Duration connect_timeout = std::chrono::milliseconds(500);
  Duration probe_interval = std::chrono::milliseconds(500);
  int probe_misses = 3;
  Duration l1_ttl = std::chrono::seconds(2);
  std::size_t l1_bytes = std::size_t{4} << 20U;
  std::size_t links = 2;
  std::size_t fill_links = 1;
  bool coalescing = true;
  bool all_reads = false;  // l1.commands: all
  std::size_t variants_max = 128;
  std::size_t exclusive_links_max = 64;
  Duration exclusive_max_wait = std::chrono::seconds(5);
  Duration link_max_lifetime{};  // zero: for ever
  bool test_on_borrow = false;
  Duration max_hold{};
  std::string maintenance_key;  // empty: none
  Duration stale_if_error{};
  int adaptive_stop_after = 0;   // 0: off
  std::size_t stream_above = 0;  // larger requests are handed on as they come; 0: none
  bool verify = false;           // a canary, and hits that are compared
  bool events = false;           // others announce what they change (announcements.h)
  Duration meddle_every{};       // an administrator reconnects or pauses so often; zero: never
  std::size_t link_pipeline_max = 1024;
  std::size_t exclusive_min_idle = 0;
  std::size_t pipeline_max = 1024;
  Duration reconnect_delay_max = std::chrono::milliseconds(400);
  std::size_t clients_max = 1000;
  std::size_t output_bytes_max = std::size_t{8} << 20U;
  Duration drain_deadline = std::chrono::seconds(2);
  std::string password;
  bool identity = false;           // upstream.identity: client
  std::vector<std::string> hosts;  // several nodes, or sentinels; empty: one server
  std::string_view read_from = "primary";
  Duration replica_lag_max = std::chrono::seconds(3);
  bool sentinels = false;                           // hosts are sentinels of the master "m"
  bool cluster = false;                             // hosts are nodes of a cluster
  Duration map_interval = std::chrono::seconds(5);  // … whose slot map is asked for so often

  // G3: how old an answer may be at most when a link dies silently.
  [[nodiscard]] Duration StaleMax() const {
    return probe_interval * (probe_misses + 1) + request_timeout;
  }
};

// Figures for the summary and for I5 and I7.
struct ProductFigures {
  std::uint64_t hits = 0;
  std::uint64_t stale = 0;  // values served in an outage
  std::uint64_t misses = 0;
  std::uint64_t coalesced = 0;
  std::uint64_t fills = 0;
  std::uint64_t fills_refused = 0;
};

class Product {
 public:
  // Opens the stream of an accepted client connection for its handler.
  using OpenStream = std::function<std::unique_ptr<ByteStream>(ByteStreamHandler&)>;

  virtual ~Product() = default;
  // False: the client was refused, its stream is closed or was never opened.
  virtual bool Accept(OpenStream open) = 0;
  virtual void StartDrain() = 0;
  // Draining and everything is gone.
  [[nodiscard]] virtual bool idle() const = 0;
  // I5: empty, or what is wrong between the product's own figures and its state.
  [[nodiscard]] virtual std::string CheckState() const = 0;
  // I7: empty, or what is left after a drain.
  [[nodiscard]] virtual std::string CheckDrained() const = 0;
  [[nodiscard]] virtual ProductFigures figures() const = 0;
};

using ProductFactory =
    std::function<std::unique_ptr<Product>(const ProductSetup&, Scheduler&, Dialer&)>;

// The real one.
[[nodiscard]] ProductFactory MakeProductFactory();

}  // namespace nearcached::sim
