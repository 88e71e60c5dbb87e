#include "config/tls_config.h"

#include <string>

#include "tests/unit/config/config_cases.h"

namespace nearcached::config {
namespace {

TEST_CASE("the keys of TLS reach their members") {
  const LoadResult result = Load(
      "upstream:\n  tls: {enabled: true, ca_file: /ca, cert_file: /c, key_file: /k, verify: ca, "
      "key_password: p, server_name: n, min_version: 1.3, ciphers: A, ciphersuites: B}\n"
      "listeners:\n  - address: \"127.0.0.1:1\"\n"
      "    tls: {cert_file: /lc, key_file: /lk, client_ca_file: /ca, client_auth: optional, "
      "handshake_timeout: 2s}\n");
  CHECK(AllProblems(result) == "");
  const UpstreamTlsConfig& up = result.config.upstream.tls;
  CHECK(up.enabled);
  CHECK(up.ca_file == "/ca");
  CHECK(up.cert_file == "/c");
  CHECK(up.key_file == "/k");
  CHECK(up.key_password == "p");
  CHECK(up.server_name == "n");
  CHECK(up.verify == "ca");
  CHECK(up.min_version == "1.3");
  CHECK(up.ciphers == "A");
  CHECK(up.ciphersuites == "B");
  const ListenerTlsConfig& down = result.config.listeners[0].tls;
  CHECK(down.enabled());
  CHECK(down.cert_file == "/lc");
  CHECK(down.key_file == "/lk");
  CHECK(down.client_ca_file == "/ca");
  CHECK(down.client_auth == "optional");
  CHECK_FALSE(down.authenticates());
  CHECK(down.handshake_timeout == std::chrono::seconds(2));
  CHECK_FALSE(Load("").config.upstream.tls.enabled);
  CHECK_FALSE(Load("").config.listeners[0].tls.enabled());
}

TEST_CASE("a rediss URL switches TLS on, whatever enabled says") {
  CHECK(Load("upstream: {url: \"rediss://h\"}\n").config.upstream.tls.enabled);
  CHECK(
      Load("upstream: {url: \"rediss://h\", tls: {enabled: false}}\n").config.upstream.tls.enabled);
  CHECK(Load("upstream: {url: \"redis://h\", tls: {enabled: true}}\n").config.upstream.tls.enabled);
  CHECK_FALSE(Load("upstream: {url: \"redis://h\"}\n").config.upstream.tls.enabled);
}

TEST_CASE("half of a pair is refused where it was written") {
  CheckOneProblem(Load("upstream:\n  tls:\n    enabled: true\n    cert_file: /c\n"),
                  "test.yaml:4: upstream.tls.cert_file: ", {"add key_file"});
  CheckOneProblem(Load("upstream:\n  tls:\n    enabled: true\n    key_file: /k\n"),
                  "test.yaml:4: upstream.tls.key_file: ", {"add cert_file"});
  CheckOneProblem(Load("upstream:\n  tls:\n    enabled: true\n    key_password: x\n"),
                  "test.yaml:4: upstream.tls.key_password: ", {"key_file"});
  CheckOneProblem(Load("listeners:\n  - address: \"127.0.0.1:1\"\n    tls:\n      key_file: /k\n"),
                  "test.yaml:4: listeners[0].tls.key_file: ", {"add cert_file"});
}

TEST_CASE("settings of a TLS that is off are refused: all would work, unencrypted") {
  CheckOneProblem(Load("upstream:\n  tls:\n    ca_file: /ca\n"),
                  "test.yaml:3: upstream.tls.ca_file: ", {"TLS is off", "rediss://"});
  CheckOneProblem(
      Load("listeners:\n  - address: \"127.0.0.1:1\"\n    tls:\n      client_auth: required\n"),
      "test.yaml:4: listeners[0].tls.client_auth: ", {"TLS is off", "cert_file"});
}

TEST_CASE("who asks for clients' certificates says who signs them, and the other way round") {
  const std::string begin =
      "listeners:\n  - address: \"127.0.0.1:1\"\n    tls:\n      cert_file: /c\n      key_file: "
      "/k\n";
  CheckOneProblem(Load(begin + "      client_auth: required\n"),
                  "test.yaml:6: listeners[0].tls.client_auth: ", {"client_ca_file"});
  CheckOneProblem(Load(begin + "      client_ca_file: /ca\n"),
                  "test.yaml:6: listeners[0].tls.client_ca_file: ", {"client_auth: required"});
}

TEST_CASE("required certificates stand for a password on an address others can reach") {
  const auto with = [](const std::string& auth) {
    return Load(
        "listeners:\n  - address: \"0.0.0.0:1\"\n    tls: {cert_file: /c, key_file: /k, "
        "client_ca_file: /ca, client_auth: " +
        auth + "}\n");
  };
  CHECK(AllProblems(with("required")) == "");
  CHECK(with("required").warnings.empty());
  CheckOneProblem(with("optional"), "test.yaml:2: listeners[0].address: ",
                  {"other machines can reach", "tls.client_auth: required"});
}

TEST_CASE("a server is verified unless somebody says otherwise, and then it is a warning") {
  CHECK(Load("").config.upstream.tls.verify == "full");
  const LoadResult open = Load("upstream: {tls: {enabled: true, verify: none}}\n");
  CHECK(open.ok());
  REQUIRE(open.warnings.size() == 1);
  CHECK(open.warnings[0].path == "upstream.tls.verify");
  CheckOneProblem(
      Load("upstream:\n  tls:\n    enabled: true\n    verify: none\n    ca_file: /ca\n"),
      "test.yaml:5: upstream.tls.ca_file: ", {"verify is none"});
  CheckOneProblem(Load("upstream:\n  url: unix:///r.sock\n  tls:\n    enabled: true\n"),
                  "test.yaml:2: upstream.url: ", {"server_name"});
  CHECK(Load("upstream: {url: \"unix:///r.sock\", tls: {enabled: true, server_name: n}}\n").ok());
}

TEST_CASE("sentinels may have a TLS of their own, and what is given for it must have an effect") {
  const std::string begin = "upstream:\n  url: redis-sentinel://h:1#m\n  sentinel:\n    tls:\n";
  CHECK(Load("").config.upstream.sentinel.tls.mode == "upstream");
  const LoadResult own = Load(begin + "      mode: own\n      ca_file: /ca\n");
  CHECK(AllProblems(own) == "");
  CHECK(own.config.upstream.sentinel.tls.ca_file == "/ca");
  CHECK(own.config.upstream.tls.ca_file.empty());
  CHECK(AllProblems(Load(begin + "      mode: \"off\"\n")) == "");
  CheckOneProblem(Load(begin + "      ca_file: /ca\n"),
                  "test.yaml:5: upstream.sentinel.tls.ca_file: ", {"mode: own"});
  CheckOneProblem(Load(begin + "      mode: own\n      cert_file: /c\n"),
                  "test.yaml:6: upstream.sentinel.tls.cert_file: ", {"add key_file"});
  const LoadResult elsewhere = Load("upstream:\n  sentinel:\n    tls: {mode: own}\n");
  REQUIRE(elsewhere.warnings.size() == 1);
  CHECK(elsewhere.warnings[0].path == "upstream.sentinel.tls.mode");
}

}  // namespace
}  // namespace nearcached::config
