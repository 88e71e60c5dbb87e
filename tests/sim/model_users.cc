#include "tests/sim/model_users.h"

namespace nearcached::sim {
namespace {

bool Contains(ModelUsers::Digits may, const std::string& key) {
  const char last = key.empty() ? ' ' : key.back();
  return last < '0' || last > '9' || ((may >> static_cast<unsigned>(last - '0')) & 1U) != 0;
}

}  // namespace

void ModelUsers::Set(const std::string& user, const std::string& password, Digits may,
                     MonoTime now) {
  users_[user].password = password;
  SetRights(user, may, now);
}

void ModelUsers::SetRights(const std::string& user, Digits may, MonoTime now) {
  users_[user].rights.push_back({now, may});
}

std::vector<std::string> ModelUsers::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, user] : users_) {
    if (!name.empty()) {
      names.push_back(name);
    }
  }
  return names;
}

const ModelUsers::User* ModelUsers::Find(const std::string& user) const {
  const auto it = users_.find(user);
  return it == users_.end() ? nullptr : &it->second;
}

bool ModelUsers::Fits(const std::string& user, const std::string& password) const {
  const User* const found = user.empty() ? nullptr : Find(user);
  return found != nullptr && found->password == password;
}

const std::string& ModelUsers::PasswordOf(const std::string& user) const {
  return Find(user)->password;
}

bool ModelUsers::May(const std::string& user, const std::string& key) const {
  const User* const found = Find(user);
  return found == nullptr || Contains(found->rights.back().may, key);
}

bool ModelUsers::WasThere(const std::string& user, const std::string& key, MonoTime from,
                          bool allowed) const {
  const User* const found = Find(user);
  if (found == nullptr) {
    return allowed;
  }
  for (std::size_t i = found->rights.size(); i-- > 0;) {
    if (Contains(found->rights[i].may, key) == allowed) {
      return true;
    }
    if (found->rights[i].since < from) {
      break;  // the ones before it had ended
    }
  }
  return false;
}

}  // namespace nearcached::sim
