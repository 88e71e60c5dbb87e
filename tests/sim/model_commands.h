// The command table of the model server.
#pragma once

#include <string>
#include <string_view>

#include "tests/sim/model_redis.h"

namespace nearcached::sim {

// One call of a command.
struct Call {
  ModelRedis& model;
  ModelSession& session;
  const Args& args;

  [[nodiscard]] KeyId Key(std::size_t arg = 1) const { return {session.db, args[arg]}; }
};

struct ModelCommand {
  std::string_view name;
  int arity;  // as in COMMAND: negative means "at least"
  bool write;
  bool readonly;
  int first_key, last_key, key_step;
  Reply (*run)(const Call&);
};

// Null: unknown command. `name` in upper case.
[[nodiscard]] const ModelCommand* FindModelCommand(std::string_view name);
// The COMMAND reply of a server that is a node of a cluster, or is none.
[[nodiscard]] Reply ModelCommandTable(bool clustered);
// The key arguments of a call, by the row's key range; scripts have one.
[[nodiscard]] std::vector<std::string> KeysOf(const ModelCommand& command, const Args& args);

}  // namespace nearcached::sim
