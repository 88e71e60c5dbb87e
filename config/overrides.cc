#include "config/overrides.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "config/parsed.h"
#include "config/quote.h"
#include "config/schema.h"
#include "config/small_file.h"
#include "config/suggest.h"

namespace nearcached::config {
namespace {

constexpr std::string_view kPrefix = "NEARCACHED_";
constexpr std::string_view kFileSuffix = "_FILE";
constexpr std::string_view kIndexMark = "<n>";

bool AllDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Kubernetes gives every pod variables for every service of its namespace, and a service is
// easily called "nearcached": NEARCACHED_SERVICE_HOST, NEARCACHED_PORT_6380_TCP_ADDR and so on.
// Refusing those would keep the process from starting for a reason nobody would look for.
// See "Accessing the Service: environment variables" in the Kubernetes documentation.
bool IsKubernetesServiceVariable(std::string_view name) {
  std::string_view rest = name.substr(kPrefix.size());
  if (rest == "SERVICE_HOST" || rest == "SERVICE_PORT" || rest == "PORT" ||
      rest.starts_with("SERVICE_PORT_")) {
    return true;
  }
  constexpr std::string_view kPort = "PORT_";
  if (!rest.starts_with(kPort)) {
    return false;
  }
  rest.remove_prefix(kPort.size());
  const std::size_t end = rest.find('_');
  if (end == std::string_view::npos || !AllDigits(rest.substr(0, end))) {
    return false;
  }
  rest.remove_prefix(end + 1);
  return rest.starts_with("TCP") || rest.starts_with("UDP") || rest.starts_with("SCTP");
}

// What a variable's name stands for.
struct Target {
  const Row* row = nullptr;
  std::string path;
  bool from_file = false;
};

// The path `name` stands for if it is `row`'s variable; the name may hold an index.
std::optional<std::string> PathOf(const Row& row, std::string_view name) {
  const std::string pattern = EnvironmentName(row.path);
  const std::size_t mark = pattern.find(kIndexMark);
  if (mark == std::string::npos) {
    return name == pattern ? std::optional(std::string(row.path)) : std::nullopt;
  }
  const std::string_view before = std::string_view(pattern).substr(0, mark);
  const std::string_view after = std::string_view(pattern).substr(mark + kIndexMark.size());
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) ||
      !name.ends_with(after)) {
    return std::nullopt;
  }
  const std::string_view digits =
      name.substr(before.size(), name.size() - before.size() - after.size());
  // A list has at most 10,000 elements, and one element one name: no "007".
  if (!AllDigits(digits) || digits.size() > 5 || (digits.size() > 1 && digits.front() == '0')) {
    return std::nullopt;
  }
  std::size_t index = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), index);
  return WithIndex(row.path, index);
}

std::optional<Target> TargetOf(std::string_view name) {
  for (const Row& row : Rows()) {
    if (auto path = PathOf(row, name)) {
      return Target{&row, std::move(*path), false};
    }
    if (row.secret() && name.ends_with(kFileSuffix)) {
      if (auto path = PathOf(row, name.substr(0, name.size() - kFileSuffix.size()))) {
        return Target{&row, std::move(*path), true};
      }
    }
  }
  return std::nullopt;
}

void ReportUnknown(const std::string& name, ProblemList& problems) {
  std::vector<std::string> names;
  for (const Row& row : Rows()) {
    const std::string_view former = FormerName(row.path);
    if (!former.empty() && EnvironmentName(former) == name) {
      problems.Add(
          {name}, {},
          "no key has this environment variable any more: it is now " + EnvironmentName(row.path));
      return;
    }
    names.push_back(EnvironmentName(row.path));
    if (row.secret()) {
      names.push_back(names.back() + std::string(kFileSuffix));
    }
  }
  const std::string nearest = NearestName(name, names);
  problems.Add({name}, {},
               nearest.empty()
                   ? "no key has this environment variable: unset it, or see "
                     "config/REFERENCE.md for those there are"
                   : "no key has this environment variable: did you mean " + nearest + "?");
}

// The content of a secret's file without the newline editors put at its end.
Parsed<std::string> ReadSecret(const std::string& file) {
  using Result = Parsed<std::string>;
  constexpr std::size_t kSecretMax = 64 * 1024;
  auto content = ReadSmallFile(file, kSecretMax);
  const std::string named = "the file " + QuotedForMessage(file) + " ";
  if (!content.ok()) {
    return Result::Failure(named + content.error);
  }
  std::string& secret = *content.value;
  if (secret.size() > kSecretMax) {
    return Result::Failure(named + "is larger than 64kb, which is no secret");
  }
  if (secret.ends_with('\n')) {
    secret.pop_back();
    if (secret.ends_with('\r')) {
      secret.pop_back();
    }
  }
  if (secret.empty()) {
    return Result::Failure(named + "is empty: write the secret into it, or unset the variable");
  }
  return content;
}

// Exactly one of NAME and NAME_FILE may be there; the value, wherever it is.
Parsed<std::string> ValueOf(const Target& target, const std::string& name, const std::string& value,
                            const Environment& environment) {
  if (!target.from_file) {
    return Parsed<std::string>::Of(value);
  }
  const std::string plain = name.substr(0, name.size() - kFileSuffix.size());
  if (environment.variables.contains(plain)) {
    return Parsed<std::string>::Failure("is given twice, also as " + plain +
                                        ": keep one of the two");
  }
  return ReadSecret(value);
}

}  // namespace

Environment Environment::FromProcess(const char* const* environ) {
  Environment environment;
  for (const char* const* entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (text.starts_with(kPrefix) && equals != std::string_view::npos) {
      environment.variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return environment;
}

std::vector<Override> OverridesFromEnvironment(const Environment& environment,
                                               ProblemList& problems) {
  // By row, so that a list is there before single keys of its elements are set.
  std::vector<std::pair<const Row*, Override>> found;
  for (const auto& [name, value] : environment.variables) {
    if (!name.starts_with(kPrefix) || IsKubernetesServiceVariable(name)) {
      continue;
    }
    const auto target = TargetOf(name);
    if (!target) {
      ReportUnknown(name, problems);
      continue;
    }
    auto content = ValueOf(*target, name, value, environment);
    if (!content.ok()) {
      problems.Add({name}, target->path, std::move(content.error));
      continue;
    }
    found.emplace_back(target->row, Override{target->path, std::move(*content.value), name});
  }
  std::ranges::stable_sort(found, {}, [](const auto& entry) { return entry.first; });
  std::vector<Override> overrides;
  overrides.reserve(found.size());
  for (auto& entry : found) {
    overrides.push_back(std::move(entry.second));
  }
  return overrides;
}

}  // namespace nearcached::config
