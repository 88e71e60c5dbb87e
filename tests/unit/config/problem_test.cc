#include "config/problem.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

TEST_CASE("a problem reads file, line, key, message, and leaves out what is not known") {
  CHECK(Problem{"n.yaml", 3, 7, "l1.ttl", "is wrong"}.ToString() == "n.yaml:3: l1.ttl: is wrong");
  CHECK(Problem{"n.yaml", 3, 7, "", "is wrong"}.ToString() == "n.yaml:3: is wrong");
  CHECK(Problem{"--listen", 0, 0, "listeners", "is wrong"}.ToString() ==
        "--listen: listeners: is wrong");
  CHECK(Problem{"n.yaml", 0, 0, "", "does not exist"}.ToString() == "n.yaml: does not exist");
}

TEST_CASE("a list keeps places and order") {
  ProblemList problems;
  CHECK(problems.empty());
  problems.Add({"a.yaml", 2, 5}, "l1.ttl", "first");
  problems.Add({"--listen", 0, 0}, {}, "second");
  CHECK_FALSE(problems.empty());
  CHECK_FALSE(problems.full());
  const std::vector<Problem> all = problems.Take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].file == "a.yaml");
  CHECK(all[0].line == 2);
  CHECK(all[0].column == 5);
  CHECK(all[1].ToString() == "--listen: second");
}

TEST_CASE("a list is bounded: the last one says that there are more, and names no key") {
  ProblemList problems;
  for (std::size_t i = 0; i < ProblemList::kMax; ++i) {
    CHECK_FALSE(problems.full());
    problems.Add({"a.yaml", 1, 1}, "l1.ttl", "wrong");
  }
  CHECK_FALSE(problems.full());  // exactly as many as are shown are all of them
  problems.Add({"a.yaml", 60, 1}, "log.level", "wrong");
  CHECK(problems.full());
  for (int i = 0; i < 1000; ++i) {
    problems.Add({"a.yaml", 99, 1}, "log.level", "wrong");
  }
  const std::vector<Problem> all = problems.Take();
  REQUIRE(all.size() == ProblemList::kMax + 1);
  CHECK(all.back().path.empty());
  CHECK(all.back().message.find(std::to_string(ProblemList::kMax)) != std::string::npos);
  CHECK(all[ProblemList::kMax - 1].message == "wrong");
}

TEST_CASE(
    "a key holds the problems of what is inside it, and of nothing that is merely named alike") {
  ProblemList problems;
  CHECK_FALSE(problems.Holds("l1"));
  problems.Add({}, "rules[1].ttl", "wrong");
  problems.Add({}, "l1.ttl_jitter", "wrong");
  CHECK(problems.Holds("rules"));
  CHECK(problems.Holds("rules[1]"));
  CHECK(problems.Holds("rules[1].ttl"));
  CHECK_FALSE(problems.Holds("rules[11]"));
  CHECK_FALSE(problems.Holds("rules[1].ttl_jitter"));
  CHECK_FALSE(problems.Holds("rule"));
  CHECK(problems.Holds("l1"));
  CHECK(problems.Holds("l1.ttl_jitter"));
  CHECK_FALSE(problems.Holds("l1.ttl"));
}

}  // namespace
}  // namespace nearcached::config
