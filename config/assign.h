// Assigner: puts what documents say into a Config, row by row, and keeps where each value came
// from, so that later checks can point at it.
//
// Thread: one caller. Never throws. Never reads a file or the environment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/document.h"
#include "config/problem.h"
#include "config/schema.h"

namespace nearcached::config {

// Who says so; what comes later counts more.
enum class Source : std::uint8_t { kDefault, kFile, kEnvironment, kCommandLine };

struct Given {
  Place place;
  Source source = Source::kDefault;
};

// What was given, by path with indexes ("rules[2].ttl"). A path that is not in it has its default.
using GivenPaths = std::map<std::string, Given, std::less<>>;

class Assigner {
 public:
  // All three outlive this object.
  Assigner(Config& config, GivenPaths& given, ProblemList& problems)
      : config_(config), given_(given), problems_(problems) {}

  // From here on, nodes come from `file` and count as `source`.
  void Begin(std::string file, Source source);

  // A whole document: a map of sections and keys, or nothing.
  void AssignDocument(const Node& root);

  // The value of one key; `path` has indexes. REQUIRES: `row` is the row of `path`.
  void AssignRow(const Row& row, const std::string& path, const Node& node);

 private:
  void AssignMap(const std::string& path, const Node& node);
  void AssignEntry(const std::string& path, const Entry& entry);
  void AssignItems(const Row& row, const std::string& path, const Node& node);
  void SetList(const Row& row, const std::string& path, std::vector<std::string> items);
  void AssignElements(const Row& row, const std::string& path, const Node& node);
  void AssignElement(const Row& row, const std::string& path, const Node& node);
  void CheckRequired(const Row& list, const std::string& element, const Node& node);
  void Unknown(const std::string& path, const Entry& entry);
  void Remember(const std::string& path, const Node& node);
  void Forget(std::string_view list);
  Place At(const Node& node) const { return {file_, node.line, node.column}; }

  Config& config_;
  GivenPaths& given_;
  ProblemList& problems_;
  std::string file_;
  Source source_ = Source::kFile;
};

}  // namespace nearcached::config
