#include "proto/invalidation_notice.h"

#include <algorithm>
#include <utility>

#include "proto/json_text.h"

namespace nearcached::proto {
namespace {

// Keys with a hash tag begin with a brace as well, but hardly with a brace and a quote; those that
// do can be written in JSON.
bool LooksLikeJson(std::string_view payload) {
  JsonText text(payload);
  return payload.starts_with('{') && text.Take('{') && (text.Peek('"') || text.Peek('}'));
}

class NoticeReader {
 public:
  NoticeReader(std::size_t names_max, std::string_view& why) : names_max_(names_max), why_(why) {}

  std::optional<InvalidationNotice> ReadLines(std::string_view payload) {
    while (!payload.empty()) {
      const std::size_t end = std::min(payload.find('\n'), payload.size());
      if (end > 0) {
        Note(notice_.keys, std::string(payload.substr(0, end)));
      }
      payload.remove_prefix(std::min(end + 1, payload.size()));
    }
    return Finish();
  }

  std::optional<InvalidationNotice> ReadJson(std::string_view payload) {
    JsonText text(payload);
    why_ = "it is no JSON object";
    if (!text.Take('{')) {
      return std::nullopt;
    }
    if (!text.Take('}')) {
      do {
        if (!ReadMember(text)) {
          return std::nullopt;
        }
      } while (text.Take(','));
      if (!text.Take('}')) {
        return std::nullopt;
      }
    }
    return text.AtEnd() ? Finish() : std::nullopt;
  }

 private:
  // "name": value. Members that nobody knows are for readers of another version.
  bool ReadMember(JsonText& text) {
    std::string name;
    if (!text.ReadString(name) || !text.Take(':')) {
      return false;
    }
    if (name == "keys" || name == "prefixes") {
      return ReadNames(text, name == "keys" ? notice_.keys : notice_.prefixes);
    }
    if (name == "origin") {
      return text.ReadString(notice_.origin) || Fail("\"origin\" must be a string");
    }
    bool all = false;
    if (name == "all") {
      const bool read = text.ReadBool(all);
      notice_.everything |= all;
      return read || Fail("\"all\" must be true or false");
    }
    return text.Skip();
  }

  bool ReadNames(JsonText& text, std::vector<std::string>& names) {
    constexpr std::string_view kShape = "\"keys\" and \"prefixes\" must be arrays of strings";
    if (!text.Take('[')) {
      return Fail(kShape);
    }
    if (text.Take(']')) {
      return true;
    }
    do {
      std::string name;
      if (!text.ReadString(name)) {
        return Fail(kShape);
      }
      notice_.everything |= name.empty() && &names == &notice_.prefixes;
      Note(names, std::move(name));
    } while (text.Take(','));
    return text.Take(']') || Fail(kShape);
  }

  void Note(std::vector<std::string>& names, std::string name) {
    notice_.everything |= notice_.keys.size() + notice_.prefixes.size() >= names_max_;
    if (!notice_.everything) {
      names.push_back(std::move(name));
    }
  }

  bool Fail(std::string_view why) {
    why_ = why;
    return false;
  }

  std::optional<InvalidationNotice> Finish() {
    if (notice_.everything) {
      notice_.keys.clear();
      notice_.prefixes.clear();
    } else if (notice_.keys.empty() && notice_.prefixes.empty()) {
      why_ = "it names no keys";
      return std::nullopt;
    }
    return std::move(notice_);
  }

  const std::size_t names_max_;
  std::string_view& why_;
  InvalidationNotice notice_;
};

}  // namespace

NoticeForm NoticeFormOf(std::string_view channel) {
  return channel.starts_with("__keyevent@") ? NoticeForm::kKey : NoticeForm::kText;
}

std::optional<InvalidationNotice> ParseNotice(std::string_view payload, NoticeForm form,
                                              std::size_t names_max, std::string_view& why) {
  if (form == NoticeForm::kKey) {
    InvalidationNotice notice;
    notice.keys.emplace_back(payload);
    return notice;
  }
  NoticeReader reader(names_max, why);
  return LooksLikeJson(payload) ? reader.ReadJson(payload) : reader.ReadLines(payload);
}

}  // namespace nearcached::proto
