#include "daemon/command/key_extract.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"
#include "daemon/command/ascii.h"
#include "daemon/command/command_table.h"
#include "tests/support/fixture_file.h"

namespace nearcached {
namespace {

// One table and one result, as a worker has them.
struct Extractor {
  CommandTable table;
  std::vector<KeyVisit> visits;
  std::vector<std::string_view> args;

  // "SET k v"; the word "" stands for an empty argument. `visits` point into `call`.
  KeysVerdict operator()(std::string_view call) {
    args = Words(call);
    std::replace(args.begin(), args.end(), std::string_view("\"\""), std::string_view());
    return ExtractKeys(table.Find(args), args, visits);
  }
  // "R:a W:b", in the order they came; "none", "unknown".
  std::string Keys(std::string_view call) {
    switch ((*this)(call)) {
      case KeysVerdict::kNone:
        return "none";
      case KeysVerdict::kUnknown:
        return "unknown";
      case KeysVerdict::kKeys:
        break;
    }
    std::string text;
    for (const KeyVisit& visit : visits) {
      text += (text.empty() ? "" : " ") + std::string(visit.write ? "W:" : "R:") +
              std::string(visit.key);
    }
    return text;
  }
};

std::multiset<std::string> Sorted(std::string_view keys) {
  std::multiset<std::string> sorted;
  for (const std::string_view word : Words(keys)) {
    sorted.emplace(word);
  }
  return sorted;
}

// Calls whose keys count as written though the server names them RO: reading for a group moves the
// group's place, and a BITFIELD of nothing but GETs is not worth telling from the others.
bool AlwaysWrites(std::string_view call) {
  std::string name(Words(call)[0]);
  std::transform(name.begin(), name.end(), name.begin(), AsciiLower);
  return name == "xreadgroup" || name == "bitfield";
}

TEST_CASE("keys and their access are those that COMMAND GETKEYSANDFLAGS of Redis 7.0.15 names") {
  Extractor extract;
  const std::vector<std::string> lines = FixtureLines("redis_7_0_15_keys.txt");
  REQUIRE(lines.size() > 600);
  for (const std::string& line : lines) {
    const std::size_t arrow = line.find(" => ");
    REQUIRE(arrow != std::string::npos);
    const std::string call = line.substr(0, arrow);
    const std::string server = line.substr(arrow + 4);
    CAPTURE(line);
    const std::string ours = extract.Keys(call);
    if (server == "none") {
      // Where the server finds no key, ours may be in doubt, but never sure of one.
      CHECK((ours == "none" || ours == "unknown"));
    } else if (server == "invalid") {
      // Calls that the server refuses, and PFMERGE without a source, which it carries out.
      CHECK(ours == (call.starts_with("pfmerge ") ? "W:" + call.substr(8) : "unknown"));
    } else if (AlwaysWrites(call)) {
      std::string written = server;
      std::replace(written.begin(), written.end(), 'R', 'W');
      CHECK(Sorted(ours) == Sorted(written));
    } else {
      CHECK(Sorted(ours) == Sorted(server));
    }
  }
}

TEST_CASE("SORT writes the key after its last STORE, wherever the word occurs elsewhere") {
  Extractor extract;
  CHECK(extract.Keys("SORT k BY store GET store STORE d") == "R:k W:d");
  CHECK(extract.Keys("SORT k STORE a STORE b") == "R:k W:b");
  CHECK(extract.Keys("SORT k LIMIT store 5 GET #") == "R:k");
  CHECK(extract.Keys("SORT k STORE") == "unknown");
}

TEST_CASE("every STORE of GEORADIUS counts as written, a member called store does not") {
  Extractor extract;
  CHECK(extract.Keys("GEORADIUS k 1 2 3 km STORE a STORE b") == "R:k W:a W:b");
  CHECK(extract.Keys("GEORADIUSBYMEMBER k store 3 km ASC") == "R:k");
}

TEST_CASE("MIGRATE names one key, or what follows KEYS, and is not misled by a password") {
  Extractor extract;
  CHECK(extract.Keys("MIGRATE h 1 \"\" 0 9 AUTH2 keys keys KEYS a b") == "W:a W:b");
  CHECK(extract.Keys("MIGRATE h 1 k 0 9 KEYS a") == "W:k");
  CHECK(extract.Keys("MIGRATE h 1 \"\" 0 9 COPY") == "W:");
}

TEST_CASE("XREADGROUP finds STREAMS behind options in any order and names that mislead") {
  Extractor extract;
  CHECK(extract.Keys("XREADGROUP COUNT 1 GROUP streams streams STREAMS a b > >") == "W:a W:b");
  CHECK(extract.Keys("XREAD COUNT 2 STREAMS streams 0") == "R:streams");
  CHECK(extract.Keys("XREAD STREAMS a b 0") == "unknown");
  CHECK(extract.Keys("XREAD NEWOPTION 1 STREAMS a 0") == "unknown");
}

TEST_CASE("later commands: counted pairs, triples, vector sets, modules") {
  Extractor extract;
  CHECK(extract.Keys("MSETEX 2 a 1 b 2 EX 10") == "W:a W:b");
  CHECK(extract.Keys("JSON.MSET a $ 1 b $ 2") == "W:a W:b");
  CHECK(extract.Keys("JSON.MGET a b $") == "R:a R:b");
  CHECK(extract.Keys("VSIM v ELE e") == "R:v");
  CHECK(extract.Keys("CMS.MERGE d 2 a b WEIGHTS 1 2") == "W:d R:a R:b");
  CHECK(extract.Keys("TS.CREATERULE a b AGGREGATION avg 10") == "W:a W:b");
  CHECK(extract.Keys("FT.SEARCH idx *") == "none");
}

TEST_CASE("a command nobody knows may write each of its arguments") {
  Extractor extract;
  REQUIRE(extract("NEWTHING a b a") == KeysVerdict::kUnknown);
  CHECK(extract.visits == std::vector<KeyVisit>{{"a", true}, {"b", true}, {"a", true}});
  REQUIRE(extract("XGROUP NEWSUB k g") == KeysVerdict::kUnknown);
  CHECK(extract.visits == std::vector<KeyVisit>{{"NEWSUB", true}, {"k", true}, {"g", true}});
  REQUIRE(extract("CONFIG") == KeysVerdict::kUnknown);
  CHECK(extract.visits.empty());
}

TEST_CASE("a key count that is no number, negative or too large leaves the keys unknown") {
  Extractor extract;
  for (const std::string_view count : {"x", "-1", "3", "99999999999999999999", "1x", "\"\""}) {
    CAPTURE(count);
    const std::string call = "EVAL s " + std::string(count) + " a b";
    CHECK(extract(call) == KeysVerdict::kUnknown);
    REQUIRE(extract.visits.size() == 4);
    CHECK(extract.visits[2] == KeyVisit{"a", true});
  }
  REQUIRE(extract("ZINTERCARD 9 a b") == KeysVerdict::kUnknown);
  CHECK(extract.visits[1] == KeyVisit{"a", false});  // read-only, whatever its keys
}

TEST_CASE("calls that are too short for their command are no danger") {
  Extractor extract;
  for (const CommandRow& row : BuiltinRows()) {
    CAPTURE(row.name);
    std::vector<std::string_view> args{row.name};
    for (int size = 1; size < 4; ++size, args.emplace_back("1")) {
      const KeysVerdict verdict = ExtractKeys(row, args, extract.visits);
      CHECK((verdict == KeysVerdict::kKeys) ==
            (verdict != KeysVerdict::kUnknown && !extract.visits.empty()));
    }
  }
}

TEST_CASE("no arguments of any command make extraction leave the call") {
  // Words that the scanners look for, in every order: each key must be one of the arguments.
  constexpr std::array<std::string_view, 14> kWords{"1",    "2",       "-1",    "0",     "99",
                                                    "keys", "streams", "store", "block", "limit",
                                                    "",     "auth2",   "group", "k"};
  Rng rng(20221);
  std::vector<KeyVisit> visits;
  for (int round = 0; round < 40; ++round) {
    for (const CommandRow& row : BuiltinRows()) {
      std::vector<std::string_view> args{row.name};
      const std::uint64_t size = rng.Below(9);
      while (args.size() <= size) {
        args.push_back(kWords[rng.Below(kWords.size())]);
      }
      const KeysVerdict verdict = ExtractKeys(row, args, visits);
      CHECK((verdict == KeysVerdict::kNone) <= visits.empty());
      for (const KeyVisit& visit : visits) {
        const bool inside = std::any_of(args.begin() + 1, args.end(), [&](std::string_view arg) {
          return arg.data() == visit.key.data() && arg.size() == visit.key.size();
        });
        REQUIRE(inside);
        REQUIRE((!visit.write || !row.Is(CommandFlag::kReadOnly)));
      }
    }
  }
}

}  // namespace
}  // namespace nearcached
