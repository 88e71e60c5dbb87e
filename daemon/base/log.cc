#include "daemon/base/log.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <unistd.h>

namespace nearcached {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};

std::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

void AppendEscaped(std::string& out, std::string_view text, bool escape_quotes) {
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) {
      std::array<char, 5> hex{};
      (void)std::snprintf(hex.data(), hex.size(), "\\x%02x", u);
      out.append(hex.data());
    } else {
      if (escape_quotes && (c == '"' || c == '\\')) {
        out.push_back('\\');
      }
      out.push_back(c);
    }
  }
}

}  // namespace

void SetLogLevel(LogLevel level) {
  g_level.store(level, std::memory_order_relaxed);
}
LogLevel GetLogLevel() {
  return g_level.load(std::memory_order_relaxed);
}

bool ParseLogLevel(std::string_view text, LogLevel& out) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == Name(level)) {
      out = level;
      return true;
    }
  }
  return false;
}

void Log(LogLevel level, std::string_view event, std::string_view fields) {
  if (level < GetLogLevel()) {
    return;
  }
  const auto now = std::chrono::system_clock::now();
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(millis / 1000);
  std::tm utc{};
  (void)gmtime_r(&seconds, &utc);
  std::array<char, 96> stamp{};  // wide enough for any ints, so that no compiler need guess
  (void)std::snprintf(stamp.data(), stamp.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ",
                      utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                      utc.tm_sec, static_cast<int>(millis % 1000));
  std::string line(stamp.data());
  line.append(Name(level)).append(" ").append(event);
  if (!fields.empty()) {
    line.push_back(' ');
    AppendEscaped(line, fields, false);
  }
  line.push_back('\n');
  // A log that cannot be written must not stop the daemon.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  AppendEscaped(out, text, true);
  out.push_back('"');
  return out;
}

}  // namespace nearcached
