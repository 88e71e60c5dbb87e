// Parsed<T>: what a parser of this room gives back: a value, or the sentence a person needs.
//
// Thread: plain values. Never throws.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace nearcached::config {

template <typename T>
struct [[nodiscard]] Parsed {
  std::optional<T> value;
  std::string error;  // what is wrong and what would be right; empty when there is a value

  bool ok() const { return value.has_value(); }

  static Parsed Of(T v) { return {std::move(v), {}}; }
  static Parsed Failure(std::string sentence) { return {std::nullopt, std::move(sentence)}; }
};

}  // namespace nearcached::config
