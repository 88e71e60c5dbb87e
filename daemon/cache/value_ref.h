// A counted reference to the bytes of one cached value, so that a hit can be sent without copying
// while the entry itself is evicted, invalidated or overwritten, or the whole cache is destroyed.
//
// Loop thread of the owning L1 only (the count is not atomic). 8 bytes; copying costs one add.
#pragma once

#include <string_view>
#include <utility>

namespace nearcached {

struct Blob;  // blob.h

class ValueRef {
 public:
  ValueRef() = default;
  ValueRef(const ValueRef& other);
  ValueRef(ValueRef&& other) noexcept : blob_(std::exchange(other.blob_, nullptr)) {}
  ValueRef& operator=(const ValueRef& other) {
    ValueRef(other).Swap(*this);
    return *this;
  }
  ValueRef& operator=(ValueRef&& other) noexcept {
    ValueRef(std::move(other)).Swap(*this);
    return *this;
  }
  ~ValueRef();

  // False for a default-constructed or moved-from reference and for a Pin that found nothing.
  explicit operator bool() const { return blob_ != nullptr; }

  // The value's bytes, valid as long as this reference (or a copy of it) lives. Empty when unset.
  [[nodiscard]] std::string_view view() const;

 private:
  friend class L1;
  explicit ValueRef(Blob* counted) : blob_(counted) {}  // takes over one count
  void Swap(ValueRef& other) noexcept { std::swap(blob_, other.blob_); }

  Blob* blob_ = nullptr;
};

}  // namespace nearcached
