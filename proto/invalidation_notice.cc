#include "proto/invalidation_notice.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace nearcached::proto {
namespace {

// Keys with a hash tag begin with a brace as well, but hardly with a brace and a quote; those that
// do can be written in JSON.
bool LooksLikeJson(std::string_view payload) {
  if (!payload.starts_with('{')) {
    return false;
  }
  const std::size_t next = payload.find_first_not_of(" \t\r\n", 1);
  return next != std::string_view::npos && (payload[next] == '"' || payload[next] == '}');
}

// Collects the names of one notice, within the bound.
class Names {
 public:
  explicit Names(std::size_t names_max) : names_max_(names_max) {}

  void AddKey(std::string key) { Add(notice_.keys, std::move(key)); }
  void AddPrefix(std::string prefix) {
    notice_.everything |= prefix.empty();
    Add(notice_.prefixes, std::move(prefix));
  }
  void SetOrigin(std::string origin) { notice_.origin = std::move(origin); }
  void AddEverything() { notice_.everything = true; }

  std::optional<InvalidationNotice> Take(std::string_view& why) {
    if (notice_.everything) {
      notice_.keys.clear();
      notice_.prefixes.clear();
    } else if (notice_.keys.empty() && notice_.prefixes.empty()) {
      why = "it names no keys";
      return std::nullopt;
    }
    return std::move(notice_);
  }

 private:
  void Add(std::vector<std::string>& names, std::string name) {
    notice_.everything |= notice_.keys.size() + notice_.prefixes.size() >= names_max_;
    if (!notice_.everything) {
      names.push_back(std::move(name));
    }
  }

  const std::size_t names_max_;
  InvalidationNotice notice_;
};

// What the JSON parser reports, piece by piece (nlohmann's SAX interface): no tree is built, and
// the parser keeps a bit for each open bracket. False stops it.
class JsonNotice {
 public:
  // `names` and `why` outlive the parse; `why` is set when it fails.
  JsonNotice(Names& names, std::string_view& why) : names_(names), why_(why) {}

  bool start_object(std::size_t /*elements*/) { return Open(false); }
  bool end_object() { return Close(); }
  bool start_array(std::size_t /*elements*/) { return Open(true); }
  bool end_array() { return Close(); }

  bool key(std::string& name) {
    if (depth_ == 1) {
      member_ = name == "keys"       ? Member::kKeys
                : name == "prefixes" ? Member::kPrefixes
                : name == "origin"   ? Member::kOrigin
                : name == "all"      ? Member::kAll
                                     : Member::kOther;
    }
    return true;
  }

  bool string(std::string& text) {
    if (depth_ == 1 && member_ == Member::kOrigin) {
      names_.SetOrigin(std::move(text));
    } else if (depth_ == 2 && member_ == Member::kKeys) {
      names_.AddKey(std::move(text));
    } else if (depth_ == 2 && member_ == Member::kPrefixes) {
      names_.AddPrefix(std::move(text));
    } else {
      return Other();
    }
    return true;
  }
  bool boolean(bool value) {
    if (member_ != Member::kAll) {
      return Other();
    }
    if (value) {
      names_.AddEverything();
    }
    return true;
  }
  bool null() { return Other(); }
  bool number_integer(std::int64_t /*value*/) { return Other(); }
  bool number_unsigned(std::uint64_t /*value*/) { return Other(); }
  bool number_float(double /*value*/, const std::string& /*text*/) { return Other(); }
  bool binary(std::vector<std::uint8_t>& /*value*/) { return Other(); }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*what*/) {
    why_ = "it is no JSON object";
    return false;
  }

 private:
  enum class Member : std::uint8_t { kKeys, kPrefixes, kOrigin, kAll, kOther };

  bool Open(bool is_array) {
    const bool is_names = member_ == Member::kKeys || member_ == Member::kPrefixes;
    if (depth_ > 0 && !(is_names && is_array && depth_ == 1) && !Other()) {
      return false;
    }
    ++depth_;
    return true;
  }
  bool Close() {
    --depth_;
    return true;
  }

  // A value that means nothing to us: members that nobody knows are for readers of another version,
  // but those we know have one shape each.
  bool Other() {
    switch (member_) {
      case Member::kOther:
        return true;
      case Member::kOrigin:
        why_ = "\"origin\" must be a string";
        return false;
      case Member::kAll:
        why_ = "\"all\" must be true or false";
        return false;
      case Member::kKeys:
      case Member::kPrefixes:
        break;
    }
    why_ = "\"keys\" and \"prefixes\" must be arrays of strings";
    return false;
  }

  Names& names_;
  std::string_view& why_;
  Member member_ = Member::kOther;
  std::size_t depth_ = 0;  // of open brackets; 1 within the object that is the message
};

std::optional<InvalidationNotice> ReadJson(std::string_view payload, std::size_t names_max,
                                           std::string_view& why) {
  Names names(names_max);
  JsonNotice reader(names, why);
  if (!nlohmann::json::sax_parse(payload.begin(), payload.end(), &reader)) {
    return std::nullopt;
  }
  return names.Take(why);
}

std::optional<InvalidationNotice> ReadLines(std::string_view payload, std::size_t names_max,
                                            std::string_view& why) {
  Names names(names_max);
  while (!payload.empty()) {
    const std::size_t end = std::min(payload.find('\n'), payload.size());
    if (end > 0) {
      names.AddKey(std::string(payload.substr(0, end)));
    }
    payload.remove_prefix(std::min(end + 1, payload.size()));
  }
  return names.Take(why);
}

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
  return LooksLikeJson(payload) ? ReadJson(payload, names_max, why)
                                : ReadLines(payload, names_max, why);
}

}  // namespace nearcached::proto
