// The log: events, one line each, to stderr: `2026-11-22T13:00:00.123Z warn upstream_lost link=3
// …`.
//
// Events, not progress. Session and link ids, never keys or values above debug, never a credential.
// Log lines are for people: tests never match them. Any thread; a line is written with one
// write(2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nearcached {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };

// Process-wide on purpose (the one stated exception to "no globals"): set once by main.
void SetLogLevel(LogLevel level);
[[nodiscard]] LogLevel GetLogLevel();
[[nodiscard]] bool ParseLogLevel(std::string_view text, LogLevel& out);

// Writes one line. `event` is a fixed snake_case word; `fields` is "key=value key=value", values
// with spaces quoted by Quoted(). Control characters are escaped, so no peer can forge a line.
void Log(LogLevel level, std::string_view event, std::string_view fields);

// "text" in double quotes with quotes, backslashes and control characters escaped.
[[nodiscard]] std::string Quoted(std::string_view text);

}  // namespace nearcached
