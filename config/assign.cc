#include "config/assign.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "config/cached_commands.h"
#include "config/suggest.h"
#include "config/value.h"

namespace nearcached::config {
namespace {

// The place in the list of "rules[3].ttl"; 0 where there is none.
std::size_t IndexOf(std::string_view path) {
  std::size_t index = 0;
  const std::size_t mark = path.find('[');
  if (mark != std::string_view::npos) {
    std::from_chars(path.data() + mark + 1, path.data() + path.size(), index);
  }
  return index;
}

std::string Join(std::string_view path, std::string_view key) {
  std::string joined(path);
  joined += joined.empty() ? "" : ".";
  return joined += key;
}

// Whether `path` is a section, as "l1" or "rules[2]": some row's path goes on after it.
bool IsSection(std::string_view path) {
  const std::string start = WithoutIndexes(path) + ".";
  return std::ranges::any_of(Rows(), [&](const Row& row) { return row.path.starts_with(start); });
}

// The names that may stand directly under `path`.
std::vector<std::string> NamesUnder(std::string_view path) {
  const std::string start = path.empty() ? "" : WithoutIndexes(path) + ".";
  std::vector<std::string> names;
  for (const Row& row : Rows()) {
    if (!row.path.starts_with(start)) {
      continue;
    }
    const std::string_view rest = row.path.substr(start.size());
    std::string name(rest.substr(0, rest.find_first_of(".[")));
    if (std::ranges::find(names, name) == names.end()) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

// The whole path of a row whose last name is `name`, for keys written in the wrong section.
std::string SameNameElsewhere(std::string_view name) {
  for (const Row& row : Rows()) {
    if (row.list().empty() && row.path.substr(row.path.rfind('.') + 1) == name) {
      return std::string(row.path);
    }
  }
  return {};
}

std::string JoinNames(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += out.empty() ? "" : ", ";
    out += name;
  }
  return out;
}

std::string_view KindName(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kNothing:
      return "nothing";
    case Node::Kind::kScalar:
      return "a single value";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      break;
  }
  return "a map of keys";
}

bool IsKeyByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

// A key as a path segment that cannot forge or flood a message. It is cut at the first byte that
// no key has: of "password:secret", a missing blank, only the first half may be shown.
std::string SafeKey(std::string_view key) {
  constexpr std::size_t kShown = 60;
  std::size_t end = 0;
  while (end < key.size() && end < kShown && IsKeyByte(key[end])) {
    ++end;
  }
  return std::string(key.substr(0, end)) + (end < key.size() || end == 0 ? "…" : "");
}

// A list of the kind that `type` is, as it is written.
const char* ExampleOf(Type type) {
  switch (type) {
    case Type::kHosts:
      return "[\"10.0.0.1:6379\", \"10.0.0.2:6379\"]";
    case Type::kCommands:
      return "[\"flushall\", \"config|set\"]";
    case Type::kCached:
      return "[\"get\", \"hgetall\"], or all";
    case Type::kRenames:
      return "[\"flushall=x-flush\"]";
    case Type::kChannels:
      return "[\"cache:changes\"]";
    default:
      return "[\"lock:*\", \"*:lock\"]";
  }
}

}  // namespace

void Assigner::Begin(std::string file, Source source) {
  file_ = std::move(file);
  source_ = source;
}

void Assigner::AssignDocument(const Node& root) {
  if (root.kind == Node::Kind::kNothing) {
    return;  // an empty file, or one of comments only: the defaults
  }
  if (root.kind != Node::Kind::kMap) {
    problems_.Add(At(root), {},
                  "the file is " + std::string(KindName(root.kind)) +
                      ", must be a map of keys: " + JoinNames(NamesUnder({})));
    return;
  }
  AssignMap({}, root);
}

void Assigner::AssignMap(const std::string& path, const Node& node) {
  std::map<std::string_view, int> first_lines;
  for (const Entry& entry : node.entries) {
    if (problems_.full()) {
      return;
    }
    const auto [first, is_new] = first_lines.emplace(entry.key, entry.line);
    if (!is_new) {
      problems_.Add({file_, entry.line, entry.column}, Join(path, SafeKey(entry.key)),
                    "is given twice, the first time in line " + std::to_string(first->second) +
                        ": keep one of the two");
      continue;
    }
    AssignEntry(path, entry);
  }
}

void Assigner::AssignEntry(const std::string& path, const Entry& entry) {
  const std::string full = Join(path, entry.key);
  // Brackets are how this room names list elements; in a key they are just a wrong name.
  const bool nameable = entry.key.find_first_of("[].") == std::string::npos;
  const Row* row = nameable ? FindRow(full) : nullptr;
  if (row != nullptr) {
    AssignRow(*row, full, entry.value);
    return;
  }
  if (!nameable || !IsSection(full)) {
    Unknown(path, entry);
    return;
  }
  if (entry.value.kind == Node::Kind::kNothing) {
    return;  // a section whose keys are all commented out
  }
  if (entry.value.kind != Node::Kind::kMap) {
    problems_.Add(At(entry.value), full,
                  "is " + std::string(KindName(entry.value.kind)) +
                      ", must be a map of keys, indented below it: " + JoinNames(NamesUnder(full)));
    return;
  }
  AssignMap(full, entry.value);
}

void Assigner::AssignRow(const Row& row, const std::string& path, const Node& node) {
  if (row.type == Type::kElements) {
    AssignElements(row, path, node);
    return;
  }
  if (IsTextList(row.type)) {
    AssignItems(row, path, node);
    return;
  }
  if (node.kind == Node::Kind::kNothing) {
    problems_.Add(At(node), path,
                  row.type == Type::kText || row.type == Type::kAddress || row.type == Type::kPrefix
                      ? "has no value: write \"\" for an empty text, or leave the key out"
                      : "has no value: give one, or leave the key out for the default");
    return;
  }
  if (node.kind != Node::Kind::kScalar) {
    problems_.Add(At(node), path,
                  "is " + std::string(KindName(node.kind)) + ", must be a single value (" +
                      std::string(TypeName(row.type)) + ")");
    return;
  }
  std::string error = SetValue(row, IndexOf(path), node.text, config_);
  if (!error.empty()) {
    problems_.Add(At(node), path, std::move(error));
    return;
  }
  Remember(path, node);
}

void Assigner::AssignItems(const Row& row, const std::string& path, const Node& node) {
  if (node.kind == Node::Kind::kNothing) {
    return;  // all items commented out; [] is how an empty list is written
  }
  if (row.type == Type::kCached && node.kind == Node::Kind::kScalar && node.text == kAllCommands) {
    SetList(row, path, {node.text});  // the one word that stands for a list
    Remember(path, node);
    return;
  }
  if (node.kind != Node::Kind::kList) {
    problems_.Add(At(node), path,
                  "is " + std::string(KindName(node.kind)) + ", must be a list, as in " +
                      ExampleOf(row.type));
    return;
  }
  std::vector<std::string> items;
  for (const Node& item : node.items) {
    if (item.kind != Node::Kind::kScalar) {
      problems_.Add(At(item), path,
                    "holds " + std::string(KindName(item.kind)) +
                        ", each item must be a single text in quotes");
      return;
    }
    if (std::string error = CheckItem(row, item.text); !error.empty()) {
      problems_.Add(At(item), path, std::move(error));
      return;
    }
    items.push_back(item.text);
  }
  SetList(row, path, std::move(items));
  Remember(path, node);
}

void Assigner::SetList(const Row& row, const std::string& path, std::vector<std::string> items) {
  if (const auto* of_element =
          std::get_if<Access<std::optional<std::vector<std::string>>>>(&row.field)) {
    of_element->mutate(config_, IndexOf(path)) = std::move(items);
  } else {
    std::get<Access<std::vector<std::string>>>(row.field).mutate(config_, 0) = std::move(items);
  }
}

void Assigner::AssignElements(const Row& row, const std::string& path, const Node& node) {
  if (node.kind == Node::Kind::kNothing) {
    return;
  }
  if (node.kind != Node::Kind::kList) {
    problems_.Add(At(node), path,
                  "is " + std::string(KindName(node.kind)) +
                      ", must be a list: begin each element with \"- \"");
    return;
  }
  constexpr std::size_t kElementsMax = 10'000;
  if (node.items.size() > kElementsMax) {
    problems_.Add(At(node), path,
                  "has " + std::to_string(node.items.size()) + " elements, must have at most " +
                      std::to_string(kElementsMax));
    return;
  }
  const auto& access = std::get<ElementsAccess>(row.field);
  access.resize(config_, 0);
  access.resize(config_, node.items.size());
  Forget(path);
  Remember(path, node);
  for (std::size_t i = 0; i < node.items.size() && !problems_.full(); ++i) {
    AssignElement(row, path + "[" + std::to_string(i) + "]", node.items[i]);
  }
}

void Assigner::AssignElement(const Row& row, const std::string& path, const Node& node) {
  Remember(path, node);
  // An element with a required address may be written as the address alone.
  const Row* address = FindRow(path + ".address");
  if (node.kind == Node::Kind::kScalar && address != nullptr) {
    AssignRow(*address, path + ".address", node);
    return;
  }
  if (node.kind != Node::Kind::kMap) {
    problems_.Add(At(node), path,
                  "is " + std::string(KindName(node.kind)) +
                      ", must be a map of keys: " + JoinNames(NamesUnder(path)));
    return;
  }
  AssignMap(path, node);
  CheckRequired(row, path, node);
  if (row.path == "rules") {
    config_.rules[IndexOf(path)].line =
        source_ == Source::kFile ? static_cast<std::size_t>(std::max(0, node.line)) : 0;
  }
}

void Assigner::CheckRequired(const Row& list, const std::string& element, const Node& node) {
  for (const Row& row : Rows()) {
    if (row.list() != list.path || row.presence != Presence::kRequired) {
      continue;
    }
    const std::string_view name = row.path.substr(row.path.rfind('.') + 1);
    const bool there =
        std::ranges::any_of(node.entries, [&](const Entry& entry) { return entry.key == name; });
    if (!there) {
      problems_.Add(At(node), element,
                    "has no " + std::string(name) + ": each element of " + std::string(list.path) +
                        " needs one");
    }
  }
}

void Assigner::Unknown(const std::string& path, const Entry& entry) {
  const std::vector<std::string> names = NamesUnder(path);
  std::string message = "is not a known key";
  const std::string nearest = NearestName(entry.key, names);
  const std::string elsewhere = SameNameElsewhere(entry.key);
  const std::size_t colon = entry.key.find(':');
  const Row* dotted = path.empty() ? FindRow(entry.key) : nullptr;
  const std::string_view renamed = RenamedTo(Join(path, entry.key));
  if (!renamed.empty()) {
    message += " any more: it is now " + std::string(renamed);
  } else if (colon != std::string::npos) {
    message += ": write a blank after the colon";
  } else if (dotted != nullptr && dotted->list().empty()) {
    const std::size_t dot = entry.key.find('.');
    message += ": keys are nested, write " + entry.key.substr(dot + 1) + " indented below " +
               entry.key.substr(0, dot);
  } else if (!nearest.empty()) {
    message += ": did you mean " + Join(path, nearest) + "?";
  } else if (!elsewhere.empty()) {
    message += " here: did you mean " + elsewhere + "?";
  } else {
    message += ": known here are " + JoinNames(names);
  }
  problems_.Add({file_, entry.line, entry.column}, Join(path, SafeKey(entry.key)),
                std::move(message));
}

void Assigner::Remember(const std::string& path, const Node& node) {
  given_.insert_or_assign(path, Given{At(node), source_});
}

// A list given again replaces the one before, and with it where its elements were.
void Assigner::Forget(std::string_view list) {
  const std::string start = std::string(list) + "[";
  const auto first = given_.lower_bound(start);
  auto last = first;
  while (last != given_.end() && last->first.starts_with(start)) {
    ++last;
  }
  given_.erase(first, last);
}

}  // namespace nearcached::config
