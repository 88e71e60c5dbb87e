#include "daemon/admin/stat_lines.h"

#include <chrono>
#include <cmath>
#include <map>
#include <string>

#include <doctest/doctest.h>

#include "daemon/admin/metric_registry.h"

namespace nearcached {
namespace {

std::map<std::string, double> ByName(const std::vector<StatLine>& lines) {
  std::map<std::string, double> map;
  for (const StatLine& line : lines) {
    map[line.name] = line.value;
  }
  REQUIRE(map.size() == lines.size());
  return map;
}

TEST_CASE("every series becomes a line, a histogram its count, sum and quantiles") {
  MetricRegistry registry;
  Counter hits;
  Histogram wait;
  Histogram silent;
  registry.AddCounter("nearcached_hits_total", "H.", {{"kind", "value"}, {"a", "b"}}, &hits);
  registry.AddHistogram("nearcached_wait_seconds", "W.", {{"lane", "fill"}}, &wait);
  registry.AddHistogram("nearcached_silent_seconds", "S.", {}, &silent);
  hits.Add(5);
  wait.Observe(std::chrono::microseconds(3), 98);
  wait.Observe(std::chrono::milliseconds(3));
  wait.Observe(std::chrono::minutes(1));
  const auto lines = ByName(ToStatLines(registry.Collect(), ""));
  CHECK(lines.at("nearcached_hits_total{a=\"b\",kind=\"value\"}") == 5);
  CHECK(lines.at("nearcached_wait_seconds_count{lane=\"fill\"}") == 100);
  CHECK(lines.at("nearcached_wait_seconds_sum{lane=\"fill\"}") == doctest::Approx(60.003294));
  CHECK(lines.at("nearcached_wait_seconds_p50{lane=\"fill\"}") == doctest::Approx(4e-6));
  CHECK(lines.at("nearcached_wait_seconds_p99{lane=\"fill\"}") == doctest::Approx(4096e-6));
  CHECK(lines.at("nearcached_silent_seconds_count") == 0);
  CHECK(lines.count("nearcached_silent_seconds_p50") == 0);
  CHECK(lines.size() == 7);
}

TEST_CASE("a quantile beyond the last finite bound is infinite") {
  MetricRegistry registry;
  Histogram wait;
  registry.AddHistogram("nearcached_wait_seconds", "W.", {}, &wait);
  wait.Observe(std::chrono::minutes(1));
  CHECK(std::isinf(ByName(ToStatLines(registry.Collect(), "")).at("nearcached_wait_seconds_p50")));
}

TEST_CASE("a prefix selects lines by name") {
  MetricRegistry registry;
  Counter a;
  Counter b;
  registry.AddCounter("nearcached_l1_hits_total", "H.", {}, &a);
  registry.AddCounter("nearcached_clients_total", "C.", {}, &b);
  CHECK(ToStatLines(registry.Collect(), "nearcached_l1_").size() == 1);
  CHECK(ToStatLines(registry.Collect(), "nearcached_").size() == 2);
  CHECK(ToStatLines(registry.Collect(), "x").empty());
}

}  // namespace
}  // namespace nearcached
