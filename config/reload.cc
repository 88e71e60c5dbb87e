#include "config/reload.h"

#include <cstddef>
#include <variant>

#include "config/assign.h"
#include "config/broadcast.h"
#include "config/problem.h"
#include "config/schema.h"
#include "config/validate.h"
#include "config/value.h"

namespace nearcached::config {
namespace {

bool IsElementOf(const Row& row, const Row& list) {
  return row.list() == list.path;
}

// Whether the lists of elements at `list` differ anywhere.
bool ElementsDiffer(const Row& list, const Config& a, const Config& b) {
  const auto& access = std::get<ElementsAccess>(list.field);
  const std::size_t size = access.size(a);
  if (size != access.size(b)) {
    return true;
  }
  for (const Row& row : Rows()) {
    for (std::size_t i = 0; IsElementOf(row, list) && i < size; ++i) {
      if (HasValue(row, i, a) != HasValue(row, i, b) ||
          FormatValue(row, i, a) != FormatValue(row, i, b)) {
        return true;
      }
    }
  }
  return false;
}

bool Differs(const Row& row, const Config& a, const Config& b) {
  return std::holds_alternative<ElementsAccess>(row.field)
             ? ElementsDiffer(row, a, b)
             : FormatValue(row, 0, a) != FormatValue(row, 0, b);
}

void Apply(const Row& row, const Config& from, Config& to) {
  const auto* elements = std::get_if<ElementsAccess>(&row.field);
  if (elements == nullptr) {
    CopyValue(row, 0, from, to);
    return;
  }
  elements->resize(to, 0);
  elements->resize(to, elements->size(from));
  for (const Row& element : Rows()) {
    for (std::size_t i = 0; IsElementOf(element, row) && i < elements->size(from); ++i) {
      CopyValue(element, i, from, to);
    }
  }
}

// Links that stand were told once what to broadcast. Rules that would ask for more wait for a
// restart, as a whole.
void KeepBroadcast(const Config& current, ReloadDiff& diff) {
  if (current.tracking.method != TrackingConfig::Method::kBcast ||
      BroadcastPrefixes(current.rules) == BroadcastPrefixes(diff.effective.rules)) {
    return;
  }
  diff.effective.rules = current.rules;
  std::erase(diff.applied_paths, "rules");
  diff.refused.emplace_back(
      "rules: needs a restart, with tracking.method: bcast their prefixes are what the server was "
      "asked to announce");
}

}  // namespace

ReloadDiff CompareForReload(const Config& current, const Config& next) {
  ReloadDiff diff;
  diff.effective = current;
  for (const Row& row : Rows()) {
    if (!row.list().empty() || !Differs(row, current, next)) {
      continue;  // element rows are compared with their list
    }
    std::string path(row.path);
    if (row.reloadable()) {
      Apply(row, next, diff.effective);
      diff.applied_paths.push_back(std::move(path));
    } else {
      diff.refused.push_back(path + ": needs a restart, " + std::string(row.restart_reason));
    }
  }
  KeepBroadcast(current, diff);
  ProblemList problems;
  Validate(diff.effective, GivenPaths(), problems);
  if (!problems.empty()) {
    for (const Problem& problem : problems.Take()) {
      diff.refused.push_back(problem.path + ": " + problem.message +
                             " (with the values that keep until a restart)");
    }
    diff.applied_paths.clear();
    diff.effective = current;
  }
  // Lines are not values, but EXPLAIN shows them.
  if (diff.effective.rules == next.rules) {
    diff.effective.rules = next.rules;
  }
  return diff;
}

}  // namespace nearcached::config
