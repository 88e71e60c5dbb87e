#include "config/overrides.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include "tests/unit/config/config_cases.h"

namespace nearcached::config {
namespace {

LoadResult LoadWith(const std::map<std::string, std::string>& variables,
                    std::string_view file = "") {
  return Load(file, Environment{variables});
}

// A file with a secret, gone with the object.
class SecretFile {
 public:
  explicit SecretFile(const std::string& content)
      : path_((std::filesystem::temp_directory_path() /
               ("nearcached_secret_test." + std::to_string(getpid())))
                  .string()) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~SecretFile() { std::filesystem::remove(path_); }
  SecretFile(const SecretFile&) = delete;
  SecretFile& operator=(const SecretFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("variables of other programs are left alone") {
  const char* const environ[] = {"PATH=/bin", "NEARCACHED_L1_TTL=7s", "NEARCACHEDX=1",
                                 "NEARCACHED_WITHOUT_VALUE", nullptr};
  const Environment environment = Environment::FromProcess(environ);
  CHECK(environment.variables.size() == 1);
  CHECK(environment.variables.at("NEARCACHED_L1_TTL") == "7s");
  CHECK(Environment::FromProcess(nullptr).variables.empty());
  CHECK(LoadWith({{"PATH", "/bin"}}).ok());
}

TEST_CASE("an unknown variable is refused with what was probably meant") {
  CheckOneProblem(LoadWith({{"NEARCACHED_L1_TLL", "5s"}}),
                  "NEARCACHED_L1_TLL: ", {"did you mean NEARCACHED_L1_TTL?"});
  CheckOneProblem(LoadWith({{"NEARCACHED_COMPLETELY_ELSE_WHERE", "1"}}),
                  "NEARCACHED_COMPLETELY_ELSE_WHERE: ", {"unset it"});
  // Only secrets are read from files.
  CheckOneProblem(LoadWith({{"NEARCACHED_L1_TTL_FILE", "/x"}}), "NEARCACHED_L1_TTL_FILE: ", {});
}

TEST_CASE("a bad value is reported under the variable's name") {
  CheckOneProblem(LoadWith({{"NEARCACHED_L1_TTL", "5"}}),
                  "NEARCACHED_L1_TTL: l1.ttl: ", {"no unit", "5s"});
  CheckOneProblem(LoadWith({{"NEARCACHED_L1_TTL", ""}}),
                  "NEARCACHED_L1_TTL: l1.ttl: ", {"not a duration"});
  CheckOneProblem(LoadWith({{"NEARCACHED_RULES", "[{prefix: a, tll: 5s}]"}}),
                  "NEARCACHED_RULES: rules[0].tll: ", {"rules[0].ttl"});
  CheckOneProblem(LoadWith({{"NEARCACHED_RULES", "[{prefix: a"}}),
                  "NEARCACHED_RULES:1: ", {"not valid YAML"});
}

TEST_CASE("a list is written as YAML in one line, or as plain values with commas") {
  const LoadResult result = LoadWith({
      {"NEARCACHED_LISTENERS", "127.0.0.1:7001, unix:/tmp/n.sock"},
      {"NEARCACHED_RULES", "[{prefix: \"user:\", ttl: 30s}, {prefix: \"t:\", cache: false}]"},
      {"NEARCACHED_L1_NEVER_CACHE", "lock:*,*:lock"},
  });
  CHECK(AllProblems(result) == "");
  REQUIRE(result.config.listeners.size() == 2);
  CHECK(result.config.listeners[1].address == "unix:/tmp/n.sock");
  REQUIRE(result.config.rules.size() == 2);
  CHECK(result.config.rules[0].ttl == std::chrono::seconds(30));
  CHECK(result.config.rules[0].line == 0);
  CHECK(result.config.l1.never_cache == std::vector<std::string>{"lock:*", "*:lock"});
}

TEST_CASE("a list in the environment replaces the file's") {
  const std::string file = "rules:\n- {prefix: \"a:\", ttl: 5s}\n- {prefix: \"b:\", ttl: 5s}\n";
  const LoadResult result = LoadWith({{"NEARCACHED_RULES", "[{prefix: \"c:\"}]"}}, file);
  CHECK(AllProblems(result) == "");
  REQUIRE(result.config.rules.size() == 1);
  CHECK(result.config.rules[0].prefix == "c:");
  CHECK_FALSE(result.config.rules[0].ttl.has_value());
  CHECK(LoadWith({{"NEARCACHED_RULES", "[]"}}, file).config.rules.empty());
}

TEST_CASE("a key of one element can be set where the element is there") {
  const std::string file = "listeners: [\"127.0.0.1:1\", \"0.0.0.0:2\"]\n";
  const LoadResult result = LoadWith({{"NEARCACHED_LISTENERS_1_PASSWORD", "pw"}}, file);
  CHECK(AllProblems(result) == "");
  CHECK(result.config.listeners[0].password.empty());
  CHECK(result.config.listeners[1].password == "pw");
  // Also of a list that comes from the environment itself.
  CHECK(LoadWith({{"NEARCACHED_LISTENERS", "0.0.0.0:2"}, {"NEARCACHED_LISTENERS_0_PASSWORD", "pw"}})
            .ok());
  CheckOneProblem(
      LoadWith({{"NEARCACHED_LISTENERS_2_PASSWORD", "pw"}}),
      "NEARCACHED_LISTENERS_2_PASSWORD: listeners[2].password: ", {"no such element", "has 1"});
}

TEST_CASE("an index is a plain number") {
  for (const char* index : {"00", "01", "x", "", "-1", "999999"}) {
    const std::string name = "NEARCACHED_LISTENERS_" + std::string(index) + "_PASSWORD";
    CAPTURE(name);
    CHECK_FALSE(LoadWith({{name, "pw"}}).ok());
  }
}

TEST_CASE("a secret is read from a file without the newline at its end") {
  for (const char* content : {"s3cret", "s3cret\n", "s3cret\r\n"}) {
    const SecretFile file(content);
    const LoadResult result = LoadWith({{"NEARCACHED_UPSTREAM_PASSWORD_FILE", file.path()}});
    CHECK(AllProblems(result) == "");
    CHECK(result.config.upstream.password == "s3cret");
  }
  const SecretFile file(" two\nlines \n\n");
  CHECK(LoadWith({{"NEARCACHED_LISTENERS_0_PASSWORD_FILE", file.path()}})
            .config.listeners[0]
            .password == " two\nlines \n");
}

TEST_CASE("a secret given both ways is refused") {
  const SecretFile file("hidden");
  const LoadResult result = LoadWith({{"NEARCACHED_UPSTREAM_PASSWORD_FILE", file.path()},
                                      {"NEARCACHED_UPSTREAM_PASSWORD", "hidden"}});
  CheckOneProblem(result, "NEARCACHED_UPSTREAM_PASSWORD_FILE: upstream.password: ",
                  {"given twice", "NEARCACHED_UPSTREAM_PASSWORD"});
  CHECK(AllProblems(result).find("hidden") == std::string::npos);
}

TEST_CASE("a secret's file that cannot be used is refused") {
  const std::string name = "NEARCACHED_UPSTREAM_PASSWORD_FILE";
  const std::string where = name + ": upstream.password: ";
  CheckOneProblem(LoadWith({{name, "/nonexistent/secret"}}), where, {"does not exist"});
  CheckOneProblem(LoadWith({{name, "/tmp"}}), where, {"is a directory"});
  const SecretFile empty("\n");
  CheckOneProblem(LoadWith({{name, empty.path()}}), where, {"is empty"});
  const SecretFile huge(std::string(100'000, 'x'));
  CheckOneProblem(LoadWith({{name, huge.path()}}), where, {"larger than 64kb"});
}

TEST_CASE("the variables Kubernetes makes for a service called nearcached are left alone") {
  const LoadResult result = LoadWith({
      {"NEARCACHED_SERVICE_HOST", "10.0.0.1"},
      {"NEARCACHED_SERVICE_PORT", "6380"},
      {"NEARCACHED_SERVICE_PORT_METRICS", "9380"},
      {"NEARCACHED_PORT", "tcp://10.0.0.1:6380"},
      {"NEARCACHED_PORT_6380_TCP", "tcp://10.0.0.1:6380"},
      {"NEARCACHED_PORT_6380_TCP_ADDR", "10.0.0.1"},
  });
  CHECK(AllProblems(result) == "");
  CHECK_FALSE(LoadWith({{"NEARCACHED_PORTS", "1"}}).ok());
  CHECK_FALSE(LoadWith({{"NEARCACHED_PORT_X_TCP", "1"}}).ok());
}

}  // namespace
}  // namespace nearcached::config
