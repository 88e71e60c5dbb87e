#include "daemon/cache/blob.h"

#include <string>

#include <doctest/doctest.h>

#include "daemon/cache/stats.h"

namespace nearcached {
namespace {

constexpr std::size_t kMib = std::size_t{1} << 20U;

// A heap that is given up at the end of the test, as L1 does it. Leaks and uses after free are the
// sanitizers' to find.
struct Heap {
  Heap() = default;
  ~Heap() { heap->Abandon(); }
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  L1Stats stats;
  BlobHeap* heap = new BlobHeap(stats);
};

TEST_CASE("a blob is charged at least what it takes, and not a quarter more") {
  std::uint64_t last = 0;
  for (std::size_t size = 0; size < 2 * kMib; size += size < 5000 ? 1 : 977) {
    CAPTURE(size);
    const std::uint64_t need = sizeof(Blob) + size;
    const std::uint64_t charge = BlobHeap::ChargeFor(size);
    REQUIRE(charge >= need);
    REQUIRE(charge <= need + need / 4 + 16);
    REQUIRE(charge >= last);
    last = charge;
  }
}

TEST_CASE("the charge follows the size classes of the allocator, and whole pages from 256 KiB") {
  const auto charge = [](std::size_t whole) { return BlobHeap::ChargeFor(whole - sizeof(Blob)); };
  CHECK(charge(sizeof(Blob)) == (sizeof(Blob) + 15) / 16 * 16);
  CHECK(charge(128) == 128);
  CHECK(charge(129) == 160);
  CHECK(charge(256) == 256);
  CHECK(charge(257) == 320);
  CHECK(charge(1025) == 1280);
  CHECK(charge(BlobHeap::kMapFrom - 1) == BlobHeap::kMapFrom);
  CHECK(charge(BlobHeap::kMapFrom) == BlobHeap::kMapFrom);
  CHECK(charge(BlobHeap::kMapFrom + 1) == BlobHeap::kMapFrom + 4096);
}

TEST_CASE("key and value come back whole, empty ones too, however they are kept") {
  Heap h;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{5000}, 2 * kMib}) {
    CAPTURE(size);
    const std::string value(size, 'v');
    Blob* blob = h.heap->Make("key", {}, value, true);
    CHECK(std::string_view(blob->data(), 3) == "key");
    CHECK(blob->value() == value);
    CHECK((blob->mapped != 0) == (size >= BlobHeap::kMapFrom));
    h.heap->LeaveCache(blob);
    Blob* nameless = h.heap->Make("", {}, value, true);
    CHECK(nameless->head_size == 0);
    CHECK(nameless->value() == value);
    h.heap->LeaveCache(nameless);
  }
  h.heap->Release(10 * kMib);
  CHECK(h.heap->bytes() == 0);
}

TEST_CASE("a cached blob that is referred to moves from cached to pinned, then away") {
  Heap h;
  Blob* blob = h.heap->Make("k", {}, std::string(1000, 'x'), true);
  const std::uint64_t charge = BlobHeap::ChargeFor(1001);
  BlobHeap::AddRef(blob);
  BlobHeap::AddRef(blob);
  CHECK(h.heap->cached_bytes() == charge);
  CHECK(h.heap->pinned_bytes() == 0);

  h.heap->LeaveCache(blob);
  CHECK(h.heap->cached_bytes() == 0);
  CHECK(h.heap->pinned_bytes() == charge);

  BlobHeap::Unref(blob);
  CHECK(h.heap->pinned_bytes() == charge);
  CHECK(blob->value().size() == 1000);
  BlobHeap::Unref(blob);
  CHECK(h.heap->bytes() == 0);
}

TEST_CASE("a reference that goes before the entry changes nothing in the books") {
  Heap h;
  Blob* blob = h.heap->Make("k", {}, "v", true);
  BlobHeap::AddRef(blob);
  BlobHeap::Unref(blob);
  CHECK(h.heap->cached_bytes() == BlobHeap::ChargeFor(2));
  CHECK(h.heap->pinned_bytes() == 0);
  h.heap->LeaveCache(blob);
  CHECK(h.heap->bytes() == 0);
}

TEST_CASE("the gauges follow when the last reference to a pinned value goes") {
  Heap h;
  Blob* blob = h.heap->Make("k", {}, std::string(500, 'x'), false);
  const auto charge = static_cast<std::int64_t>(BlobHeap::ChargeFor(501));
  h.stats.bytes.Set(10'000 + charge);
  h.stats.pinned_bytes.Set(charge);
  BlobHeap::Unref(blob);
  CHECK(h.stats.pinned_bytes.value() == 0);
  CHECK(h.stats.bytes.value() == 10'000);
}

TEST_CASE("a large mapping is given back piece by piece and counts until it is") {
  Heap h;
  Blob* blob = h.heap->Make("k", {}, std::string(kMib, 'x'), true);
  const std::uint64_t mapped = blob->mapped;
  CHECK_FALSE(h.heap->release_pending());
  h.heap->LeaveCache(blob);
  CHECK(h.heap->release_pending());
  CHECK(h.heap->cached_bytes() == 0);
  CHECK(h.heap->bytes() == mapped);

  h.heap->Release(1);  // a page is the least that can be given back
  CHECK(h.heap->bytes() == mapped - 4096);
  h.heap->Release(512U << 10U);
  CHECK(h.heap->bytes() == mapped - 4096 - (512U << 10U));
  CHECK(h.heap->release_pending());
  h.heap->Release(kMib);
  CHECK(h.heap->bytes() == 0);
  CHECK_FALSE(h.heap->release_pending());
  h.heap->Release(kMib);  // nothing is left, nothing happens
}

TEST_CASE("one release goes on to the next mapping when the first is gone") {
  Heap h;
  for (int i = 0; i < 3; ++i) {
    h.heap->LeaveCache(h.heap->Make("k", {}, std::string(BlobHeap::kMapFrom, 'x'), true));
  }
  const std::uint64_t all = h.heap->bytes();
  h.heap->Release(all / 2);
  CHECK(h.heap->release_pending());
  CHECK(h.heap->bytes() <= all / 2 + 4096);
  h.heap->Release(all);
  CHECK_FALSE(h.heap->release_pending());
}

TEST_CASE("an abandoned heap lives as long as its last blob, small or mapped") {
  L1Stats stats;
  auto* heap = new BlobHeap(stats);
  Blob* small = heap->Make("a", {}, "small", true);
  Blob* large = heap->Make("b", {}, std::string(kMib, 'x'), true);
  BlobHeap::AddRef(small);
  BlobHeap::AddRef(large);
  heap->LeaveCache(small);
  heap->LeaveCache(large);
  heap->LeaveCache(heap->Make("c", {}, std::string(kMib, 'y'), true));  // dying when the owner goes
  heap->Abandon();
  CHECK(small->value() == "small");
  BlobHeap::Unref(small);
  CHECK(large->value().size() == kMib);
  CHECK(large->value().back() == 'x');
  BlobHeap::Unref(large);  // and with it the heap
}

}  // namespace
}  // namespace nearcached
