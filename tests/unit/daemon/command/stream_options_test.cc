#include "daemon/command/stream_options.h"

#include <vector>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using Args = std::vector<std::string_view>;

struct Found {
  std::size_t streams;
  std::size_t block;
  friend bool operator==(const Found&, const Found&) = default;
};

Found Find(const Args& args) {
  const StreamOptions options = FindStreamOptions(args);
  return {options.streams, options.block};
}

TEST_CASE("STREAMS and BLOCK are found behind options in any order and case") {
  CHECK(Find({"XREAD", "STREAMS", "s", "0"}) == Found{1, 0});
  CHECK(Find({"XREAD", "block", "0", "Streams", "s", "$"}) == Found{3, 1});
  CHECK(Find({"XREAD", "COUNT", "2", "BLOCK", "5", "STREAMS", "s", "0"}) == Found{5, 3});
  CHECK(Find({"XREADGROUP", "GROUP", "g", "c", "NOACK", "BLOCK", "5", "COUNT", "1", "STREAMS", "s",
              ">"}) == Found{9, 5});
  CHECK(Find({"XREADGROUP", "GROUP", "g", "c", "CLAIM", "100", "STREAMS", "s", ">"}) ==
        Found{6, 0});
}

TEST_CASE("the value of an option is never taken for an option") {
  CHECK(Find({"XREADGROUP", "GROUP", "streams", "block", "STREAMS", "s", ">"}) == Found{4, 0});
  CHECK(Find({"XREADGROUP", "GROUP", "block", "streams", "BLOCK", "1", "STREAMS", "s", ">"}) ==
        Found{6, 4});
  CHECK(Find({"XREAD", "COUNT", "STREAMS", "STREAMS", "s", "0"}) == Found{3, 0});
}

TEST_CASE("what stands behind STREAMS is keys, whatever they are called") {
  CHECK(Find({"XREAD", "STREAMS", "block", "streams", "0", "0"}) == Found{1, 0});
}

TEST_CASE(
    "behind an option nobody knows the keys are unknown, but that it may block is not missed") {
  CHECK(Find({"XREAD", "NEWER", "STREAMS", "s", "0"}) == Found{0, 0});
  CHECK(Find({"XREAD", "NEWER", "7", "BLOCK", "0", "STREAMS", "s", "0"}) == Found{0, 3});
  CHECK(Find({"XREAD", "BLOCK", "0", "NEWER", "BLOCK", "9", "STREAMS", "s", "0"}) == Found{0, 1});
}

TEST_CASE("calls that are cut off at any argument are no danger") {
  const Args whole = {"XREADGROUP", "GROUP", "g", "c", "BLOCK", "5", "COUNT", "1", "STREAMS"};
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const Args cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(Find(cut).streams == 0);
    CHECK(Find(cut).block == (size > 4 ? 4 : 0));
  }
  CHECK(Find(whole) == Found{8, 4});
}

}  // namespace
}  // namespace nearcached
