// Problem: one thing wrong with the configuration, where it is, and what would be right.
// ProblemList: how the steps of loading hand them up.
//
// Thread: plain values. Never throws. No message ever holds a secret.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearcached::config {

// Where a value was written.
struct Place {
  std::string file;  // a file, or what stands for one: "NEARCACHED_L1_TTL", "--listen"
  int line = 0;      // from 1; 0: not known, or the origin has no lines
  int column = 0;    // from 1; 0: as above
};

struct Problem {
  std::string file;
  int line = 0;
  int column = 0;
  std::string path;     // "l1.ttl", "rules[2].prefix"; empty: the file as a whole
  std::string message;  // what is wrong and what would be right, without a final full stop

  // "file:line: path: message"; what is not known is left out.
  std::string ToString() const;
};

// Bounded: a file of a million mistakes gives kMax problems and a last one that says so.
class ProblemList {
 public:
  static constexpr std::size_t kMax = 50;

  void Add(const Place& place, std::string path, std::string message);

  bool empty() const { return problems_.empty(); }
  // Nothing more is recorded; a walk may stop.
  bool full() const { return problems_.size() > kMax; }
  // Whether `path`, or something inside it, has a problem already.
  bool Holds(std::string_view path) const;
  std::vector<Problem> Take() { return std::move(problems_); }

 private:
  std::vector<Problem> problems_;
};

}  // namespace nearcached::config
