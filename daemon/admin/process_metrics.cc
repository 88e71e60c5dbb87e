#include "daemon/admin/process_metrics.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <dirent.h>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utility>

// jemalloc's own statistics; null unless the program was linked with it (jemalloc(3), "mallctl").
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old_value,
                                             std::size_t* old_size, void* new_value,
                                             std::size_t new_size);

namespace nearcached {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

// Column `column` of /proc/self/statm, which is in pages: 0 is the address space, 1 is resident.
double MemoryBytes(int column) {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  for (int i = 0; i <= column; ++i) {
    file >> pages;
  }
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double OpenDescriptors() {
  constexpr const char* kPath = "/proc/self/fd";
  // Since Linux 6.2 the directory's size is the answer; before, its entries must be counted.
  struct stat info {};
  if (stat(kPath, &info) == 0 && info.st_size > 0) {
    return static_cast<double>(info.st_size);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(kPath), &closedir);
  if (directory == nullptr) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  int entries = 0;
  while (readdir(directory.get()) != nullptr) {
    ++entries;
  }
  return entries - 3;  // ".", ".." and the descriptor that reads the directory
}

double DescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

// Field 22 of /proc/self/stat (clock ticks after boot) on top of the boot time: proc(5).
double StartTimeSeconds() {
  std::ifstream stat_file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(stat_file)), {});
  text.erase(0, text.rfind(')') + 1);  // the second field may contain anything, blanks too
  std::istringstream fields(text);
  std::string field;
  for (int i = 3; i <= 22; ++i) {
    fields >> field;
  }
  std::ifstream boot_file("/proc/stat");
  std::string line;
  double boot_seconds = 0;
  while (std::getline(boot_file, line)) {
    if (line.starts_with("btime ")) {
      boot_seconds = static_cast<double>(std::strtoull(line.c_str() + 6, nullptr, 10));
    }
  }
  return boot_seconds + static_cast<double>(std::strtoull(field.c_str(), nullptr, 10)) /
                            static_cast<double>(sysconf(_SC_CLK_TCK));
}

double AllocatorBytes(const char* name) {
  if (&mallctl == nullptr) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  // Advancing the epoch makes jemalloc refresh the numbers it answers with.
  std::uint64_t epoch = 1;
  std::size_t size = sizeof(epoch);
  mallctl("epoch", &epoch, &size, &epoch, size);
  std::size_t bytes = 0;
  size = sizeof(bytes);
  return mallctl(name, &bytes, &size, nullptr, 0) == 0 ? static_cast<double>(bytes)
                                                       : std::numeric_limits<double>::quiet_NaN();
}

void RegisterAllocator(MetricRegistry& registry) {
  constexpr std::array<std::pair<const char*, const char*>, 4> kKinds = {{
      {"allocated", "stats.allocated"},  // asked for
      {"active", "stats.active"},        // in pages that hold allocations: the rest is slack
      {"resident", "stats.resident"},    // in physical memory, with the allocator's own data
      {"retained", "stats.retained"},    // address space kept for later, not in memory
  }};
  for (const auto& [kind, name] : kKinds) {
    registry.AddCallbackGauge("nearcached_allocator_bytes", "Memory as the allocator sees it.",
                              {{"kind", kind}}, [name = name] { return AllocatorBytes(name); });
  }
}

}  // namespace

void RegisterProcessMetrics(MetricRegistry& registry, AllocatorMetrics allocator) {
  registry.AddCallbackCounter("process_cpu_seconds_total", "User and system CPU time spent.", {},
                              &CpuSeconds);
  registry.AddCallbackGauge("process_resident_memory_bytes", "Memory in RAM.", {},
                            [] { return MemoryBytes(1); });
  registry.AddCallbackGauge("process_virtual_memory_bytes", "Address space in use.", {},
                            [] { return MemoryBytes(0); });
  registry.AddCallbackGauge("process_open_fds", "Open file descriptors.", {}, &OpenDescriptors);
  registry.AddCallbackGauge("process_max_fds", "Limit of open file descriptors.", {},
                            &DescriptorLimit);
  registry.AddCallbackGauge("process_start_time_seconds", "Start of the process, Unix time.", {},
                            [start = StartTimeSeconds()] { return start; });
  registry.AddCallbackGauge("nearcached_build_info", "Always 1; the labels tell the build.",
                            {{"version", NEARCACHED_VERSION}}, [] { return 1.0; });
  if (&mallctl != nullptr || allocator == AllocatorMetrics::kAlways) {
    RegisterAllocator(registry);
  }
}

}  // namespace nearcached
