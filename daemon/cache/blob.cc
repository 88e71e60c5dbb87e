#include "daemon/cache/blob.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/mman.h>

#include "daemon/base/check.h"
#include "daemon/cache/value_ref.h"

namespace nearcached {
namespace {

constexpr std::size_t kPage = 4096;

std::uint64_t RoundUp(std::uint64_t n, std::uint64_t to) {
  return (n + to - 1) / to * to;
}

}  // namespace

std::uint64_t BlobHeap::ChargeFor(std::size_t bytes) {
  const std::uint64_t n = sizeof(Blob) + bytes;
  if (n >= kMapFrom) {
    return RoundUp(n, kPage);
  }
  if (n <= 128) {
    return RoundUp(n, 16);
  }
  return RoundUp(n, std::bit_ceil(n) / 8);
}

Blob* BlobHeap::Make(std::string_view key, std::string_view variant, std::string_view value,
                     bool cached) {
  const std::size_t size = key.size() + variant.size() + value.size();
  const std::uint64_t charge = ChargeFor(size);
  void* memory = nullptr;
  std::uint64_t mapped = 0;
  if (sizeof(Blob) + size >= kMapFrom) {
    mapped = charge;
    memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NC_CHECK(memory != MAP_FAILED);
  } else {
    memory = ::operator new(sizeof(Blob) + size);
  }
  auto* blob = new (memory) Blob{};
  blob->heap = this;
  blob->size = size;
  blob->mapped = mapped;
  blob->head_size = static_cast<std::uint32_t>(key.size() + variant.size());
  blob->refs = 1;
  blob->cached = cached;
  char* at = std::copy(key.begin(), key.end(), blob->data());
  at = std::copy(variant.begin(), variant.end(), at);
  std::copy(value.begin(), value.end(), at);
  ++blobs_;
  (cached ? cached_bytes_ : pinned_bytes_) += charge;
  return blob;
}

void BlobHeap::Unref(Blob* blob) {
  NC_CHECK(blob->refs > 0);
  if (--blob->refs == 0) {
    BlobHeap* heap = blob->heap;
    const std::uint64_t charge = ChargeFor(blob->size);
    heap->pinned_bytes_ -= charge;
    if (heap->stats_ != nullptr) {
      heap->stats_->pinned_bytes.Set(static_cast<std::int64_t>(heap->pinned_bytes_));
      heap->stats_->bytes.Sub(blob->mapped == 0 ? static_cast<std::int64_t>(charge) : 0);
    }
    heap->Destroy(blob);
  }
}

void BlobHeap::LeaveCache(Blob* blob) {
  NC_CHECK(blob->cached && blob->refs > 0);
  blob->cached = false;
  const std::uint64_t charge = ChargeFor(blob->size);
  cached_bytes_ -= charge;
  if (--blob->refs == 0) {
    Destroy(blob);
  } else {
    pinned_bytes_ += charge;
  }
}

// Nobody refers to the blob any more.
void BlobHeap::Destroy(Blob* blob) {
  if (stats_ == nullptr) {
    Forget(blob);
    if (blobs_ == 0) {
      delete this;
    }
  } else if (blob->mapped == 0) {
    Forget(blob);
  } else {
    dying_bytes_ += blob->mapped;
    blob->next_dying = dying_;
    dying_ = blob;
  }
}

void BlobHeap::Forget(Blob* blob) {
  if (blob->mapped == 0) {
    ::operator delete(blob);
  } else {
    NC_CHECK(munmap(blob, blob->mapped) == 0);
  }
  --blobs_;
}

void BlobHeap::Release(std::size_t bytes) {
  std::uint64_t left = std::max(bytes, kPage);
  while (dying_ != nullptr && left > 0) {
    Blob* blob = dying_;
    const std::uint64_t piece = std::min(RoundUp(left, kPage), blob->mapped);
    dying_bytes_ -= piece;
    left -= std::min(left, piece);
    if (piece == blob->mapped) {
      dying_ = blob->next_dying;
      Forget(blob);
    } else {
      // The tail first: the header in the first page still says how much is left.
      blob->mapped -= piece;
      NC_CHECK(munmap(reinterpret_cast<char*>(blob) + blob->mapped, piece) == 0);
    }
  }
}

void BlobHeap::Abandon() {
  Release(dying_bytes_);
  stats_ = nullptr;
  if (blobs_ == 0) {
    delete this;
  }
}

ValueRef::ValueRef(const ValueRef& other) : blob_(other.blob_) {
  if (blob_ != nullptr) {
    BlobHeap::AddRef(blob_);
  }
}

ValueRef::~ValueRef() {
  if (blob_ != nullptr) {
    BlobHeap::Unref(blob_);
  }
}

std::string_view ValueRef::view() const {
  return blob_ == nullptr ? std::string_view{} : blob_->value();
}

}  // namespace nearcached
