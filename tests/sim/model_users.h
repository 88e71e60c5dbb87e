// Who may log in to the model server, and which keys each of its users may touch: as much of
// Redis's ACL (7.0, https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/) as
// it takes to see whether the product ever shows or does for one user what another one may.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/base/time.h"

namespace nearcached::sim {

class ModelUsers {
 public:
  // The keys somebody may touch, by their last digit: bit n for "k<n>". Keys that end in none are
  // everybody's.
  using Digits = std::uint32_t;
  static constexpr Digits kAll = ~Digits{0};

  // The name of the user that a connection is before it logs in is "". A user who was there before
  // has another password from now on, and these rights.
  void Set(const std::string& user, const std::string& password, Digits may, MonoTime now);
  void SetRights(const std::string& user, Digits may, MonoTime now);

  [[nodiscard]] bool empty() const { return users_.empty(); }
  // Those who can log in.
  [[nodiscard]] std::vector<std::string> Names() const;
  [[nodiscard]] bool Fits(const std::string& user, const std::string& password) const;
  [[nodiscard]] const std::string& PasswordOf(const std::string& user) const;
  // Whoever has not been named may do everything.
  [[nodiscard]] bool May(const std::string& user, const std::string& key) const;
  // Whether there was a moment between `from` and now, both included, at which the user could
  // (`allowed`), or could not.
  [[nodiscard]] bool WasThere(const std::string& user, const std::string& key, MonoTime from,
                              bool allowed) const;

 private:
  struct Rights {
    MonoTime since;
    Digits may;
  };
  struct User {
    std::string password;
    std::vector<Rights> rights;  // the newest last
  };

  [[nodiscard]] const User* Find(const std::string& user) const;

  std::map<std::string, User> users_;
};

}  // namespace nearcached::sim
