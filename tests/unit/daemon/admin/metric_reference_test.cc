#include "daemon/admin/metric_reference.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

MetricFamily Family(std::string name, MetricType type, std::vector<MetricLabels> series) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = "What it says.";
  family.type = type;
  for (MetricLabels& labels : series) {
    family.samples.push_back({std::move(labels), 0, {}});
  }
  return family;
}

// The page's lines of metrics.
std::string Lines(const MetricSnapshot& snapshot) {
  const std::string page = RenderMetricReference(snapshot);
  const std::size_t table = page.find("|---|");
  REQUIRE(table != std::string::npos);
  return page.substr(page.find('\n', table) + 1);
}

TEST_CASE("each metric is a line of name, type, unit, labels and meaning") {
  CHECK(Lines({Family("a_total", MetricType::kCounter, {{}})}) ==
        "| `a_total` | counter | number |  | What it says. |\n");
  CHECK(Lines({Family("b", MetricType::kGauge, {{}}),
               Family("c_seconds", MetricType::kHistogram, {{}})}) ==
        "| `b` | gauge | number |  | What it says. |\n"
        "| `c_seconds` | histogram | seconds |  | What it says. |\n");
  CHECK(Lines({}).empty());
}

TEST_CASE("the unit is what the name says, also before _total and _max") {
  const auto unit = [](const char* name) {
    const std::string line = Lines({Family(name, MetricType::kGauge, {{}})});
    const std::size_t from = line.find("gauge | ") + 8;
    return line.substr(from, line.find(' ', from) - from);
  };
  CHECK(unit("x_bytes") == "bytes");
  CHECK(unit("x_bytes_total") == "bytes");
  CHECK(unit("x_bytes_max") == "bytes");
  CHECK(unit("x_cpu_seconds_total") == "seconds");
  CHECK(unit("x_bytesize") == "number");
  CHECK(unit("x_seconds_ago_total") == "number");
}

TEST_CASE("labels come with their values, each once, in order") {
  CHECK(Lines({Family("a_total", MetricType::kCounter,
                      {{{"by", "x"}, {"reason", "size"}},
                       {{"by", "x"}, {"reason", "age"}},
                       {{"by", "y"}, {"reason", "age"}}})}) ==
        "| `a_total` | counter | number | `by`: x, y; `reason`: age, size | What it says. |\n");
}

TEST_CASE("values are left out where they are many, and where they change with the build") {
  std::vector<MetricLabels> many;
  for (int i = 0; i < 17; ++i) {
    many.push_back({{"command", "c" + std::to_string(i)}});
  }
  CHECK(Lines({Family("a_total", MetricType::kCounter, many)}).find("| `command` |") !=
        std::string::npos);
  many.pop_back();
  CHECK(Lines({Family("a_total", MetricType::kCounter, many)}).find("`command`: c0, c1") !=
        std::string::npos);
  CHECK(Lines({Family("x_info", MetricType::kGauge, {{{"version", "0.1.0"}}})})
            .find("| `version` |") != std::string::npos);
}

TEST_CASE("a bar in a text does not end its cell") {
  MetricFamily family = Family("a", MetricType::kGauge, {{{"l", "x|y"}}});
  family.help = "One | two.";
  CHECK(Lines({family}) == "| `a` | gauge | number | `l`: x\\|y | One \\| two. |\n");
}

}  // namespace
}  // namespace nearcached
