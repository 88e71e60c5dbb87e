// One type at a time: how it is read, refused, written and shown. (That every row uses a type that
// fits it: schema_test.cc.)
#include "config/value.h"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "config/loader.h"

namespace nearcached::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Row& RowOf(std::string_view path) {
  const Row* row = FindRow(path);
  REQUIRE(row != nullptr);
  return *row;
}

// The config of defaults, one element in each list, and short ways to set and read one key of it.
struct Values {
  std::string Set(std::string_view path, std::string_view text) {
    return SetValue(RowOf(path), 0, text, config);
  }
  std::string Written(std::string_view path) const { return FormatValue(RowOf(path), 0, config); }
  std::string Shown(std::string_view path) const { return ShownValue(RowOf(path), 0, config); }
  // `text` is refused with a sentence that holds all `words`, and the value stays as it was.
  void Refuses(std::string_view path, std::string_view text,
               std::initializer_list<std::string_view> words) {
    CAPTURE(path);
    CAPTURE(text);
    const Config before = config;
    const std::string error = Set(path, text);
    CAPTURE(error);
    CHECK(config == before);
    CHECK_FALSE(error.empty());
    for (const std::string_view word : words) {
      CAPTURE(word);
      CHECK(error.find(word) != std::string::npos);
    }
  }
  Config config = ExampleConfig();
};

TEST_CASE_FIXTURE(Values, "true and false are the two words of a bool") {
  CHECK(Set("coalescing.enabled", "false").empty());
  CHECK_FALSE(config.coalescing.enabled);
  CHECK(Written("coalescing.enabled") == "false");
  CHECK(Set("coalescing.enabled", "true").empty());
  for (const char* text : {"yes", "True", "1", "on", "", " true", "true "}) {
    Refuses("coalescing.enabled", text, {"neither true nor false"});
  }
}

TEST_CASE_FIXTURE(Values, "a count is digits and nothing else, within its range") {
  CHECK(Set("upstream.links", "2").empty());
  CHECK(config.upstream.links == 2);
  CHECK(Set("upstream.links", "0002").empty());
  CHECK(Written("upstream.links") == "2");
  for (const char* text : {"", "-1", "+1", "1.5", "1e2", "0x10", " 1", "1 ", "two", "1k", "٣"}) {
    Refuses("upstream.links", text, {"is not a whole number"});
  }
  Refuses("upstream.links", "0", {"must be between 1 and"});
  Refuses("upstream.links", "4294967296", {"must be between 1 and"});
  Refuses("upstream.links", std::string(1000, '9'), {"a number of many digits"});
}

TEST_CASE_FIXTURE(Values,
                  "a fraction is a finite number within its range, and is written shortest") {
  CHECK(Set("l1.ttl_jitter", "0.25").empty());
  CHECK(config.l1.ttl_jitter == doctest::Approx(0.25));
  CHECK(Written("l1.ttl_jitter") == "0.25");
  CHECK(Set("l1.ttl_jitter", "1e-1").empty());
  CHECK(Written("l1.ttl_jitter") == "0.1");
  CHECK(Set("l1.ttl_jitter", "0").empty());
  for (const char* text : {"", "nan", "inf", "-inf", "10%", "0,1", "0.1.1", " 0.1", "0x1p-2"}) {
    Refuses("l1.ttl_jitter", text, {"is not a fraction", "as in 0.1"});
  }
  Refuses("l1.ttl_jitter", "-0.1", {"must be between 0 and"});
  Refuses("l1.ttl_jitter", "17", {"is 17, must be between 0 and"});
  Refuses("l1.ttl_jitter", "1e999", {"is not a fraction"});
}

TEST_CASE_FIXTURE(Values, "durations and sizes carry units and are refused beyond their range") {
  CHECK(Set("l1.ttl", "1500ms").empty());
  CHECK(config.l1.ttl == milliseconds(1500));
  CHECK(Set("l1.bytes", "64mb").empty());
  CHECK(config.l1.bytes == 64 * kMib);
  CHECK(Written("l1.bytes") == "64mb");
  Refuses("l1.ttl", "5", {});
  Refuses("l1.ttl", "-5s", {});
  Refuses("l1.ttl", "99999d", {"must be between"});
  Refuses("l1.bytes", "1", {"must be between"});
  Refuses("l1.bytes", "99999999999999999999gb", {});
}

TEST_CASE_FIXTURE(Values, "a permission is octal with three digits or more") {
  for (const char* text : {"0660", "660", "0o660", "0o0660"}) {
    CAPTURE(text);
    config.listeners[0].unix_mode = 0;
    CHECK(Set("listeners[].unix_mode", text).empty());
    CHECK(config.listeners[0].unix_mode == 0660);
    CHECK(Written("listeners[].unix_mode") == "0660");
  }
  for (const char* text : {"", "66", "0o66", "0x1b0", "0668", "rw-rw----", "-660", "u=rw"}) {
    Refuses("listeners[].unix_mode", text, {"no permission in octal", "0660"});
  }
  Refuses("listeners[].unix_mode", "7777", {"must be between"});
}

TEST_CASE_FIXTURE(Values, "a word is one of its choices, in their case") {
  CHECK(Set("tracking.mode", "off").empty());
  CHECK(config.tracking.mode == TrackingConfig::Mode::kOff);
  CHECK(Written("tracking.mode") == "off");
  CHECK(Set("tracking.mode", "required").empty());
  CHECK(config.tracking.mode == TrackingConfig::Mode::kRequired);
  for (const char* text : {"", "OFF", "of", "off ", "none"}) {
    Refuses("tracking.mode", text, {"must be one of auto, required, off"});
  }
}

TEST_CASE_FIXTURE(Values, "a prefix that looks like a pattern is refused with the plain one") {
  CHECK(Set("rules[].prefix", "user:[1").empty());
  CHECK(Set("rules[].prefix", "user:]1[").empty());
  CHECK(config.rules[0].prefix == "user:]1[");
  Refuses("rules[].prefix", "user:*", {"write \"user:\""});
  Refuses("rules[].prefix", "us?r:", {"write \"us\""});
  Refuses("rules[].prefix", "user:[12]:*", {"write \"user:\""});
  Refuses("rules[].prefix", "*", {"write \"\", which is every key"});
}

TEST_CASE_FIXTURE(Values, "what a rule leaves out has no value, and gets one when it is set") {
  const Row& ttl = RowOf("rules[].ttl");
  config.rules[0].ttl.reset();
  CHECK_FALSE(HasValue(ttl, 0, config));
  CHECK(FormatValue(ttl, 0, config).empty());
  CHECK(ShownValue(ttl, 0, config).empty());
  CHECK(Set("rules[].ttl", "3s").empty());
  CHECK(HasValue(ttl, 0, config));
  CHECK(config.rules[0].ttl == seconds(3));
  Refuses("rules[].ttl", "nonsense", {});
  CHECK(config.rules[0].ttl == seconds(3));
  CHECK_FALSE(HasValue(RowOf("rules"), 0, config));
  CHECK(HasValue(RowOf("l1.ttl"), 0, config));
}

TEST_CASE_FIXTURE(Values, "the index chooses the element, and leaves the others alone") {
  config.rules.resize(3);
  const Row& prefix = RowOf("rules[].prefix");
  CHECK(SetValue(prefix, 2, "c:", config).empty());
  CHECK(config.rules[0].prefix.empty());
  CHECK(config.rules[2].prefix == "c:");
  Config other;
  other.rules.resize(3);
  CopyValue(prefix, 2, config, other);
  CHECK(other.rules[2].prefix == "c:");
  CopyValue(prefix, 0, config, other);
  CHECK(other.rules[0].prefix.empty());
}

TEST_CASE_FIXTURE(Values, "a list is not set as a single value") {
  for (const Row& row : Rows()) {
    if (row.type == Type::kElements || IsTextList(row.type)) {
      CAPTURE(row.path);
      CHECK(SetValue(row, 0, "x", config) == "is a list");
    }
  }
}

TEST_CASE_FIXTURE(Values, "a list of patterns is written so that it reads back as it was") {
  const Row* row = nullptr;
  for (const Row& each : Rows()) {
    row = each.type == Type::kPattern ? &each : row;
  }
  REQUIRE(row != nullptr);
  auto& patterns = std::get<Access<std::vector<std::string>>>(row->field).mutate(config, 0);
  patterns = {};
  CHECK(FormatValue(*row, 0, config) == "[]");
  patterns = {"a*", "say \"hi\"*", "back\\slash*"};
  CHECK(FormatValue(*row, 0, config) == "[\"a*\", \"say \\\"hi\\\"*\", \"back\\\\slash*\"]");

  patterns = {"two\nlines*", "tab\t*", "\x01*", "\x7f*", "d\xc3\xa9j\xc3\xa0*", "a, b*", "# c*"};
  const std::string written = FormatValue(*row, 0, config);
  CHECK(written.find('\n') == std::string::npos);
  const LoadResult read = LoadText("l1:\n  never_cache: " + written + "\n", "t.yaml", {});
  REQUIRE(read.ok());
  CHECK(read.config.l1.never_cache == patterns);
}

TEST_CASE_FIXTURE(Values, "a secret is shown as stars where there is one, and never its length") {
  CHECK(Shown("upstream.password").empty());
  CHECK(Set("upstream.password", "hunter2").empty());
  CHECK(Shown("upstream.password") == "******");
  CHECK(Written("upstream.password") == "hunter2");
  CHECK(Set("upstream.password", std::string(500, 'x')).empty());
  CHECK(Shown("upstream.password") == "******");
}

TEST_CASE_FIXTURE(Values, "a URL is shown without who logs in, and refused without repeating it") {
  CHECK(Set("upstream.url", "redis://app:hunter2@db.example:6379/3").empty());
  const std::string shown = Shown("upstream.url");
  CHECK(shown.find("db.example:6379") != std::string::npos);
  CHECK(shown.find("hunter2") == std::string::npos);
  config.upstream.url = "no url hunter2";  // never through SetValue, but shown is shown
  CHECK(Shown("upstream.url") == "******");
  const std::string error = Set("upstream.url", "redis://app:hunter2@:6379");
  CHECK_FALSE(error.empty());
  CHECK(error.find("hunter2") == std::string::npos);
}

TEST_CASE("every type has a name of its own, and every row with a range says it") {
  std::vector<std::string_view> names;
  for (int type = 0; type <= static_cast<int>(Type::kElements); ++type) {
    names.push_back(TypeName(static_cast<Type>(type)));
    CHECK_FALSE(names.back().empty());
    CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
  }
  CHECK(RangeText(RowOf("tracking.mode")) == "one of auto, required, off");
  CHECK(RangeText(RowOf("l1.ttl_jitter")).starts_with("between 0 and "));
  CHECK(RangeText(RowOf("upstream.password")).empty());
  Row only = RowOf("upstream.links");
  only.range = {1, 1};
  CHECK(RangeText(only) == "only 1");
  Values values;
  CHECK(SetValue(only, 0, "2", values.config) == "is 2, but only 1 is supported so far");
}

}  // namespace
}  // namespace nearcached::config
