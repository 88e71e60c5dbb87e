#include "daemon/metrics.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("METRICS.md is what the daemon registers") {
  const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream in(root / "METRICS.md", std::ios::binary);
  REQUIRE(in.is_open());
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  const bool same = page == MetricReference();
  CHECK_MESSAGE(same, "stale: nearcached --print-metrics-reference > METRICS.md");
}

TEST_CASE("every metric is explained in a sentence") {
  const std::string page = MetricReference();
  int metrics = 0;
  for (std::size_t at = page.find("\n| `"); at != std::string::npos; at = page.find("\n| `", at)) {
    const std::size_t end = page.find('\n', ++at);
    const std::string line = page.substr(at, end - at);
    CAPTURE(line);
    CHECK(line.ends_with(". |"));
    const std::size_t meaning = line.rfind("| ", line.size() - 2) + 2;
    CHECK(line.size() - meaning > 12);
    ++metrics;
  }
  CHECK(metrics > 60);
}

}  // namespace
}  // namespace nearcached
