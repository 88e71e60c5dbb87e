// Whatever a message on an invalidation channel holds, reading it stays inside it; what comes out
// is bounded, and never nothing: a notice drops something or is refused with a reason.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proto/invalidation_notice.h"

namespace {

void Require(bool held) {
  if (!held) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nearcached::proto::NoticeForm;
  constexpr std::size_t kNamesMax = 8;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  std::string_view why;
  const auto notice = nearcached::proto::ParseNotice(payload, NoticeForm::kText, kNamesMax, why);
  if (!notice) {
    Require(!why.empty());
    return 0;
  }
  const std::size_t names = notice->keys.size() + notice->prefixes.size();
  Require(names <= kNamesMax && (names == 0) == notice->everything);
  std::size_t bytes = notice->origin.size();
  for (const auto* list : {&notice->keys, &notice->prefixes}) {
    for (const auto& name : *list) {
      bytes += name.size();
    }
  }
  Require(bytes <= size);
  return 0;
}
