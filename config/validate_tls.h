// TLS settings that are right alone and wrong together, as far as that shows without opening a
// file.
//
// Thread: pure functions. Never throws.
#pragma once

#include "config/assign.h"
#include "config/config.h"
#include "config/problem.h"

namespace nearcached::config {

// As Validate() (validate.h), for upstream.tls and the tls of each listener.
void ValidateTls(const Config& config, const GivenPaths& given, ProblemList& problems);

}  // namespace nearcached::config
