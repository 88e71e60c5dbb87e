// Values of rows as text, both ways: the one place that knows how a type is written.
//
// Everywhere below, `index` is the place in the list for rows with "[]" and unused for others.
//
// Thread: pure functions over the Config they are given. Never throws.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/schema.h"

namespace nearcached::config {

// Reads `text` into the row's value after checking type and range. Returns the sentence that says
// what is wrong and what would be right, or nothing. A secret is never part of it.
// REQUIRES: the row is neither a list of patterns or hosts nor of elements.
[[nodiscard]] std::string SetValue(const Row& row, std::size_t index, std::string_view text,
                                   Config& config);

// What is wrong with one item of a list of patterns or hosts, and what would be right; or nothing.
[[nodiscard]] std::string CheckItem(const Row& row, std::string_view item);

// Whether there is a value: false for what a rule leaves out, and for lists of elements.
bool HasValue(const Row& row, std::size_t index, const Config& config);

// The value as SetValue() reads it, secrets included; a list is YAML flow text. Empty without a
// value.
std::string FormatValue(const Row& row, std::size_t index, const Config& config);

// The value as it may be shown to anybody: a secret is "******" where there is one.
std::string ShownValue(const Row& row, std::size_t index, const Config& config);

void CopyValue(const Row& row, std::size_t index, const Config& from, Config& to);

// "duration", "size", "true or false" … for messages and REFERENCE.md.
std::string_view TypeName(Type type);

// "between 1ms and 1d", "one of auto, required, off"; empty where any value of the type will do.
std::string RangeText(const Row& row);

}  // namespace nearcached::config
