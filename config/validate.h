// What single keys cannot tell: values that are right alone and wrong together.
//
// Thread: pure functions. Never throws.
#pragma once

#include <string_view>

#include "config/assign.h"
#include "config/config.h"
#include "config/problem.h"

namespace nearcached::config {

// Checks a Config whose single values are in range. `given` tells where values were written: a
// problem points at the one that was given last, in the sense of a reader. A check whose values
// have a problem already is left out, so that one mistake gives one problem.
void Validate(const Config& config, const GivenPaths& given, ProblemList& problems);

// Where `path` was written, or the nearest thing around it that was.
Place PlaceOf(const GivenPaths& given, std::string_view path);

// What is allowed but seldom meant; worth a line in the log.
void CollectWarnings(const Config& config, const GivenPaths& given, ProblemList& warnings);

}  // namespace nearcached::config
