#include "daemon/cache/slab.h"

#include <map>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

TEST_CASE("every size has a class that holds it and wastes little") {
  for (const std::uint32_t chunk : {4096U, 16384U, 65536U}) {
    const SlabArena arena(chunk, std::uint64_t{1} << 30U);
    for (std::size_t size = 1; size <= arena.slot_bytes_max(); ++size) {
      const std::uint32_t slot = arena.ClassSlotBytes(arena.ClassFor(size));
      REQUIRE(slot >= size);
      REQUIRE(slot <= std::max<std::size_t>(48, size + size / 7 + 4));
    }
    CHECK(arena.ClassSlotBytes(arena.ClassFor(arena.slot_bytes_max())) == arena.slot_bytes_max());
  }
}

TEST_CASE("slots do not overlap and keep what is written to them") {
  SlabArena arena(4096, 1'000'000);
  Rng rng(1);
  std::map<EntryId, unsigned char> model;
  const auto fill = [&](EntryId id, std::size_t size, unsigned char with) {
    std::memset(PayloadOf(arena.At(id)), with, size - sizeof(Entry));
    model[id] = with;
  };
  for (int i = 0; i < 5000; ++i) {
    if (rng.Below(5) < 3 || model.empty()) {
      const std::size_t size = 40 + rng.Below(arena.slot_bytes_max() - 40);
      const EntryId id = arena.Allocate(arena.ClassFor(size));
      REQUIRE(id != kNoEntry);
      REQUIRE_FALSE(model.contains(id));
      fill(id, size, static_cast<unsigned char>(i));
    } else {
      const auto it = std::next(model.begin(), static_cast<long>(rng.Below(model.size())));
      REQUIRE(static_cast<unsigned char>(*PayloadOf(arena.At(it->first))) == it->second);
      arena.Free(it->first);
      model.erase(it);
    }
  }
  arena.CheckInvariants();
  CHECK(arena.live_slots() == model.size());
}

TEST_CASE("an emptied chunk serves another class and is given back when trimmed") {
  SlabArena arena(4096, 1'000'000);
  std::vector<EntryId> ids;
  for (int i = 0; i < 1000; ++i) {
    ids.push_back(arena.Allocate(arena.ClassFor(40)));
  }
  const std::uint64_t full = arena.bytes();
  for (const EntryId id : ids) {
    arena.Free(id);
  }
  CHECK(arena.bytes() == full);
  CHECK(arena.pool_bytes() > 9 * 4096);
  CHECK(arena.HasRoom(arena.ClassFor(200)));
  const EntryId other = arena.Allocate(arena.ClassFor(200));
  CHECK(arena.bytes() == full);
  while (arena.TrimPool(1)) {
    arena.CheckInvariants();
  }
  CHECK(arena.bytes() < full / 4);
  CHECK(arena.At(other).live());
}

TEST_CASE("compaction empties sparse chunks, moving a bounded number each time, losing nothing") {
  SlabArena arena(4096, 1'000'000);
  Rng rng(2);
  std::map<EntryId, std::uint32_t> model;  // id to what its hash field says
  for (std::uint32_t i = 0; i < 3000; ++i) {
    const EntryId id = arena.Allocate(arena.ClassFor(100));
    arena.At(id).hash = i;
    model[id] = i;
  }
  const std::uint64_t full = arena.bytes();
  for (auto it = model.begin(); it != model.end();) {
    if (rng.Below(4) != 0) {
      arena.Free(it->first);
      it = model.erase(it);
    } else {
      ++it;
    }
  }
  std::size_t moves = 0;
  for (int i = 0; i < 5000; ++i) {
    moves = 0;
    arena.Compact(8, [&](EntryId from, EntryId to) {
      ++moves;
      REQUIRE(arena.At(to).hash == model.at(from));
      model[to] = model.at(from);
      model.erase(from);
    });
    REQUIRE(moves <= 8);
  }
  arena.CheckInvariants();
  for (const auto& [id, value] : model) {
    REQUIRE(arena.At(id).live());
    REQUIRE(arena.At(id).hash == value);
  }
  CHECK(arena.live_slots() == model.size());
  CHECK(arena.bytes() - arena.pool_bytes() < full / 3);  // a quarter of the entries is left
}

TEST_CASE("frees and allocations in the middle of a compaction keep the books right") {
  SlabArena arena(4096, 1'000'000);
  Rng rng(3);
  std::set<EntryId> live;
  for (int i = 0; i < 20000; ++i) {
    const bool grow = (i / 2000) % 2 == 0;
    if (live.empty() || rng.Below(10) < (grow ? 7U : 3U)) {
      live.insert(arena.Allocate(arena.ClassFor(60 + rng.Below(3) * 60)));
    } else {
      const auto it = std::next(live.begin(), static_cast<long>(rng.Below(live.size())));
      arena.Free(*it);
      live.erase(it);
    }
    arena.Compact(2, [&](EntryId from, EntryId to) {
      live.erase(from);
      live.insert(to);
    });
    if (i % 50 == 0) {
      arena.CheckInvariants();
    }
  }
  CHECK(arena.live_slots() == live.size());
}

}  // namespace
}  // namespace nearcached
