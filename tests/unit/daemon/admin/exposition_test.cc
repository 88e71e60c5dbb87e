#include "daemon/admin/exposition.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "daemon/admin/metric_registry.h"
#include "tests/unit/daemon/admin/exposition_parser.h"

namespace nearcached {
namespace {

using std::chrono::microseconds;

TEST_CASE("the test's own parser refuses what is not the format") {
  const auto error = [](const char* text) { return ExpositionParser::Parse(text).error; };
  const std::string head = "# HELP a_total A.\n# TYPE a_total counter\n";
  CHECK(error((head + "a_total 1\n").c_str()).empty());
  CHECK_FALSE(error((head + "a_total 1").c_str()).empty());
  CHECK_FALSE(error("a_total 1\n").empty());
  CHECK_FALSE(error((head + "b_total 1\n").c_str()).empty());
  CHECK_FALSE(error((head + "a_total -1\n").c_str()).empty());
  CHECK_FALSE(error((head + "a_total one\n").c_str()).empty());
  CHECK_FALSE(error((head + "a_total{x=\"y} 1\n").c_str()).empty());
  CHECK_FALSE(error((head + "a_total{x=\"\\y\"} 1\n").c_str()).empty());
  CHECK_FALSE(error((head + "a_total 1\na_total 2\n").c_str()).empty());
  CHECK_FALSE(error((head + "a_total 1\n" + head).c_str()).empty());
  CHECK_FALSE(error("# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
                    "h_seconds_count 1\nh_seconds_sum 1\nh_seconds_bucket{le=\"1\"} 1\n")
                  .empty());
}

TEST_CASE("counters, gauges and histograms come out in the exposition format, sorted") {
  MetricRegistry registry;
  Counter hits;
  Counter errors;
  Gauge entries;
  Histogram wait;
  registry.AddHistogram("nearcached_wait_seconds", "Time waited.", {{"lane", "fill"}}, &wait);
  registry.AddCounter("nearcached_hits_total", "Reads answered.", {{"kind", "value"}}, &hits);
  registry.AddCounter("nearcached_hits_total", "Reads answered.", {{"kind", "negative"}}, &errors);
  registry.AddGauge("nearcached_entries", "Entries held.", {}, &entries);
  hits.Add(3'000'000'000);
  entries.Set(-7);
  wait.Observe(microseconds(1));
  wait.Observe(microseconds(1000), 2);
  wait.Observe(std::chrono::hours(1));

  const ParsedExposition text = ExpositionParser::Parse(ToExposition(registry.Collect()));
  REQUIRE(text.error == "");
  CHECK(text.family_order == std::vector<std::string>{"nearcached_entries", "nearcached_hits_total",
                                                      "nearcached_wait_seconds"});
  CHECK(text.types.at("nearcached_hits_total") == "counter");
  CHECK(text.types.at("nearcached_entries") == "gauge");
  CHECK(text.types.at("nearcached_wait_seconds") == "histogram");
  CHECK(text.helps.at("nearcached_entries") == "Entries held.");
  CHECK(text.samples.at("nearcached_hits_total{kind=\"value\"}") == 3e9);
  CHECK(text.samples.at("nearcached_hits_total{kind=\"negative\"}") == 0);
  CHECK(text.samples.at("nearcached_entries") == -7);
  const auto bucket = [&](const std::string& bound) {
    return text.samples.at("nearcached_wait_seconds_bucket{lane=\"fill\",le=\"" + bound + "\"}");
  };
  CHECK(text.samples.at("nearcached_wait_seconds_count{lane=\"fill\"}") == 4);
  CHECK(text.samples.at("nearcached_wait_seconds_sum{lane=\"fill\"}") ==
        doctest::Approx(3600.002001));
  CHECK(bucket("+Inf") == 4);
  CHECK(bucket("16.777216") == 3);
  CHECK(bucket("0.001024") == 3);
  CHECK(bucket("0.000512") == 1);
}

TEST_CASE("label values and help texts are escaped, so that none can forge a line") {
  MetricRegistry registry;
  Gauge gauge;
  registry.AddGauge("nearcached_rule", "Back\\slash.", {{"prefix", "a\"b\\c"}}, &gauge);
  const ParsedExposition text = ExpositionParser::Parse(ToExposition(registry.Collect()));
  REQUIRE(text.error == "");
  CHECK(text.samples.count("nearcached_rule{prefix=\"a\\\"b\\\\c\"}") == 1);
}

TEST_CASE("scrapes while the owning thread counts are well formed and never go backwards") {
  MetricRegistry registry;
  Counter counter;
  Histogram histogram;
  registry.AddCounter("nearcached_work_total", "Work.", {}, &counter);
  registry.AddHistogram("nearcached_work_seconds", "Work.", {}, &histogram);
  std::atomic<bool> is_over{false};
  std::thread writer([&] {
    std::int64_t i = 0;
    while (!is_over.load(std::memory_order_relaxed)) {
      counter.Add();
      histogram.Observe(microseconds(++i % 5000));
    }
  });
  double last_count = 0;
  double last_observations = 0;
  for (int i = 0; i < 200; ++i) {
    const ParsedExposition text = ExpositionParser::Parse(ToExposition(registry.Collect()));
    REQUIRE(text.error == "");
    const double count = text.samples.at("nearcached_work_total");
    const double observations = text.samples.at("nearcached_work_seconds_count");
    REQUIRE(count >= last_count);
    REQUIRE(observations >= last_observations);
    last_count = count;
    last_observations = observations;
  }
  is_over.store(true);
  writer.join();
  CHECK(registry.Collect()[1].samples[0].value == static_cast<double>(counter.value()));
}

}  // namespace
}  // namespace nearcached
