// The assigner by itself, fed with nodes that no YAML parser made: what reaches it from the
// environment and from options has the same shape. (Whole files: loader_test.cc.)
#include "config/assign.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

using std::chrono::seconds;

Node Scalar(std::string text, int line = 1) {
  Node node;
  node.kind = Node::Kind::kScalar;
  node.text = std::move(text);
  node.line = line;
  node.column = 3;
  return node;
}

Node Map(std::vector<std::pair<std::string, Node>> entries, int line = 1) {
  Node node;
  node.kind = Node::Kind::kMap;
  node.line = line;
  node.column = 1;
  for (auto& [key, value] : entries) {
    const int at = value.line;
    node.entries.push_back({key, at, 1, std::move(value)});
  }
  return node;
}

Node List(std::vector<Node> items, int line = 1) {
  Node node;
  node.kind = Node::Kind::kList;
  node.line = line;
  node.column = 1;
  node.items = std::move(items);
  return node;
}

struct Desk {
  Desk() { assigner.Begin("t.yaml", Source::kFile); }
  // What is wrong with `root`, one problem a line.
  std::string Assign(const Node& root) {
    assigner.AssignDocument(root);
    std::string out;
    for (const Problem& problem : problems.Take()) {
      out += (out.empty() ? "" : "\n") + problem.ToString();
    }
    return out;
  }
  bool Says(const Node& root, std::string_view words) {
    const std::string all = Assign(root);
    CAPTURE(all);
    CAPTURE(words);
    const bool said = all.find(words) != std::string::npos;
    CHECK(said);
    CHECK(all.find('\n') == std::string::npos);
    return said;
  }
  Config config;
  GivenPaths given;
  ProblemList problems;
  Assigner assigner{config, given, problems};
};

TEST_CASE_FIXTURE(Desk, "what was given is remembered with its place and who said so") {
  CHECK(Assign(Map({{"l1", Map({{"ttl", Scalar("9s", 4)}}, 3)}})).empty());
  CHECK(config.l1.ttl == seconds(9));
  REQUIRE(given.contains("l1.ttl"));
  CHECK(given.find("l1.ttl")->second.place.file == "t.yaml");
  CHECK(given.find("l1.ttl")->second.place.line == 4);
  CHECK(given.find("l1.ttl")->second.place.column == 3);
  CHECK(given.find("l1.ttl")->second.source == Source::kFile);
  CHECK(given.size() == 1);

  assigner.Begin("NEARCACHED_L1_TTL", Source::kEnvironment);
  assigner.AssignRow(*FindRow("l1.ttl"), "l1.ttl", Scalar("7s", 0));
  CHECK(config.l1.ttl == seconds(7));
  CHECK(given.find("l1.ttl")->second.place.file == "NEARCACHED_L1_TTL");
  CHECK(given.find("l1.ttl")->second.source == Source::kEnvironment);
}

TEST_CASE_FIXTURE(Desk, "a value that is refused is not remembered, and changes nothing") {
  const Config before = config;
  CHECK(Says(Map({{"l1", Map({{"ttl", Scalar("soon", 2)}})}}), "t.yaml:2: l1.ttl: "));
  CHECK(config == before);
  CHECK(given.empty());
}

TEST_CASE_FIXTURE(Desk,
                  "nothing, comments and empty sections are the defaults; a scalar is no file") {
  CHECK(Assign(Node{}).empty());
  CHECK(Assign(Map({{"l1", Node{}}, {"rules", Node{}}})).empty());
  CHECK(config == Config());
  CHECK(Says(Scalar("hello"), "t.yaml:1: the file is a single value, must be a map of keys"));
  CHECK(Says(List({}), "the file is a list"));
}

TEST_CASE_FIXTURE(Desk, "a key without a value is refused, each kind with its way out") {
  CHECK(Says(Map({{"l1", Map({{"ttl", Node{}}})}}), "leave the key out for the default"));
  CHECK(Says(Map({{"upstream", Map({{"password", Node{}}})}}), "write \"\" for an empty text"));
}

TEST_CASE_FIXTURE(Desk, "the wrong shape is refused with the right one, at every depth") {
  CHECK(Says(Map({{"l1", Scalar("x")}}), "l1: is a single value, must be a map of keys"));
  CHECK(Says(Map({{"l1", List({})}}), "l1: is a list"));
  CHECK(Says(Map({{"l1", Map({{"ttl", List({})}})}}), "l1.ttl: is a list, must be a single value"));
  CHECK(Says(Map({{"l1", Map({{"ttl", Map({})}})}}), "l1.ttl: is a map of keys, must be a single"));
  CHECK(Says(Map({{"rules", Scalar("x")}}), "rules: is a single value, must be a list"));
  CHECK(Says(Map({{"rules", List({Scalar("x")})}}), "rules[0]: is a single value, must be a map"));
  CHECK(Says(Map({{"listeners", List({List({})})}}), "listeners[0]: is a list, must be a map"));
}

TEST_CASE_FIXTURE(Desk, "an unknown key gets the hint that fits it best") {
  CHECK(Says(Map({{"l1", Map({{"tll", Scalar("1s")}})}}), "did you mean l1.ttl?"));
  CHECK(Says(Map({{"l1.ttl", Scalar("1s")}}), "keys are nested, write ttl indented below l1"));
  CHECK(
      Says(Map({{"upstream", Map({{"ttl_jitter", Scalar("0")}})}}), "did you mean l1.ttl_jitter"));
  CHECK(Says(Map({{"zzzzzzzzzz", Scalar("0")}}), "known here are "));
  CHECK(Says(Map({{"", Scalar("0")}}), "is not a known key"));
  CHECK(Says(Map({{"rules[0]", Scalar("0")}}), "is not a known key"));
  CHECK(Says(Map({{"l1", Map({{"", Scalar("0")}})}}), "is not a known key"));
}

TEST_CASE_FIXTURE(Desk, "a key that may hold half a secret, or forge a line, is cut") {
  const std::string secret = Assign(Map({{"upstream", Map({{"password:hunter2", Scalar("")}})}}));
  CHECK(secret.find("hunter2") == std::string::npos);
  CHECK(secret.find("write a blank after the colon") != std::string::npos);
  const std::string forged = Assign(Map({{"a\nt.yaml:9: l1: fine", Scalar("")}}));
  CHECK(forged.find('\n') == std::string::npos);
  CHECK(forged.find("fine") == std::string::npos);
  CHECK(Assign(Map({{std::string(5000, 'k'), Scalar("")}})).size() < 600);
}

TEST_CASE_FIXTURE(Desk, "of a key given twice the first counts, and the second is a problem") {
  CHECK(Says(Map({{"l1", Map({{"ttl", Scalar("1s", 2)}, {"ttl", Scalar("2s", 3)}})}}),
             "t.yaml:3: l1.ttl: is given twice, the first time in line 2"));
  CHECK(config.l1.ttl == seconds(1));
}

TEST_CASE_FIXTURE(Desk,
                  "a listener may be its address alone; a rule knows its line, if it has one") {
  CHECK(Assign(Map({{"listeners", List({Scalar("127.0.0.1:7000"),
                                        Map({{"address", Scalar("127.0.0.1:7001")}})})},
                    {"rules", List({Map({{"prefix", Scalar("a:")}}, 8)})}}))
            .empty());
  REQUIRE(config.listeners.size() == 2);
  CHECK(config.listeners[0].address == "127.0.0.1:7000");
  CHECK(config.listeners[1].address == "127.0.0.1:7001");
  CHECK(config.rules.at(0).line == 8);
  CHECK(given.contains("listeners[0]"));
  CHECK(given.contains("listeners[0].address"));

  assigner.Begin("NEARCACHED_RULES", Source::kEnvironment);
  CHECK(Assign(Map({{"rules", List({Map({{"prefix", Scalar("b:")}}, 1)})}})).empty());
  CHECK(config.rules.at(0).line == 0);
}

TEST_CASE_FIXTURE(Desk, "an element without what it needs is refused at the element") {
  CHECK(Says(
      Map({{"rules", List({Map({{"prefix", Scalar("a:")}}), Map({{"ttl", Scalar("1s")}}, 6)})}}),
      "t.yaml:6: rules[1]: has no prefix: each element of rules needs one"));
}

TEST_CASE_FIXTURE(Desk,
                  "a list given again replaces the one before, with all that was known of it") {
  CHECK(Assign(Map({{"rules", List({Map({{"prefix", Scalar("a:")}, {"ttl", Scalar("1s")}}),
                                    Map({{"prefix", Scalar("b:")}})})}}))
            .empty());
  REQUIRE(given.contains("rules[1].prefix"));
  REQUIRE(given.contains("rules[0].ttl"));

  assigner.Begin("NEARCACHED_RULES", Source::kEnvironment);
  CHECK(Assign(Map({{"rules", List({Map({{"prefix", Scalar("c:")}})})}})).empty());
  REQUIRE(config.rules.size() == 1);
  CHECK(config.rules[0].prefix == "c:");
  CHECK_FALSE(config.rules[0].ttl.has_value());
  CHECK_FALSE(given.contains("rules[1].prefix"));
  CHECK_FALSE(given.contains("rules[0].ttl"));
  CHECK(given.find("rules[0].prefix")->second.source == Source::kEnvironment);

  // [] empties the list, nothing leaves it as it is.
  CHECK(Assign(Map({{"rules", Node{}}})).empty());
  CHECK(config.rules.size() == 1);
  CHECK(Assign(Map({{"rules", List({})}})).empty());
  CHECK(config.rules.empty());
}

TEST_CASE_FIXTURE(Desk, "a list of a hundred thousand elements is refused before any is made") {
  CHECK(Says(Map({{"rules", List(std::vector<Node>(100'000, Map({{"prefix", Scalar("a:")}})))}}),
             "rules: has 100000 elements, must have at most 10000"));
  CHECK(config.rules.empty());
}

TEST_CASE_FIXTURE(Desk, "a document of nothing but mistakes is given up once enough are shown") {
  std::vector<std::pair<std::string, Node>> entries;
  for (int i = 0; i < 10'000; ++i) {
    entries.emplace_back("wrong" + std::to_string(i), Scalar("x"));
  }
  assigner.AssignDocument(Map(std::move(entries)));
  CHECK(problems.full());
  CHECK(problems.Take().size() == ProblemList::kMax + 1);
}

}  // namespace
}  // namespace nearcached::config
