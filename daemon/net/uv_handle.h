// UvHandle<T>: owns one libuv handle (uv_poll_t, uv_timer_t, …) and is the only caller of uv_close.
//
// libuv keeps pointers to a handle until its close callback has run, which is after the current
// callback and often after the C++ owner is gone. So the handle lives on the heap apart from its
// owner and belongs to the loop once closing starts: destroying a UvHandle nulls `data`, starts the
// close, and the close callback frees the memory. Every trampoline must therefore begin with
//     auto* self = static_cast<Owner*>(handle->data);  if (self == nullptr) return;
// and must look at handle->data again after every call out, which may have destroyed the owner. The
// handle itself is still readable then: close callbacks run only after the I/O callbacks.
//
// Loop thread only. Trampolines are static and noexcept: nothing may unwind through C frames.
#pragma once

#include <memory>
#include <utility>

#include <uv.h>

namespace nearcached {

template <typename T>
class UvHandle {
 public:
  // Allocates a handle and calls `init(T*)`, one of uv_*_init, which returns 0 or a negative libuv
  // error. On success `owner` is what trampolines find in data. On failure nothing is held and the
  // error is returned. REQUIRES: empty. `owner` must not move while the handle is held.
  template <typename Init>
  [[nodiscard]] int Open(void* owner, Init&& init) {
    auto memory = std::make_unique<T>();
    if (const int rc = std::forward<Init>(init)(memory.get()); rc < 0) {
      return rc;  // never became known to the loop: plain memory, freed here
    }
    memory->data = owner;
    handle_.reset(memory.release());
    return 0;
  }

  // Starts the close now instead of at destruction. Harmless when empty.
  void Close() { handle_.reset(); }

  // Null before Open and after Close.
  [[nodiscard]] T* get() const { return handle_.get(); }
  explicit operator bool() const { return handle_ != nullptr; }

  // Seen as the base type that uv_ref, uv_unref and uv_is_active want. REQUIRES: not empty.
  [[nodiscard]] uv_handle_t* base() const { return reinterpret_cast<uv_handle_t*>(handle_.get()); }

 private:
  struct Closer {
    void operator()(T* handle) const noexcept {
      handle->data = nullptr;
      uv_close(reinterpret_cast<uv_handle_t*>(handle), &Closer::Free);
    }
    static void Free(uv_handle_t* handle) noexcept { delete reinterpret_cast<T*>(handle); }
  };

  std::unique_ptr<T, Closer> handle_;
};

}  // namespace nearcached
