#include "daemon/upstream/cluster_slot.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("slots are those of the specification and of a real server's CLUSTER KEYSLOT") {
  CHECK(SlotOf("123456789") == 0x31c3);  // the check value of CRC16/XMODEM, below 16,384
  CHECK(SlotOf("") == 0);
  CHECK(SlotOf("foo") == 12'182);
  CHECK(SlotOf("bar") == 5'061);
  CHECK(SlotOf("hello") == 866);
  CHECK(SlotOf(std::string("\x00\xff\x80", 3)) < kSlots);
}

TEST_CASE("only what stands in the first braces is hashed, unless that is nothing") {
  CHECK(HashTag("{user1000}.following") == "user1000");
  CHECK(HashTag("foo{}{bar}") == "foo{}{bar}");
  CHECK(HashTag("foo{{bar}}zap") == "{bar");
  CHECK(HashTag("foo{bar}{zap}") == "bar");
  CHECK(HashTag("foo{bar") == "foo{bar");
  CHECK(HashTag("foo}bar{") == "foo}bar{");
  CHECK(HashTag("}{a}") == "a");
  CHECK(SlotOf("{user1000}.following") == SlotOf("{user1000}.followers"));
  CHECK(SlotOf("{user1000}.following") == SlotOf("user1000"));
}

TEST_CASE("keys spread over all slots") {
  std::string hit(kSlots, '0');
  for (int i = 0; i < 400'000; ++i) {
    hit[SlotOf("key:" + std::to_string(i))] = '1';
  }
  CHECK(hit.find('0') == std::string::npos);
}

}  // namespace
}  // namespace nearcached
