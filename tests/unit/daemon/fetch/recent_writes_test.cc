#include "daemon/fetch/recent_writes.h"

#include <chrono>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

MonoTime At(int seconds) {
  return MonoTime(std::chrono::seconds(seconds));
}

TEST_CASE("a key that was not written shows no time") {
  RecentWrites writes;
  writes.Note({.hashes = {1, 2}, .all = false}, At(5));
  CHECK(writes.LastOf(3) == MonoTime::min());
  CHECK(writes.LastOf(1) == At(5));
  CHECK(writes.LastOf(2) == At(5));
}

TEST_CASE("the latest write of a key counts") {
  RecentWrites writes;
  writes.Note({.hashes = {1}, .all = false}, At(5));
  writes.Note({.hashes = {1}, .all = false}, At(7));
  CHECK(writes.LastOf(1) == At(7));
}

TEST_CASE("what may have written any key counts for every key, but no later write is forgotten") {
  RecentWrites writes;
  writes.Note({.hashes = {1}, .all = false}, At(5));
  writes.Note({.hashes = {}, .all = true}, At(6));
  CHECK(writes.LastOf(1) == At(6));
  CHECK(writes.LastOf(2) == At(6));
  writes.Note({.hashes = {2}, .all = false}, At(8));
  CHECK(writes.LastOf(1) == At(6));
  CHECK(writes.LastOf(2) == At(8));
}

TEST_CASE("keys that share a place are taken for written, never for unwritten") {
  RecentWrites writes;
  writes.Note({.hashes = {1}, .all = false}, At(5));
  CHECK(writes.LastOf(1 + RecentWrites::kPlaces) == At(5));
}

}  // namespace
}  // namespace nearcached
