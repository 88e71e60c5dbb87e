#include "daemon/cache/index.h"

#include <map>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

// An index whose entries' hashes are kept in a map.
class IndexFixture {
 public:
  ~IndexFixture() { Check(); }
  void Add(EntryId id, std::uint64_t hash) {
    hashes[id] = hash;
    index.Insert(IndexHash(hash), IndexTag(hash), id);
  }
  void Remove(EntryId id) {
    index.Erase(IndexHash(hashes[id]), id);
    hashes.erase(id);
  }
  EntryId Find(EntryId id) const {
    const std::uint64_t hash = hashes.at(id);
    return index.Find(IndexHash(hash), IndexTag(hash), [id](EntryId other) { return other == id; });
  }
  void Resize(std::size_t steps) {
    index.Resize(
        steps, [this](EntryId id) { return IndexHash(hashes.at(id)); }, [](EntryId) {});
  }
  void Check() const {
    index.CheckInvariants([this](EntryId id) { return IndexHash(hashes.at(id)); });
    CHECK(index.size() == hashes.size());
  }

  HashIndex index;
  std::map<EntryId, std::uint64_t> hashes;
};

TEST_CASE("every id is found at every step of growing and shrinking") {
  IndexFixture f;
  Rng rng(1);
  for (EntryId id = 1; id <= 4000; ++id) {
    f.Add(id, rng.Next());
    f.Resize(1);
    for (EntryId probe = 1 + id % 13; probe <= id; probe += 13) {
      REQUIRE(f.Find(probe) == probe);
    }
  }
  f.Check();
  const std::uint64_t grown = f.index.bytes();
  for (EntryId id = 1; id <= 4000; ++id) {
    f.Remove(id);
    f.Resize(2);
    for (EntryId probe = id + 1 + id % 17; probe <= 4000; probe += 17) {
      REQUIRE(f.Find(probe) == probe);
    }
  }
  for (int i = 0; i < 1000 && f.index.resizing(); ++i) {
    f.Resize(4);
  }
  CHECK_FALSE(f.index.resizing());
  CHECK(f.index.bytes() < grown / 2);
}

TEST_CASE("one step of resizing moves a bounded number of entries") {
  IndexFixture f;
  Rng rng(2);
  std::size_t looked_at = 0;
  for (EntryId id = 1; id <= 20000; ++id) {
    f.Add(id, rng.Next());
    looked_at = 0;
    f.index.Resize(
        2,
        [&](EntryId moved) {
          ++looked_at;
          return IndexHash(f.hashes.at(moved));
        },
        [](EntryId) {});
    REQUIRE(looked_at < 100);
  }
}

TEST_CASE("ids of one hash chain through overflow buckets and unchain again") {
  IndexFixture f;
  constexpr std::uint64_t kHash = 0x123456789abcdef0ULL;
  for (EntryId id = 1; id <= 200; ++id) {
    f.Add(id, kHash);
  }
  f.Check();
  for (EntryId id = 200; id >= 1; id -= 2) {
    f.Remove(id);
    f.Check();
  }
  for (EntryId id = 1; id <= 199; id += 2) {
    CHECK(f.Find(id) == id);
    f.Remove(id);
  }
  CHECK(f.index.size() == 0);
}

TEST_CASE("an entry that moved is found under its new id only") {
  IndexFixture f;
  f.Add(7, 42ULL << 32U | 9);
  f.index.Replace(42, 7, 8);
  f.hashes = {{8, 42ULL << 32U | 9}};
  CHECK(f.Find(8) == 8);
  CHECK_FALSE(f.index.Contains(42, 7));
}

TEST_CASE("the guess for prefetching is right for nearly all") {
  IndexFixture f;
  Rng rng(3);
  for (EntryId id = 1; id <= 10000; ++id) {
    f.Add(id, rng.Next());
    f.Resize(2);
  }
  std::size_t right = 0;
  for (const auto& [id, hash] : f.hashes) {
    right += f.index.Guess(IndexHash(hash), IndexTag(hash)) == id ? 1 : 0;
  }
  CHECK(right > 9500);
}

TEST_CASE("a cursor visits everything that stays, through any resizing in between") {
  for (const bool growing : {true, false}) {
    CAPTURE(growing);
    IndexFixture f;
    Rng rng(4);
    for (EntryId id = 1; id <= 3000; ++id) {
      f.Add(id, rng.Next());
      f.Resize(2);
    }
    std::set<EntryId> seen;
    std::vector<EntryId> ids;
    std::uint32_t cursor = 0;
    EntryId next = 3001;
    EntryId gone = 3000;
    do {
      ids.clear();
      cursor = f.index.Visit(cursor, ids);
      seen.insert(ids.begin(), ids.end());
      for (int i = 0; i < 20; ++i) {
        if (growing) {
          f.Add(next++, rng.Next());
        } else if (gone > 500) {
          f.Remove(gone--);
        }
        f.Resize(2);
      }
    } while (cursor != 0);
    for (EntryId id = 1; id <= (growing ? 3000U : 500U); ++id) {
      REQUIRE(seen.contains(id));
    }
  }
}

TEST_CASE("a tag is never the mark of an empty slot") {
  for (std::uint64_t hash = 0; hash < 1024; ++hash) {
    REQUIRE(IndexTag(hash) != 0);
  }
}

}  // namespace
}  // namespace nearcached
