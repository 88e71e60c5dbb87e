#include "daemon/tls_settings.h"

#include <string>
#include <string_view>

#include "config/validate.h"

namespace nearcached {
namespace {

constexpr const char* kUpstreamTls = "upstream.tls";
constexpr const char* kSentinelTls = "upstream.sentinel.tls";

TlsVersion VersionOf(const std::string& text) {
  return text == "1.3" ? TlsVersion::k13 : TlsVersion::k12;
}

// The key of an option of TlsOptions below `section`.
std::string KeyOf(const std::string& section, std::string_view option, TlsRole role) {
  const bool is_client_ca = role == TlsRole::kServer && option == "ca_file";
  return section + "." + (is_client_ca ? "client_ca_file" : std::string(option));
}

void CheckOne(const TlsOptions& options, const std::string& section, config::LoadResult& loaded) {
  for (const TlsProblem& problem : TlsContext::Load(options).problems) {
    const std::string path = KeyOf(section, problem.option, options.role);
    const config::Place place = config::PlaceOf(loaded.given, path);
    (problem.is_warning ? loaded.warnings : loaded.problems)
        .push_back({place.file, place.line, place.column, path, problem.message});
  }
}

TlsOptions ClientOptions(const config::ClientTlsConfig& tls, const char* section) {
  TlsOptions options;
  options.section = section;
  options.role = TlsRole::kClient;
  options.ca_file = tls.ca_file;
  options.ca_path = tls.ca_path;
  options.cert_file = tls.cert_file;
  options.key_file = tls.key_file;
  options.key_password = tls.key_password;
  options.server_name = tls.server_name;
  options.ciphers = tls.ciphers;
  options.ciphersuites = tls.ciphersuites;
  options.verify = tls.verify == "none" ? TlsVerify::kNone
                   : tls.verify == "ca" ? TlsVerify::kCa
                                        : TlsVerify::kFull;
  options.min_version = VersionOf(tls.min_version);
  return options;
}

}  // namespace

TlsOptions OptionsOf(const config::UpstreamTlsConfig& tls) {
  return ClientOptions(tls, kUpstreamTls);
}

TlsOptions OptionsOf(const config::SentinelTlsConfig& tls) {
  return ClientOptions(tls, kSentinelTls);
}

TlsOptions OptionsOf(const config::ListenerTlsConfig& tls) {
  TlsOptions options;
  options.role = TlsRole::kServer;
  options.ca_file = tls.client_ca_file;
  options.cert_file = tls.cert_file;
  options.key_file = tls.key_file;
  options.key_password = tls.key_password;
  options.ciphers = tls.ciphers;
  options.ciphersuites = tls.ciphersuites;
  options.client_auth = tls.client_auth == "required"   ? TlsClientAuth::kRequired
                        : tls.client_auth == "optional" ? TlsClientAuth::kOptional
                                                        : TlsClientAuth::kNone;
  options.min_version = VersionOf(tls.min_version);
  return options;
}

void CheckTlsFiles(config::LoadResult& loaded) {
  const config::Config& config = loaded.config;
  if (config.upstream.tls.enabled) {
    CheckOne(OptionsOf(config.upstream.tls), kUpstreamTls, loaded);
  }
  if (config.upstream.sentinel.tls.mode == "own") {
    CheckOne(OptionsOf(config.upstream.sentinel.tls), kSentinelTls, loaded);
  }
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    if (config.listeners[i].tls.enabled()) {
      CheckOne(OptionsOf(config.listeners[i].tls), "listeners[" + std::to_string(i) + "].tls",
               loaded);
    }
  }
}

}  // namespace nearcached
