// What follows from the values that were given: the last step before checking them together.
//
// Thread: pure function over the Config it is given. Never throws.
#pragma once

#include "config/assign.h"
#include "config/config.h"

namespace nearcached::config {

// - Takes upstream.url apart into topology, hosts, path, username, password, db and the name of the
//   master, and leaves it without credentials. A key given on its own comes before what the URL
//   says, unless the URL was given in a place that counts more (--upstream over a password in the
//   file).
// - Lowers a negative_ttl that nobody gave to the ttl it stands beside: the absence of a key is
//   not to be believed for longer than a value.
void Resolve(Config& config, const GivenPaths& given);

}  // namespace nearcached::config
