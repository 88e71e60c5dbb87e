#include "tests/support/tls_files.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {
namespace {

struct Pair {
  X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;
};

void Extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  NC_CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

template <typename WriteTo>
void ToFile(const std::string& path, WriteTo&& write) {
  std::FILE* out = std::fopen(path.c_str(), "wb");
  NC_CHECK(out != nullptr);
  NC_CHECK(write(out) == 1);
  NC_CHECK(std::fclose(out) == 0);
}

}  // namespace

struct TlsFiles::Issuers {
  std::map<std::string, Pair> pairs;
  long serial = 0;
};

TlsFiles::TlsFiles() : issuers_(std::make_unique<Issuers>()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "nc-tls-XXXXXX").string();
  NC_CHECK(mkdtemp(pattern.data()) != nullptr);
  folder_ = pattern;
}

TlsFiles::~TlsFiles() {
  for (const auto& [name, pair] : issuers_->pairs) {
    X509_free(pair.certificate);
    EVP_PKEY_free(pair.key);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void TlsFiles::Make(const std::string& name, const Terms& terms) {
  constexpr long kDaySeconds = 24L * 60 * 60;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  NC_CHECK(key != nullptr && certificate != nullptr);
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++issuers_->serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), terms.begins_days * kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), terms.ends_days * kDaySeconds);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  const bool is_own = terms.issuer.empty();
  const Pair issuer = is_own ? Pair{certificate, key} : issuers_->pairs.at(terms.issuer);
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer.certificate));
  if (terms.is_ca) {
    Extend(certificate, issuer.certificate, NID_basic_constraints, "critical,CA:TRUE");
  }
  if (!terms.dns.empty()) {
    Extend(certificate, issuer.certificate, NID_subject_alt_name, "DNS:" + terms.dns);
  } else if (!terms.ip.empty()) {
    Extend(certificate, issuer.certificate, NID_subject_alt_name, "IP:" + terms.ip);
  }
  NC_CHECK(X509_sign(certificate, issuer.key, EVP_sha256()) > 0);
  ToFile(Cert(name), [&](std::FILE* out) { return PEM_write_X509(out, certificate); });
  ToFile(Key(name), [&](std::FILE* out) {
    return PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  Pair& place = issuers_->pairs[name];
  X509_free(place.certificate);
  EVP_PKEY_free(place.key);
  place = {certificate, key};
}

void TlsFiles::EncryptKey(const std::string& name, const std::string& password) {
  ToFile(Path(name + ".enc"), [&](std::FILE* out) {
    return PEM_write_PKCS8PrivateKey(out, issuers_->pairs.at(name).key, EVP_aes_256_cbc(),
                                     password.data(), static_cast<int>(password.size()), nullptr,
                                     nullptr);
  });
}

void TlsFiles::Write(const std::string& file, const std::string& content) {
  std::ofstream(Path(file), std::ios::binary) << content;
}

}  // namespace nearcached
