#include "daemon/admin/metric_registry.h"

#include <csignal>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

// True if `breach` ends the process by abort, which is what NC_CHECK does. Runs it in a child.
bool Aborts(const std::function<void(MetricRegistry&)>& breach) {
  const pid_t child = fork();
  if (child == 0) {
    // doctest's handlers would report the abort as a failure of the parent's test.
    std::signal(SIGABRT, SIG_DFL);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    MetricRegistry registry;
    breach(registry);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

const Counter kCounter;
const Gauge kGauge;
const Histogram kHistogram;

TEST_CASE("the counters of several workers under one name are one series, their sum") {
  MetricRegistry registry;
  Counter first;
  Counter second;
  Gauge left;
  Gauge right;
  Histogram one;
  Histogram two;
  registry.AddCounter("nearcached_a_total", "A.", {{"x", "1"}}, &first);
  registry.AddCounter("nearcached_a_total", "A.", {{"x", "1"}}, &second);
  registry.AddGauge("nearcached_b", "B.", {}, &left);
  registry.AddGauge("nearcached_b", "B.", {}, &right);
  registry.AddHistogram("nearcached_c_seconds", "C.", {}, &one);
  registry.AddHistogram("nearcached_c_seconds", "C.", {}, &two);
  first.Add(2);
  second.Add(40);
  left.Set(10);
  right.Set(-3);
  one.Observe(std::chrono::microseconds(1));
  two.Observe(std::chrono::seconds(1));
  const MetricSnapshot snapshot = registry.Collect();
  REQUIRE(snapshot.size() == 3);
  REQUIRE(snapshot[0].samples.size() == 1);
  CHECK(snapshot[0].samples[0].value == 42);
  CHECK(snapshot[1].samples[0].value == 7);
  const HistogramSample& histogram = *snapshot[2].samples[0].histogram;
  CHECK(histogram.cumulative[0] == 1);
  CHECK(histogram.count() == 2);
  CHECK(histogram.sum_seconds == doctest::Approx(1.000001));
}

TEST_CASE("the order of labels and of registration does not matter") {
  MetricRegistry registry;
  Counter first;
  Counter second;
  Counter third;
  registry.AddCounter("nearcached_b_total", "B.", {{"y", "2"}, {"x", "1"}}, &first);
  registry.AddCounter("nearcached_b_total", "B.", {{"x", "1"}, {"y", "2"}}, &second);
  registry.AddCounter("nearcached_a_total", "A.", {}, &third);
  first.Add();
  second.Add();
  const MetricSnapshot snapshot = registry.Collect();
  CHECK(snapshot[0].name == "nearcached_a_total");
  REQUIRE(snapshot[1].samples.size() == 1);
  CHECK(snapshot[1].samples[0].value == 2);
  CHECK(snapshot[1].samples[0].labels == MetricLabels{{"x", "1"}, {"y", "2"}});
}

TEST_CASE("a scale turns nanoseconds into seconds, and callbacks are read at each collection") {
  MetricRegistry registry;
  Counter nanoseconds;
  nanoseconds.Add(2'500'000'000);
  int reads = 0;
  registry.AddCounter("nearcached_busy_seconds_total", "Busy.", {}, &nanoseconds, 1e-9);
  registry.AddCallbackGauge("nearcached_reads", "Reads.", {}, [&] { return ++reads; });
  CHECK(registry.Collect()[0].samples[0].value == doctest::Approx(2.5));
  CHECK(registry.Collect()[1].samples[0].value == 2);
}

TEST_CASE("the same object or callback twice is a bug") {
  CHECK(Aborts([](MetricRegistry& r) {
    r.AddCounter("nearcached_a_total", "A.", {}, &kCounter);
    r.AddCounter("nearcached_a_total", "A.", {}, &kCounter);
  }));
  CHECK(Aborts([](MetricRegistry& r) {
    r.AddHistogram("nearcached_a_seconds", "A.", {}, &kHistogram);
    r.AddHistogram("nearcached_a_seconds", "A.", {}, &kHistogram);
  }));
  CHECK(Aborts([](MetricRegistry& r) {
    r.AddCallbackGauge("nearcached_a", "A.", {}, [] { return 1.0; });
    r.AddCallbackGauge("nearcached_a", "A.", {}, [] { return 1.0; });
  }));
}

TEST_CASE("a name with two types, two helps or two sets of labels is a bug") {
  const auto add = [](MetricRegistry& r, const char* help, MetricLabels labels) {
    static Counter counters[2];
    static int next = 0;
    r.AddCounter("nearcached_a_total", help, std::move(labels), &counters[next++ % 2]);
  };
  CHECK_FALSE(Aborts([&](MetricRegistry& r) {
    add(r, "A.", {{"x", "1"}});
    add(r, "A.", {{"x", "2"}});
  }));
  CHECK(Aborts([&](MetricRegistry& r) {
    add(r, "A.", {});
    add(r, "Another.", {});
  }));
  CHECK(Aborts([&](MetricRegistry& r) {
    add(r, "A.", {{"x", "1"}});
    add(r, "A.", {{"y", "1"}});
  }));
  CHECK(Aborts([&](MetricRegistry& r) {
    add(r, "A.", {});
    add(r, "A.", {{"y", "1"}});
  }));
  CHECK(Aborts([&](MetricRegistry& r) {
    r.AddGauge("nearcached_a", "A.", {}, &kGauge);
    r.AddCallbackCounter("nearcached_a", "A.", {}, [] { return 1.0; });
  }));
}

TEST_CASE("names and labels that the format or our rules do not allow are bugs") {
  for (const char* name : {"", "9lives_total", "with-dash_total", "Upper_total", "no_suffix"}) {
    CAPTURE(name);
    CHECK(Aborts([&](MetricRegistry& r) { r.AddCounter(name, "A.", {}, &kCounter); }));
  }
  CHECK(Aborts([](MetricRegistry& r) { r.AddGauge("nearcached_a_total", "A.", {}, &kGauge); }));
  CHECK(Aborts([](MetricRegistry& r) { r.AddHistogram("nearcached_a", "A.", {}, &kHistogram); }));
  CHECK(Aborts([](MetricRegistry& r) { r.AddGauge("nearcached_a", "", {}, &kGauge); }));
  const std::string long_value(MetricRegistry::kLabelBytesMax + 1, 'x');
  const std::vector<MetricLabels> bad = {
      {{"le", "1"}},
      {{"__x", "1"}},
      {{"x", ""}},
      {{"x", "caf\xc3\xa9"}},
      {{"x", "two\nlines"}},
      {{"x", long_value}},
      {{"x", "1"}, {"x", "2"}},
      {{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}, {"e", "1"}},
  };
  for (const MetricLabels& labels : bad) {
    CAPTURE(labels[0].first);
    CAPTURE(labels[0].second);
    CHECK(Aborts([&](MetricRegistry& r) { r.AddGauge("nearcached_a", "A.", labels, &kGauge); }));
  }
}

TEST_CASE("the number of series under a name is bounded") {
  const auto fill = [](MetricRegistry& r, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      r.AddGauge("nearcached_a", "A.", {{"x", std::to_string(i)}}, &kGauge);
    }
  };
  CHECK_FALSE(Aborts([&](MetricRegistry& r) { fill(r, MetricRegistry::kSeriesMax); }));
  CHECK(Aborts([&](MetricRegistry& r) { fill(r, MetricRegistry::kSeriesMax + 1); }));
}

}  // namespace
}  // namespace nearcached
