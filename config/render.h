// A Config as text for people: `NEARCACHE CONFIG`, --print-config, REFERENCE.md.
//
// Thread: pure functions. Never throws. Secrets are never shown.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

namespace nearcached::config {

// Every key that has a value, with its value, in the order of the schema. Keys a rule leaves out
// are left out; secrets are "******", or empty where there is none.
std::vector<std::pair<std::string, std::string>> ListConfig(const Config& config);

// The same as lines of "path: value"; texts are in quotes.
std::string RenderConfig(const Config& config);

// REFERENCE.md, printed from the rows of the schema.
std::string RenderReference();

}  // namespace nearcached::config
