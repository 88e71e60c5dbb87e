// Reading a file that is meant to be small.
//
// Thread: any. Never throws. Blocks while it reads.
#pragma once

#include <cstddef>
#include <string>

#include "config/parsed.h"

namespace nearcached::config {

// The bytes of a regular file or a pipe; directories, devices and sockets are refused. Of a file
// larger than `max`, `max` + 1 bytes come back, so that the caller can say what is too large.
Parsed<std::string> ReadSmallFile(const std::string& path, std::size_t max);

}  // namespace nearcached::config
