#include "config/loader.h"

#include <chrono>
#include <cstdio>
#include <string>

#include "tests/unit/config/config_cases.h"
#include "tests/unit/config/scratch_directory.h"

namespace nearcached::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("whoever still uses the old name of a key is told the new one") {
  CheckOneProblem(Load("upstream:\n  exclusive_links_max: 4\n"),
                  "test.yaml:2: upstream.exclusive_links_max: ",
                  {"not a known key any more", "upstream.pool.max_active"});
  Environment environment;
  environment.variables["NEARCACHED_UPSTREAM_IDLE_TIMEOUT"] = "5m";
  CheckOneProblem(Load("", environment), "NEARCACHED_UPSTREAM_IDLE_TIMEOUT: ",
                  {"any more", "NEARCACHED_UPSTREAM_POOL_IDLE_TIMEOUT"});
  for (const Row& row : Rows()) {
    const std::string_view former = FormerName(row.path);
    if (!former.empty()) {
      CHECK(FindRow(former) == nullptr);
      CHECK(RenamedTo(former) == row.path);
    }
  }
  CHECK(RenamedTo("l1.ttl").empty());
}

TEST_CASE("an empty file, a file of comments and empty sections are the defaults") {
  for (const char* text : {"", "\n\n", "# nothing\n", "---\n", "{}", "l1:\nrules:\nlog:\n",
                           "l1: {}\n", "\xef\xbb\xbf"}) {
    CAPTURE(text);
    const LoadResult result = Load(text);
    CHECK(AllProblems(result) == "");
    CHECK(result.config == Config());
  }
}

TEST_CASE("what the file leaves out keeps its default") {
  const LoadResult result = Load("l1:\n  ttl: 30s\n");
  CHECK(result.ok());
  CHECK(result.config.l1.ttl == seconds(30));
  Config expected;
  expected.l1.ttl = seconds(30);
  CHECK(result.config == expected);
}

TEST_CASE("lists are read element by element, and rules know their line") {
  const LoadResult result = Load(
      "listeners:\n"
      "  - unix:/run/n.sock\n"
      "  - address: \"[::1]:6380\"\n"
      "    password: pw\n"
      "rules:\n"
      "  - prefix: \"user:\"\n"
      "    ttl: 10m\n"
      "  - {prefix: \"tmp:\", cache: false}\n");
  CHECK(AllProblems(result) == "");
  REQUIRE(result.config.listeners.size() == 2);
  CHECK(result.config.listeners[0].address == "unix:/run/n.sock");
  CHECK(result.config.listeners[1].password == "pw");
  REQUIRE(result.config.rules.size() == 2);
  CHECK(result.config.rules[0].ttl == std::chrono::minutes(10));
  CHECK(result.config.rules[0].line == 6);
  CHECK_FALSE(result.config.rules[0].negative_ttl.has_value());
  CHECK_FALSE(result.config.rules[1].cache);
  CHECK(result.config.rules[1].line == 8);
}

TEST_CASE("an unknown key is refused at every depth with what was probably meant") {
  CheckOneProblem(Load("\nl2:\n  ttl: 5s\n"), "test.yaml:2: l2: ", {"did you mean l1?"});
  CheckOneProblem(Load("l1:\n  tll: 5s\n"), "test.yaml:2: l1.tll: ", {"did you mean l1.ttl?"});
  CheckOneProblem(Load("rules:\n  - prefix: a\n    tl: 5s\n"),
                  "test.yaml:3: rules[0].tl: ", {"did you mean rules[0].ttl?"});
  CheckOneProblem(Load("ttl: 5s\n"), "test.yaml:1: ttl: ", {"did you mean l1.ttl?"});
  CheckOneProblem(Load("l1:\n  zzzzzz: 1\n"),
                  "test.yaml:2: l1.zzzzzz: ", {"known here are", "never_cache"});
  CheckOneProblem(Load("l1.ttl: 5s\n"), "test.yaml:1: l1.ttl: ", {"ttl indented below l1"});
  CheckOneProblem(Load("\"rules[0]\": 5s\n"), "test.yaml:1: rules…: ", {"is not a known key"});
}

TEST_CASE("a key given twice is refused with the line of the first") {
  CheckOneProblem(Load("l1:\n  ttl: 5s\n  bytes: 8mb\n  ttl: 6s\n"),
                  "test.yaml:4: l1.ttl: ", {"given twice", "line 2"});
  CheckOneProblem(Load("l1:\n  ttl: 5s\nlog:\nl1:\n  bytes: 8mb\n"),
                  "test.yaml:4: l1: ", {"given twice", "line 1"});
  CheckOneProblem(Load("rules:\n- prefix: a\n  ttl: 1s\n  ttl: 1s\n"),
                  "test.yaml:4: rules[0].ttl: ", {"given twice", "line 3"});
}

TEST_CASE("a value of the wrong type is refused with the type that would be right") {
  CheckOneProblem(Load("l1:\n  ttl: 5\n"), "test.yaml:2: l1.ttl: ", {"no unit", "5s", "5ms"});
  CheckOneProblem(Load("l1:\n  enabled: yes\n"), "test.yaml:2: l1.enabled: ", {"true nor false"});
  CheckOneProblem(Load("l1:\n  bytes: lots\n"), "test.yaml:2: l1.bytes: ", {"size", "64mb"});
  CheckOneProblem(Load("l1:\n  ttl_jitter: 10%\n"), "test.yaml:2: l1.ttl_jitter: ", {"fraction"});
  CheckOneProblem(Load("l1:\n  ttl_jitter: nan\n"), "test.yaml:2: l1.ttl_jitter: ", {"fraction"});
  CheckOneProblem(Load("upstream:\n  links: two\n"),
                  "test.yaml:2: upstream.links: ", {"whole number", "between 1 and 64"});
  CheckOneProblem(Load("upstream:\n  links: -1\n"),
                  "test.yaml:2: upstream.links: ", {"between 1 and 64"});
  CheckOneProblem(Load("upstream:\n  links: 99999999999999999999999\n"),
                  "test.yaml:2: upstream.links: ", {"between 1 and 64"});
  CheckOneProblem(Load("tracking:\n  mode: on\n"),
                  "test.yaml:2: tracking.mode: ", {"auto, required, off"});
  CheckOneProblem(Load("log:\n  level: loud\n"),
                  "test.yaml:2: log.level: ", {"debug, info, warn, error"});
  CheckOneProblem(Load("listeners: [{address: \"127.0.0.1:1\", unix_mode: 77}]\n"),
                  "test.yaml:1: listeners[0].unix_mode: ", {"octal", "0660"});
  CheckOneProblem(Load("upstream:\n  url: localhost:6379\n"),
                  "test.yaml:2: upstream.url: ", {"redis://"});
  CheckOneProblem(Load("metrics:\n  address: 9380\n"),
                  "test.yaml:2: metrics.address: ", {"host:port"});
  CheckOneProblem(Load("workers: 4\n"), "test.yaml:1: workers: ", {"only 1 is supported"});
  CheckOneProblem(Load("l1:\n  ttl:\n"), "test.yaml:2: l1.ttl: ", {"has no value", "default"});
  CheckOneProblem(Load("upstream:\n  password: ~\n"),
                  "test.yaml:2: upstream.password: ", {"has no value", "\"\""});
}

TEST_CASE("a value of the wrong shape is refused with the shape that would be right") {
  CheckOneProblem(Load("l1: 5s\n"), "test.yaml:1: l1: ", {"a single value", "map of keys", "ttl"});
  CheckOneProblem(Load("l1: [ttl]\n"), "test.yaml:1: l1: ", {"a list", "map of keys"});
  CheckOneProblem(Load("l1:\n  ttl: [5s]\n"), "test.yaml:2: l1.ttl: ", {"a list", "duration"});
  CheckOneProblem(Load("l1:\n  ttl: {a: b}\n"), "test.yaml:2: l1.ttl: ", {"map", "duration"});
  CheckOneProblem(Load("l1:\n  never_cache: a*\n"),
                  "test.yaml:2: l1.never_cache: ", {"must be a list"});
  CheckOneProblem(Load("l1:\n  never_cache: [[a]]\n"),
                  "test.yaml:2: l1.never_cache: ", {"holds a list"});
  CheckOneProblem(Load("rules: {prefix: a}\n"),
                  "test.yaml:1: rules: ", {"must be a list", "\"- \""});
  CheckOneProblem(Load("rules: [a]\n"), "test.yaml:1: rules[0]: ", {"map of keys", "prefix"});
  CheckOneProblem(Load("rules: [{cache: false}]\n"), "test.yaml:1: rules[0]: ", {"no prefix"});
  CheckOneProblem(Load("listeners: [{unix_mode: 0600}]\n"), "test.yaml:1: listeners[0]",
                  {"no address"});
  CheckOneProblem(Load("listeners: [[a]]\n"), "test.yaml:1: listeners[0]: ", {"map of keys"});
  CheckOneProblem(Load("- l1\n"), "test.yaml:1: ", {"the file is a list", "map of keys"});
  CheckOneProblem(Load("hello"), "test.yaml:1: ", {"the file is a single value"});
  CheckOneProblem(Load("? [a]\n: b\n"), "test.yaml:1: ", {"plain name"});
}

TEST_CASE("a pattern has its star at an end") {
  CheckOneProblem(Load("l1:\n  never_cache:\n    - \"a*\"\n    - \"lock:\"\n"),
                  "test.yaml:4: l1.never_cache: ", {"no '*'", "\"lock:*\""});
  CheckOneProblem(Load("l1:\n  never_cache: [\"a*b\"]\n"),
                  "test.yaml:2: l1.never_cache: ", {"first or the last"});
  CheckOneProblem(Load("l1:\n  never_cache: [\"*\"]\n"),
                  "test.yaml:2: l1.never_cache: ", {"every key", "l1.enabled: false"});
  CheckOneProblem(Load("l1:\n  never_cache: [\"**\"]\n"),
                  "test.yaml:2: l1.never_cache: ", {"every key"});
  CheckOneProblem(Load("l1:\n  never_cache: [\"\"]\n"),
                  "test.yaml:2: l1.never_cache: ", {"every key"});
  CHECK(Load("l1:\n  never_cache: []\n").config.l1.never_cache.empty());
  CHECK(Load("l1:\n  never_cache:\n").config.l1.never_cache == L1Config::DefaultNeverCache());
}

TEST_CASE("a prefix that is a pattern is refused with the prefix that would be right") {
  CheckOneProblem(Load("rules: [{prefix: \"user:*\"}]\n"),
                  "test.yaml:1: rules[0].prefix: ", {"write \"user:\""});
  CheckOneProblem(Load("rules: [{prefix: \"*\"}]\n"),
                  "test.yaml:1: rules[0].prefix: ", {"every key"});
  CheckOneProblem(Load("rules: [{prefix: \"a[0-9]b\"}]\n"),
                  "test.yaml:1: rules[0].prefix: ", {"write \"a\""});
  CheckOneProblem(Load("rules: [{prefix: \"a?\"}]\n"),
                  "test.yaml:1: rules[0].prefix: ", {"write \"a\""});
  CHECK(Load("rules: [{prefix: \"a[\"}, {prefix: \"\"}]\n").ok());
}

TEST_CASE("YAML beyond one flat document is refused") {
  CheckOneProblem(Load("l1: &a\n  ttl: 5s\n"), "test.yaml:1: ", {"anchors", "not supported"});
  CheckOneProblem(Load("l1:\n  ttl: *a\n"), "test.yaml:2: ", {});
  CheckOneProblem(Load("l1:\n  ttl: !!str 5s\n"), "test.yaml:2: ", {"tags", "not supported"});
  CheckOneProblem(Load("l1:\n---\nlog:\n"), "test.yaml:2: ", {"second YAML document"});
  CheckOneProblem(Load("l1: [\n"), "test.yaml:2: ", {"not valid YAML"});
  CheckOneProblem(Load("l1:\n\tttl: 5s\n"), "test.yaml:2: ", {"tab", "spaces"});
}

TEST_CASE("a quote that is never closed is refused where it opens") {
  CheckOneProblem(Load("l1:\n  ttl: \"5s\n  bytes: 8mb\n"),
                  "test.yaml:2: ", {"never closed", "double"});
  CheckOneProblem(Load("upstream:\n  password: 'a''b\n"),
                  "test.yaml:2: ", {"never closed", "single"});
  CHECK(Load("upstream: {password: \"a\\\"b\"}  # it's fine\n").ok());
}

TEST_CASE("a stray comma or bracket does not keep the parser busy for ever") {
  for (const char* text : {", a: b\n", "]\n", "}", "\n, \n", "---\n, a\n"}) {
    const std::string shown = text;
    CAPTURE(shown);
    CHECK_FALSE(Load(text).ok());
  }
  CheckOneProblem(Load("\n, a: b\n"), "test.yaml:2: ", {"not valid YAML"});
}

TEST_CASE("a few lines that would expand to gigabytes are refused at the first anchor") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    const std::string number = std::to_string(i);
    const std::string before = "*a" + std::to_string(i - 1);
    text.append("a").append(number).append(": &a").append(number).append(" [");
    for (int copy = 0; copy < 10; ++copy) {
      text.append(before).append(", ");
    }
    text.append("]\n");
  }
  CheckOneProblem(Load(text), "test.yaml:1: ", {"anchors"});
}

TEST_CASE("deep nesting is refused before it can overflow the stack") {
  const int levels = 500'000;
  CheckOneProblem(Load(std::string(levels, '[')), "test.yaml:1: ", {"brackets"});
  CheckOneProblem(Load(std::string(levels, '{')), "test.yaml:1: ", {"brackets"});
  CheckOneProblem(Load("a: " + std::string(20, '[') + std::string(20, ']')),
                  "test.yaml:1: ", {"nested deeper"});
  std::string dashes;
  std::string nested;
  for (int i = 0; i < levels; ++i) {
    dashes += "- ";
  }
  for (std::size_t i = 0; i < 1000; ++i) {
    nested += std::string(i, ' ') + "a:\n";
  }
  CheckOneProblem(Load(dashes), "test.yaml:1: ", {"nested deeper"});
  CheckOneProblem(Load(nested), "test.yaml:17: ", {"nested deeper"});
  // A quote inside a word opens nothing, so the brackets behind it count.
  CheckOneProblem(Load("a: don't " + std::string(1000, '[')), "test.yaml:1: ", {"brackets"});
  // Brackets in quotes and comments do not.
  const std::string brackets(200, '[');
  CHECK(Load("# " + brackets + "\nupstream: {password: \"\\\"" + brackets + "\"}\n").ok());
  CHECK(Load("upstream: {password: 'it''s " + brackets + "'}\n").ok());
}

TEST_CASE("binary and huge files are refused") {
  CheckOneProblem(Load(std::string("\x7f"
                                   "ELF\x02\x01\x01\0\0",
                                   9)),
                  "test.yaml:1: ", {"control character", "right file"});
  CheckOneProblem(Load(std::string("l1:\n  ttl: \0 5s", 15)),
                  "test.yaml:2: ", {"control character"});
  CheckOneProblem(Load(std::string(2 * kMib, '#')), "test.yaml: ", {"larger than 1mb"});
  CHECK(Load(std::string(kMib, '#')).ok());
}

TEST_CASE("a file of nothing but mistakes gives a bounded list that says there are more") {
  std::string text;
  for (int i = 0; i < 50'000; ++i) {
    text += "key" + std::to_string(i) + ": v\n";
  }
  const LoadResult result = Load(text);
  CHECK(result.problems.size() == ProblemList::kMax + 1);
  CHECK(result.problems.back().message.find("more problems") != std::string::npos);
}

TEST_CASE("all problems are reported together, each with its line") {
  const LoadResult result = Load("l1:\n  ttl: 5\n  bytes: x\nlog:\n  levle: info\n");
  REQUIRE(result.problems.size() == 3);
  CHECK(result.problems[0].line == 2);
  CHECK(result.problems[0].column == 8);
  CHECK(result.problems[1].line == 3);
  CHECK(result.problems[2].line == 5);
}

TEST_CASE("a file that cannot be read is one clear problem") {
  const ScratchDirectory directory;
  const std::string missing = directory.path() + "/none.yaml";
  CheckOneProblem(LoadFile(missing, {}), missing + ": ", {"does not exist"});
  CheckOneProblem(LoadFile(directory.path(), {}), directory.path() + ": ", {"is a directory"});
  CheckOneProblem(LoadFile("/dev/zero", {}), "/dev/zero: ", {"neither a file nor a pipe"});
  const std::string below = directory.Write("file", "x") + "/deeper";
  CheckOneProblem(LoadFile(below, {}), below + ": ", {});
  const std::string huge = directory.Write("huge.yaml", std::string(2 * kMib, ' '));
  CheckOneProblem(LoadFile(huge, {}), huge + ": ", {"larger than 1mb"});
}

TEST_CASE("a file is read under its own name") {
  const ScratchDirectory directory;
  const std::string file = directory.Write("n.yaml", "l1:\n  ttl: 9s\n");
  CHECK(LoadFile(file, {}).config.l1.ttl == seconds(9));
  const std::string bad = directory.Write("bad.yaml", "l1:\n  ttl: 9\n");
  CheckOneProblem(LoadFile(bad, {}), bad + ":2: l1.ttl: ", {"no unit"});
}

TEST_CASE("the command line counts more than the environment, and that more than the file") {
  Environment environment;
  environment.variables["NEARCACHED_L1_TTL"] = "2s";
  environment.variables["NEARCACHED_L1_BYTES"] = "2mb";
  LoadOptions options;
  options.overrides = {{"l1.bytes", "3mb", "--l1-bytes"}};
  const LoadResult result =
      LoadText("l1:\n  ttl: 1s\n  bytes: 1mb\n  ttl_jitter: 0\n", "f", environment, options);
  CHECK(AllProblems(result) == "");
  CHECK(result.config.l1.ttl_jitter == 0.0);
  CHECK(result.config.l1.ttl == seconds(2));
  CHECK(result.config.l1.bytes == 3 * kMib);
  CHECK(LoadDefaults(environment).config.l1.ttl == seconds(2));
}

TEST_CASE("a bad value on the command line is reported under the option's name") {
  LoadOptions options;
  options.overrides = {{"l1.bytes", "64m", "--l1-bytes"}};
  CheckOneProblem(LoadDefaults({}, options), "--l1-bytes: l1.bytes: ", {"64mb"});
  options.overrides = {{"listeners", "6380", "--listen"}};
  CheckOneProblem(LoadDefaults({}, options), "--listen: listeners[0].address: ", {"host:port"});
  options.overrides = {{"nothing.here", "1", "--x"}};
  CheckOneProblem(LoadDefaults({}, options), "--x: nothing.here: ", {"not a known key"});
}

TEST_CASE("several --listen make one list that replaces the file's") {
  LoadOptions options;
  options.overrides = {{"listeners", "127.0.0.1:7001", "--listen"},
                       {"listeners", "unix:/tmp/n.sock", "--listen"}};
  const LoadResult result = LoadText("listeners: [\"127.0.0.1:1\"]\n", "f", {}, options);
  CHECK(AllProblems(result) == "");
  REQUIRE(result.config.listeners.size() == 2);
  CHECK(result.config.listeners[0].address == "127.0.0.1:7001");
  CHECK(result.config.listeners[1].address == "unix:/tmp/n.sock");
}

TEST_CASE("a secret in the wrong place is not repeated in a problem") {
  for (const char* text :
       {"listeners: [{address: \"127.0.0.1:1\", password:hidden}]\n",
        "listeners: [password:hidden]\n", "upstream:\n  password: [hidden]\n",
        "upstream:\n  password:hidden\n", "upstream:\n  password=hidden: 1\n",
        "upstream:\n  url: rediss://u:hidden@h:x\n",
        "upstream:\n  url: \"redis://u:hid/hidden@h\"\n", "upstream: hidden\n",
        "listeners: [{address: \"0.0.0.0:1\", username: u, password: \"hidden\", x: 1}]\n",
        "upstream:\n  password: \"hidden\n", "upstream:\n  password: \"hidden\\q\"\n"}) {
    const std::string shown = text;
    CAPTURE(shown);
    const LoadResult result = Load(text);
    CHECK_FALSE(result.ok());
    CHECK(AllProblems(result).find("hidden") == std::string::npos);
  }
}

}  // namespace
}  // namespace nearcached::config
