#include "config/validate_tls.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "config/schema.h"
#include "config/validate.h"
#include "config/value.h"

namespace nearcached::config {
namespace {

class TlsChecker {
 public:
  TlsChecker(const Config& config, const GivenPaths& given, ProblemList& problems)
      : config_(config), given_(given), problems_(problems) {}

  void CheckUpstream() {
    const UpstreamTlsConfig& tls = config_.upstream.tls;
    const std::string path = "upstream.tls";
    if (!tls.enabled) {
      CheckNoneGiven(path, 0, "say upstream.tls.enabled: true or write rediss:// in upstream.url");
      return;
    }
    CheckClient(path, tls);
    if (tls.verify == "full" && tls.server_name.empty() && !config_.upstream.unix_path.empty()) {
      Fail("upstream.url",
           "is a unix socket, which has no name for upstream.tls.verify: full to check: give "
           "upstream.tls.server_name, or say verify: ca");
    }
  }

  void CheckSentinels() {
    const SentinelTlsConfig& tls = config_.upstream.sentinel.tls;
    const std::string path = "upstream.sentinel.tls";
    if (tls.mode == "own") {
      CheckClient(path, tls);
    } else {
      CheckNoneGiven(path, 0, "say upstream.sentinel.tls.mode: own", "mode");
    }
  }

  void CheckListener(std::size_t index) {
    const ListenerTlsConfig& tls = config_.listeners[index].tls;
    const std::string path = "listeners[" + std::to_string(index) + "].tls";
    if (problems_.Holds(path) || !CheckPair(path, tls.cert_file, tls.key_file, tls.key_password)) {
      return;
    }
    if (!tls.enabled()) {
      CheckNoneGiven(path, index, "add cert_file and key_file");
    } else if (tls.client_auth == "none" && !tls.client_ca_file.empty()) {
      Fail(path + ".client_ca_file",
           "has no effect, because client_auth is none: say client_auth: required, or optional");
    } else if (tls.client_auth != "none" && tls.client_ca_file.empty()) {
      Fail(path + ".client_auth", "is " + tls.client_auth +
                                      ", but nothing says who signs clients' certificates: add "
                                      "client_ca_file");
    }
  }

 private:
  void Fail(const std::string& path, std::string message) {
    problems_.Add(PlaceOf(given_, path), path, std::move(message));
  }

  void CheckClient(const std::string& path, const ClientTlsConfig& tls) {
    CheckPair(path, tls.cert_file, tls.key_file, tls.key_password);
    if (tls.verify == "none" && !(tls.ca_file.empty() && tls.ca_path.empty())) {
      Fail(path + (tls.ca_file.empty() ? ".ca_path" : ".ca_file"),
           "has no effect, because verify is none: drop one of the two");
    }
  }

  // A certificate and its key, which need each other. False: one of them is missing.
  bool CheckPair(const std::string& tls, const std::string& cert_file, const std::string& key_file,
                 const std::string& key_password) {
    if (!cert_file.empty() && key_file.empty()) {
      Fail(tls + ".cert_file", "is given without its key: add key_file");
    } else if (cert_file.empty() && !key_file.empty()) {
      Fail(tls + ".key_file", "is given without its certificate: add cert_file");
    } else if (key_file.empty() && !key_password.empty()) {
      Fail(tls + ".key_password", "is given without key_file, which it is for");
    } else {
      return true;
    }
    return false;
  }

  // Settings of a TLS that is off: the worst mistake, because everything works, unencrypted.
  // `but`: the one that switches it.
  void CheckNoneGiven(const std::string& tls, std::size_t index, std::string_view remedy,
                      std::string_view but = {}) {
    const Config defaults = ExampleConfig();
    for (const Row& row : Rows()) {
      const std::size_t dot = row.path.rfind('.');
      if (dot != std::string_view::npos && row.path.substr(0, dot) == WithoutIndexes(tls) &&
          row.path.substr(dot + 1) != but &&
          FormatValue(row, index, config_) != FormatValue(row, 0, defaults)) {
        Fail(tls + std::string(row.path.substr(dot)),
             "has no effect, because TLS is " +
                 std::string(but.empty() ? "off: " : "not its own: ") + std::string(remedy));
        return;
      }
    }
  }

  const Config& config_;
  const GivenPaths& given_;
  ProblemList& problems_;
};

}  // namespace

void ValidateTls(const Config& config, const GivenPaths& given, ProblemList& problems) {
  TlsChecker checker(config, given, problems);
  if (!problems.Holds("upstream.url") && !problems.Holds("upstream.tls")) {
    checker.CheckUpstream();
  }
  if (!problems.Holds("upstream.sentinel.tls")) {
    checker.CheckSentinels();
  }
  for (std::size_t i = 0; i < config.listeners.size() && !problems.full(); ++i) {
    checker.CheckListener(i);
  }
}

}  // namespace nearcached::config
