#include "daemon/fetch/script_memory.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

constexpr std::string_view kReturnOne = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
constexpr std::uint64_t kPlenty = 1024 * 1024;

TEST_CASE("a script is found by its SHA1 in either case, and by no other name") {
  ScriptMemory scripts(kPlenty);
  CHECK(scripts.Find(kReturnOne) == nullptr);
  const ScriptRef script = scripts.Remember("return 1");
  REQUIRE(script != nullptr);
  CHECK(scripts.Find(kReturnOne) == script);
  CHECK(scripts.Find("E0E1F9FABFC9D4800C877A703B823AC0578FF8DB") == script);
  CHECK(scripts.Find("e0e1") == nullptr);
  CHECK(scripts.Find(std::string(kReturnOne) + " ") == nullptr);
  CHECK(scripts.Remember("return 1") == script);  // once
  CHECK(scripts.stats().remembered.value() == 1);
}

TEST_CASE("beyond the bound the script used longest ago is forgotten") {
  ScriptMemory scripts(3000);
  const std::string a(800, 'a');
  const std::string b(800, 'b');
  const std::string c(800, 'c');
  const std::string name_of_a = scripts.Remember(a)->sha1;
  const std::string name_of_b = scripts.Remember(b)->sha1;
  CHECK(scripts.Find(name_of_a) != nullptr);  // used: b is the oldest now
  const std::string name_of_c = scripts.Remember(c)->sha1;
  CHECK(scripts.Find(name_of_a) != nullptr);
  CHECK(scripts.Find(name_of_b) == nullptr);
  CHECK(scripts.Find(name_of_c) != nullptr);
  CHECK(scripts.stats().evicted.value() == 1);
  CHECK(scripts.stats().bytes.value() <= 3000);
}

TEST_CASE("what does not fit is not remembered, and with a bound of zero nothing is") {
  ScriptMemory scripts(3000);
  (void)scripts.Remember("return 1");
  CHECK(scripts.Remember(std::string(3000, 'x')) == nullptr);
  CHECK(scripts.Find(kReturnOne) != nullptr);  // nothing made room for it
  scripts.SetBytesMax(0);
  CHECK(scripts.Find(kReturnOne) == nullptr);
  CHECK(scripts.Remember("return 1") == nullptr);
  CHECK(scripts.stats().remembered.value() == 0);
  CHECK(scripts.stats().bytes.value() == 0);
}

TEST_CASE("a script that the server lost has another id, one that is forgotten is not found") {
  ScriptMemory scripts(kPlenty);
  const ScriptRef one = scripts.Remember("return 1");
  const ScriptRef two = scripts.Remember("return 2");
  const std::uint64_t before = one->id;
  CHECK(two->id != before);
  scripts.NoteLost(*one);
  CHECK(one->id != before);
  CHECK(one->id != two->id);
  CHECK(scripts.Find(kReturnOne) == one);
  scripts.Forget(*one);
  CHECK(scripts.Find(kReturnOne) == nullptr);
  CHECK(scripts.Find(two->sha1) == two);
  scripts.ForgetAll();
  CHECK(scripts.Find(two->sha1) == nullptr);
  CHECK(scripts.stats().evicted.value() == 0);  // that counts what the bound did
}

}  // namespace
}  // namespace nearcached
