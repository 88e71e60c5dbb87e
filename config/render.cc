#include "config/render.h"

#include <cstddef>
#include <string_view>

#include "config/quote.h"
#include "config/schema.h"
#include "config/value.h"

namespace nearcached::config {
namespace {

// Calls `visit(row, index)` for each row that is there, element by element for lists.
template <typename Visit>
void ForEachValue(const Config& config, Visit visit) {
  const auto rows = Rows();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto* elements = std::get_if<ElementsAccess>(&rows[r].field);
    if (elements == nullptr) {
      visit(rows[r], 0);
      continue;
    }
    std::size_t end = r + 1;  // behind the rows of the list's elements
    while (end < rows.size() && rows[end].list() == rows[r].path) {
      ++end;
    }
    for (std::size_t i = 0; i < elements->size(config); ++i) {
      for (std::size_t e = r + 1; e < end; ++e) {
        visit(rows[e], i);
      }
    }
    r = end - 1;
  }
}

bool IsText(Type type) {
  return type == Type::kText || type == Type::kAddress || type == Type::kUrl ||
         type == Type::kPrefix;
}

std::string Section(std::string_view path) {
  return std::string(path.substr(0, path.find_first_of(".[")));
}

void AppendDefault(const Row& row, std::string& out) {
  if (row.presence == Presence::kRequired) {
    out += "required";
    return;
  }
  if (row.type == Type::kElements) {
    const bool none = std::get<ElementsAccess>(row.field).size(Config()) == 0;
    out += none ? "default: none" : "default: one, `" + Config().listeners[0].address + "`";
    return;
  }
  if (!HasValue(row, 0, ExampleConfig())) {
    out += "default: as in `l1`";
    return;
  }
  const std::string value = FormatValue(row, 0, ExampleConfig());
  out += value.empty() ? "default: empty" : "default: `" + value + "`";
}

void AppendRow(const Row& row, std::string& out) {
  out += "\n### `" + std::string(row.path) + "`\n\n" + std::string(row.help) + "\n\n- ";
  out += TypeName(row.type);
  if (const std::string range = RangeText(row); !range.empty()) {
    out += ", " + range;
  }
  out += "; ";
  AppendDefault(row, out);
  out += row.reloadable() ? "\n- takes effect on reload\n"
                          : "\n- needs a restart: " + std::string(row.restart_reason) + "\n";
  const std::string variable = EnvironmentName(row.path);
  out += "- environment: `" + variable + "`";
  if (row.secret()) {
    out += ", or `" + variable + "_FILE` with the path of a file that holds it\n";
    out += row.type == Type::kUrl ? "- shown without user and password" : "- never shown";
  }
  out += "\n";
}

constexpr std::string_view kIntroduction =
    R"(# Configuration reference

Printed by `nearcached --print-config-reference` from the schema in `config/schema.cc`; a test
compares the two. A complete file with comments is `config/nearcached.yaml`.

**Where values come from.** Defaults, then the YAML file (`--config FILE`), then environment
variables, then the command line; what comes later counts more. A list given again replaces the
one before. Any mistake in any of them keeps the process from starting, with the file and line,
what is wrong and what would be right.

**Durations** are a whole number and a unit: `250ms`, `5s`, `2m`, `1h`, `1d`. A bare number is
refused, except `0`.

**Sizes** are bytes, or a whole number and `kb`, `mb`, `gb` or `tb`, which count in 1024 as in
redis.conf; `KiB`, `MiB`, `GiB` and `TiB` are the same.

**Environment.** The variable of a key is `NEARCACHED_` and its path. For keys of list elements,
`<n>` is the place in the list, counted from 0; the element must be there. A whole list is written
as YAML in one line, `NEARCACHED_RULES='[{prefix: "user:", ttl: 30s}]'`, and a list of plain values
also as `a,b`. A secret can be read from a file: the variable with `_FILE` at its end holds the
path, and one newline at the end of the file is dropped. A variable that begins with `NEARCACHED_`
and is none of these is refused, except those Kubernetes makes for a service of this name
(`NEARCACHED_SERVICE_HOST`, `NEARCACHED_PORT_…`).

**Files** are one YAML document of at most 1mb. Anchors, aliases and tags are refused, and so is
the same key twice.

**Reload.** SIGHUP reads everything again. What takes effect on reload is applied; of the rest,
each key that changed is named in the log with the reason, and keeps its value until a restart.
)";

}  // namespace

std::vector<std::pair<std::string, std::string>> ListConfig(const Config& config) {
  std::vector<std::pair<std::string, std::string>> list;
  ForEachValue(config, [&](const Row& row, std::size_t index) {
    if (HasValue(row, index, config)) {
      list.emplace_back(WithIndex(row.path, index), ShownValue(row, index, config));
    }
  });
  return list;
}

std::string RenderConfig(const Config& config) {
  std::string out;
  for (const auto& [path, value] : ListConfig(config)) {
    out += path + ": ";
    out += IsText(FindRow(path)->type) ? QuotedWhole(value) : value;
    out += "\n";
  }
  return out;
}

std::string RenderReference() {
  std::string out(kIntroduction);
  std::string section;
  for (const Row& row : Rows()) {
    if (Section(row.path) != section) {
      section = Section(row.path);
      out += "\n## " + section + "\n";
    }
    AppendRow(row, out);
  }
  return out;
}

}  // namespace nearcached::config
