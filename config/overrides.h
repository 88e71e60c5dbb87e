// Overrides: values for single keys that do not come from the file but from the environment or
// the command line.
//
// Every row has a variable, derived from its path (EnvironmentName() in schema.h); keys of list
// elements have one for each element the file or NEARCACHED_<LIST> gives. A secret can also be
// read from a file: NEARCACHED_UPSTREAM_PASSWORD_FILE holds a path, as container platforms mount
// secrets. A variable that begins with NEARCACHED_ and is none of these is an error, because a
// mistyped name would otherwise be a setting silently not made.
//
// Thread: plain values and functions. Never throws.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"

namespace nearcached::config {

// The variables a process was started with; injected so that tests need none.
struct Environment {
  std::map<std::string, std::string> variables;

  // From main's environ: "NAME=value" strings, ended by null. Keeps what begins with NEARCACHED_.
  static Environment FromProcess(const char* const* environ);
};

struct Override {
  std::string path;    // with indexes: "l1.ttl", "listeners[0].password"
  std::string value;   // a scalar as it is; a list as "a,b" or as YAML flow text "[{prefix: …}]"
  std::string origin;  // shown in problems: "--listen", "NEARCACHED_L1_TTL"
};

// What the variables say, in the order of the rows; secret files have been read. Reports unknown
// variables, and secrets that are given twice or whose file cannot be used.
std::vector<Override> OverridesFromEnvironment(const Environment& environment,
                                               ProblemList& problems);

}  // namespace nearcached::config
