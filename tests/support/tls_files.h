// Certificates for tests, made on the spot so that none ever expires in the repository.
//
// A folder of PEM files that goes away with the object. Keys are P-256: made in microseconds.
#pragma once

#include <memory>
#include <string>

namespace nearcached {

class TlsFiles {
 public:
  // What a certificate says; the dates are in days from now.
  struct Terms {
    std::string issuer{};  // the name of a CA made before; empty: signed by itself
    std::string dns{};     // subjectAltName; empty: none
    std::string ip{};
    int begins_days = -1;
    int ends_days = 365;
    bool is_ca = false;
  };

  TlsFiles();
  TlsFiles(const TlsFiles&) = delete;
  TlsFiles& operator=(const TlsFiles&) = delete;
  ~TlsFiles();

  // Makes `name`.pem and `name`.key, replacing both if they are there.
  void Make(const std::string& name, const Terms& terms);
  // The same for the key alone, encrypted with `password`: `name`.enc.
  void EncryptKey(const std::string& name, const std::string& password);
  // Any other file.
  void Write(const std::string& file, const std::string& content);

  [[nodiscard]] std::string Path(const std::string& file) const { return folder_ + "/" + file; }
  [[nodiscard]] std::string Cert(const std::string& name) const { return Path(name + ".pem"); }
  [[nodiscard]] std::string Key(const std::string& name) const { return Path(name + ".key"); }

 private:
  struct Issuers;
  std::string folder_;
  std::unique_ptr<Issuers> issuers_;
};

}  // namespace nearcached
