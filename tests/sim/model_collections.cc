// Commands of hashes, sets and sorted sets, as far as the shapes of their replies differ.
#include <utility>

#include "tests/sim/model_handlers.h"

namespace nearcached::sim::handlers {
namespace {

// Sets or takes away one field; answers how many were added or taken away.
Reply Change(const Call& call, Value::Type type, const std::string& field,
             const std::string* text) {
  const KeyId id = call.Key();
  const Value* value = call.model.store().Find(id);
  if (value != nullptr && value->type != type) {
    return Reply::Error("WRONGTYPE Operation against a key holding the wrong kind of value");
  }
  Value next = value == nullptr ? Value{} : *value;
  const bool had = next.fields.contains(field);
  if (text == nullptr && !had) {
    return Reply::Integer(0);
  }
  if (text != nullptr) {
    next.type = type;
    next.fields[field] = *text;
  } else {
    next.fields.erase(field);
  }
  call.model.store().Put(id, next.fields.empty() ? Value{} : std::move(next));
  call.model.Modified(call.session, id);
  return Reply::Integer(text == nullptr || !had ? 1 : 0);
}

}  // namespace

Reply Hset(const Call& call) {
  return Change(call, Value::Type::kHash, call.args[2], &call.args[3]);
}
Reply Hdel(const Call& call) {
  return Change(call, Value::Type::kHash, call.args[2], nullptr);
}
Reply Sadd(const Call& call) {
  static const std::string kNothing;
  return Change(call, Value::Type::kSet, call.args[2], &kNothing);
}
Reply Srem(const Call& call) {
  return Change(call, Value::Type::kSet, call.args[2], nullptr);
}
Reply Zadd(const Call& call) {
  return Change(call, Value::Type::kZset, call.args[3], &call.args[2]);
}
Reply Zrem(const Call& call) {
  return Change(call, Value::Type::kZset, call.args[2], nullptr);
}
Reply ReadOne(const Call& call) {
  const Value* value = call.model.store().Find(call.Key());
  return RenderRead(call.args, value == nullptr ? Value{} : *value);
}

}  // namespace nearcached::sim::handlers
