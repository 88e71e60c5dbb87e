// Loading: file, environment and command line into one checked Config, or all that is wrong.
//
// What counts more: defaults < file < environment < command line. loader.cc is the only file that
// knows yaml-cpp; its exceptions end there.
//
// Thread: any, one call at a time per Config. Never throws. Reads the named file (and files named
// by NEARCACHED_…_FILE) and nothing else; blocks while it does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/assign.h"
#include "config/config.h"
#include "config/overrides.h"
#include "config/problem.h"

namespace nearcached::config {

struct LoadOptions {
  // From the command line, counting most. Of several for one key the last counts; several for a
  // list ("--listen a --listen b") make one list.
  std::vector<Override> overrides;
};

struct LoadResult {
  Config config;                  // complete and consistent if ok(); otherwise for nobody
  std::vector<Problem> problems;  // in the order file, environment, command line, all together
  std::vector<Problem> warnings;  // worth a line in the log; nothing is wrong
  GivenPaths given;               // where each value was written, for checks beyond this room

  bool ok() const { return problems.empty(); }
};

LoadResult LoadFile(const std::string& path, const Environment& environment,
                    const LoadOptions& options = {});

// `name` stands for the file in problems.
LoadResult LoadText(std::string_view text, const std::string& name, const Environment& environment,
                    const LoadOptions& options = {});

// Without a file.
LoadResult LoadDefaults(const Environment& environment, const LoadOptions& options = {});

}  // namespace nearcached::config
