#include "daemon/net/tls_credentials.h"

#include <filesystem>
#include <memory>
#include <string>

#include "tests/unit/daemon/net/tls_fixture.h"

namespace nearcached {
namespace {

// The problems of the options, "option: message" each, warnings with a "?" before.
std::string ProblemsOf(const TlsOptions& options) {
  std::string all;
  for (const TlsProblem& problem : TlsContext::Load(options).problems) {
    all +=
        std::string(problem.is_warning ? "?" : "") + problem.option + ": " + problem.message + "\n";
  }
  return all;
}

bool Says(const std::string& text, std::string_view what) {
  INFO(text);
  return text.find(what) != std::string::npos;
}

TEST_CASE_FIXTURE(TlsFixture, "each way a file can be no use has a sentence of its own") {
  TlsOptions& options = server_options;
  SUBCASE("missing") {
    options.cert_file = files.Path("nowhere.pem");
    options.key_file = files.Path("nowhere.key");
    const std::string problems = ProblemsOf(options);
    CHECK(Says(problems, "cert_file: " + options.cert_file + " does not exist"));
    CHECK(Says(problems, "key_file: " + options.key_file + " does not exist"));  // both at once
  }
  SUBCASE("a folder") {
    options.cert_file = files.Path("");
    CHECK(Says(ProblemsOf(options), "is no regular file"));
  }
  SUBCASE("not PEM") {
    files.Write("text.pem", "certificates are in the other folder\n");
    options.cert_file = files.Path("text.pem");
    options.key_file = files.Path("text.pem");
    options.ca_file = files.Path("text.pem");
    const std::string problems = ProblemsOf(options);
    CHECK(Says(problems, "cert_file: " + files.Path("text.pem") + " holds no PEM certificate"));
    CHECK(Says(problems, "key_file: " + files.Path("text.pem") + " holds no PEM private key"));
    CHECK(Says(problems, "ca_file: " + files.Path("text.pem") + " holds no PEM certificate"));
  }
  SUBCASE("empty") {
    files.Write("empty.pem", "");
    options.cert_file = files.Path("empty.pem");
    CHECK(Says(ProblemsOf(options), "holds no PEM certificate"));
  }
  SUBCASE("the key of another certificate") {
    options.key_file = files.Key("client");
    CHECK(Says(ProblemsOf(options), "key_file: " + options.key_file + " is not the key of"));
  }
  SUBCASE("an encrypted key, with and without its password") {
    files.EncryptKey("server", "opensesame");
    options.key_file = files.Path("server.enc");
    CHECK(Says(ProblemsOf(options), "is encrypted and no key_password is given"));
    options.key_password = "wrong";
    const std::string problems = ProblemsOf(options);
    CHECK(Says(problems, "key_password is not its pass phrase"));
    CHECK_FALSE(Says(problems, "wrong"));
    options.key_password = "opensesame";
    CHECK(ProblemsOf(options).empty());
  }
  SUBCASE("expired, and soon") {
    files.Make("server", {.issuer = "ca", .begins_days = -9, .ends_days = -1});
    CHECK(
        Says(ProblemsOf(options), "?cert_file: " + options.cert_file + " (CN=server) expired on"));
    files.Make("server", {.issuer = "ca", .ends_days = 3});
    CHECK(
        Says(ProblemsOf(options), "?cert_file: " + options.cert_file + " (CN=server) expires on"));
    files.Make("server", {.issuer = "ca", .begins_days = 3});
    CHECK(Says(ProblemsOf(options), "is valid only from"));
  }
  SUBCASE("ciphers that there are not") {
    options.ciphers = "ROT13";
    options.ciphersuites = "TLS_ROT13_SHA1";
    const std::string problems = ProblemsOf(options);
    CHECK(Says(problems, "ciphers: "));
    CHECK(Says(problems, "ciphersuites: "));
  }
  SUBCASE("a CA folder that is none") {
    options.ca_path = files.Cert("ca");
    CHECK(Says(ProblemsOf(options), "ca_path: " + options.ca_path + " is no folder"));
  }
}

class RotationFixture : public TlsFixture {
 public:
  RotationFixture() { CHECK(credentials->Start().empty()); }
  ~RotationFixture() { credentials->Stop(); }

  // What a deployment does: the old names lead to other files at once.
  void Replace(const std::string& name, const TlsFiles::Terms& terms) {
    files.Make("next", terms);
    std::filesystem::rename(files.Cert("next"), files.Cert(name));
    std::filesystem::rename(files.Key("next"), files.Key(name));
  }

  TlsStats stats;
  std::unique_ptr<TlsCredentials> credentials =
      std::make_unique<TlsCredentials>("listener", server_options, scheduler, stats);
};

TEST_CASE_FIXTURE(RotationFixture,
                  "new files are taken over by the timer, and old streams live on") {
  server_context = credentials->current();
  Connect();
  Carry();
  Replace("server", {.issuer = "ca", .dns = "redis.test", .ends_days = 100});
  const auto ends_before = credentials->certificate_ends().value();
  scheduler.Advance(TlsCredentials::kCheckInterval);
  CHECK(credentials->current() != server_context);
  CHECK(stats.reloads_ok.value() == 1);
  CHECK(credentials->certificate_ends().value() < ends_before);
  server_context.reset();
  CHECK(client.Write("still here") == 10);
  Carry();
  CHECK(server.owner.received == "still here");
  scheduler.Advance(TlsCredentials::kCheckInterval);
  CHECK(stats.reloads_ok.value() == 1);  // nothing has changed since
}

TEST_CASE_FIXTURE(RotationFixture, "files that are no use leave the old ones in place, told once") {
  const auto before = credentials->current();
  SUBCASE("half a rotation: the certificate is there, its key is not yet") {
    files.Make("next", {.issuer = "ca", .dns = "redis.test"});
    std::filesystem::rename(files.Cert("next"), files.Cert("server"));
    credentials->Refresh();
    CHECK(stats.reloads_failed.value() == 1);
    CHECK(credentials->current() == before);
    std::filesystem::rename(files.Key("next"), files.Key("server"));
    credentials->Refresh();
    CHECK(stats.reloads_ok.value() == 1);
    CHECK(credentials->current() != before);
    return;
  }
  SUBCASE("gone") {
    std::filesystem::remove(files.Cert("server"));
  }
  SUBCASE("not PEM") {
    files.Write("server.key", "oops");
  }
  SUBCASE("expired while the old one is not") {
    Replace("server", {.issuer = "ca", .begins_days = -9, .ends_days = -1});
  }
  credentials->Refresh();
  credentials->Refresh();
  CHECK(stats.reloads_failed.value() == 1);
  CHECK(stats.reloads_ok.value() == 0);
  CHECK(credentials->current() == before);
}

TEST_CASE_FIXTURE(TlsFixture,
                  "a link that is swapped two folders up is seen, as Kubernetes does it") {
  namespace fs = std::filesystem;
  for (const char* version : {"v1", "v2"}) {
    fs::create_directory(files.Path(version));
    files.Make("server", {.issuer = "ca", .dns = "redis.test"});
    fs::copy(files.Cert("server"), files.Path(version) + "/tls.crt");
    fs::copy(files.Key("server"), files.Path(version) + "/tls.key");
  }
  fs::create_directory_symlink("v1", files.Path("data"));
  fs::create_symlink("data/tls.crt", files.Path("tls.crt"));
  fs::create_symlink("data/tls.key", files.Path("tls.key"));
  server_options.cert_file = files.Path("tls.crt");
  server_options.key_file = files.Path("tls.key");
  TlsStats stats;
  TlsCredentials credentials("listener", server_options, scheduler, stats);
  CHECK(credentials.Start().empty());
  fs::create_directory_symlink("v2", files.Path("data_tmp"));
  fs::rename(files.Path("data_tmp"), files.Path("data"));
  scheduler.Advance(TlsCredentials::kCheckInterval);
  CHECK(stats.reloads_ok.value() == 1);
  credentials.Stop();
}

}  // namespace
}  // namespace nearcached
