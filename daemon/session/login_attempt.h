// An AUTH or HELLO that the upstream is to judge, until it has (upstream.identity client). Part of
// its session, never moved: the password is in one place, and wiped with it.
#pragma once

#include <optional>
#include <string>

#include "daemon/base/secret.h"
#include "proto/protocol.h"

namespace nearcached {

struct LoginAttempt {
  LoginAttempt() = default;
  ~LoginAttempt() { Wipe(password); }
  LoginAttempt(const LoginAttempt&) = delete;
  LoginAttempt& operator=(const LoginAttempt&) = delete;

  bool names_user = false;
  std::string user;
  std::string password;
  // HELLO: what it asks for besides.
  bool hello = false;
  std::optional<proto::Protocol> protocol;
  std::optional<std::string> name;
};

}  // namespace nearcached
