#include "daemon/admin/process_metrics.h"

#include <chrono>
#include <map>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/admin/stat_lines.h"

namespace nearcached {
namespace {

std::map<std::string, double> Read(const MetricRegistry& registry) {
  std::map<std::string, double> map;
  for (const StatLine& line : ToStatLines(registry.Collect(), "")) {
    map[line.name] = line.value;
  }
  return map;
}

TEST_CASE("the process's figures are plausible and follow what happens") {
  MetricRegistry registry;
  RegisterProcessMetrics(registry);
  const auto before = Read(registry);

  CHECK(before.at("process_resident_memory_bytes") > 1e6);
  CHECK(before.at("process_virtual_memory_bytes") >= before.at("process_resident_memory_bytes"));
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(before.at("process_max_fds") == static_cast<double>(limit.rlim_cur));
  CHECK(before.at("nearcached_build_info{version=\"" NEARCACHED_VERSION "\"}") == 1);

  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  CHECK(before.at("process_start_time_seconds") <= now + 2);
  CHECK(before.at("process_start_time_seconds") > now - 3600);

  std::vector<int> fds;
  for (int i = 0; i < 10; ++i) {
    fds.push_back(dup(STDERR_FILENO));
  }
  const std::vector<char> memory(std::size_t{32} << 20U, 'x');
  const double cpu_before = before.at("process_cpu_seconds_total");
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  std::size_t sum = 0;
  while (std::chrono::steady_clock::now() < until) {
    sum += static_cast<std::size_t>(memory[sum % memory.size()]);
  }
  const auto after = Read(registry);
  CHECK(after.at("process_open_fds") == before.at("process_open_fds") + 10);
  CHECK(after.at("process_resident_memory_bytes") >=
        before.at("process_resident_memory_bytes") + 16e6);
  CHECK(after.at("process_cpu_seconds_total") > cpu_before);
  CHECK(sum > 0);
  for (const int fd : fds) {
    close(fd);
  }
}

}  // namespace
}  // namespace nearcached
