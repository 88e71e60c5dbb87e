#include "config/problem.h"

#include <utility>

namespace nearcached::config {

std::string Problem::ToString() const {
  std::string out = file;
  if (line > 0) {
    out += ":" + std::to_string(line);
  }
  out += ": ";
  if (!path.empty()) {
    out += path + ": ";
  }
  return out + message;
}

void ProblemList::Add(const Place& place, std::string path, std::string message) {
  if (full()) {
    return;
  }
  if (problems_.size() == kMax) {
    path.clear();
    message =
        "there are more problems than the " + std::to_string(kMax) + " shown: correct these first";
  }
  problems_.push_back({place.file, place.line, place.column, std::move(path), std::move(message)});
}

bool ProblemList::Holds(std::string_view path) const {
  for (const Problem& problem : problems_) {
    const std::string_view other = problem.path;
    if (!other.starts_with(path)) {
      continue;
    }
    if (other.size() == path.size() || other[path.size()] == '.' || other[path.size()] == '[') {
      return true;
    }
  }
  return false;
}

}  // namespace nearcached::config
