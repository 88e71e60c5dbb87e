// What the upstream's own COMMAND reply says about one command, as plain data.
//
// Maps one to one to an element of the reply (https://redis.io/docs/latest/commands/command/), so
// whoever talks to the upstream fills it without judging; CommandTable::MergeUpstream judges.
// Lists that an older server does not send (key specifications and subcommands came with 7.0, ACL
// categories with 6.0) stay empty.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nearcached {

// Element 9 of the reply, one entry: a map with flags, begin_search and find_keys.
struct UpstreamKeySpec {
  std::vector<std::string> flags;  // "RO", "RW", "OW", "RM", "access", "incomplete", "not_key" …
  std::string begin_search;        // its type: "index", "keyword", "unknown"
  std::int64_t index = 0;          // index: spec.index
  std::string keyword;             // keyword: spec.keyword
  std::int64_t start_from = 0;     // keyword: spec.startfrom
  std::string find_keys;           // its type: "range", "keynum", "unknown"
  std::int64_t last_key = 0;       // range: spec.lastkey
  std::int64_t limit = 0;          // range: spec.limit
  std::int64_t key_num_index = 0;  // keynum: spec.keynumidx
  std::int64_t first_key = 0;      // keynum: spec.firstkey
  std::int64_t key_step = 0;       // range and keynum: spec.keystep
};

struct UpstreamCommand {
  std::string name;                          // element 1; "config|set" for a subcommand
  std::int64_t arity = 0;                    // element 2
  std::vector<std::string> flags;            // element 3, as sent: "write", "readonly" …
  std::int64_t first_key = 0;                // element 4
  std::int64_t last_key = 0;                 // element 5
  std::int64_t key_step = 0;                 // element 6
  std::vector<std::string> acl_categories;   // element 7: "@read" …
  std::vector<std::string> tips;             // element 8: "nondeterministic_output" …
  std::vector<UpstreamKeySpec> key_specs;    // element 9
  std::vector<UpstreamCommand> subcommands;  // element 10
};

}  // namespace nearcached
