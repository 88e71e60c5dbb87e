// A strict reader of the Prometheus text format, version 0.0.4, written from its specification and
// not from our writer: https://prometheus.io/docs/instrumenting/exposition_formats/
//
// Beyond the grammar it insists on what Prometheus assumes: HELP and TYPE come once and before the
// samples of their family, a family's lines are together, no series comes twice, and a histogram's
// buckets rise in bound and in count up to an +Inf bucket that equals its count.
#pragma once

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearcached {

struct ParsedExposition {
  std::string error;  // empty: the text is good
  std::map<std::string, std::string> types;
  std::map<std::string, std::string> helps;
  std::map<std::string, double> samples;  // `name{a="b"}` with the labels as written
  std::vector<std::string> family_order;
};

class ExpositionParser {
 public:
  static ParsedExposition Parse(std::string_view text) {
    ExpositionParser parser;
    parser.ParseAll(text);
    return std::move(parser.out_);
  }

 private:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  struct Buckets {
    double last_bound = -std::numeric_limits<double>::infinity();
    double last_count = 0;
    bool has_sum = false;
    bool has_count = false;
  };

  void ParseAll(std::string_view text) {
    if (text.empty() || text.back() != '\n') {
      Fail("the last line has no end");
      return;
    }
    while (!text.empty() && out_.error.empty()) {
      const std::size_t end = text.find('\n');
      ParseLine(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    CloseFamily();
  }

  void ParseLine(std::string_view line) {
    if (line.empty()) {
      return;
    }
    if (line.starts_with("# HELP ")) {
      ParseHelp(line.substr(7));
    } else if (line.starts_with("# TYPE ")) {
      ParseType(line.substr(7));
    } else if (line.starts_with("#")) {
      Fail("a comment that is neither HELP nor TYPE");
    } else {
      ParseSample(line);
    }
  }

  void ParseHelp(std::string_view rest) {
    const std::string name = TakeName(rest);
    OpenFamily(name);
    if (!rest.starts_with(' ') || rest.size() < 2) {
      Fail("HELP without a text: " + name);
    }
    out_.helps[name] = std::string(rest.substr(rest.empty() ? 0 : 1));
  }

  void ParseType(std::string_view rest) {
    const std::string name = TakeName(rest);
    if (name != family_) {
      Fail("TYPE does not follow the HELP of " + name);
      return;
    }
    if (!out_.types.emplace(name, rest.substr(rest.empty() ? 0 : 1)).second) {
      Fail("a second TYPE for " + name);
    }
    const std::string& type = out_.types[name];
    if (type != "counter" && type != "gauge" && type != "histogram") {
      Fail("type " + type);
    }
  }

  void ParseSample(std::string_view line) {
    const std::string_view whole = line;
    const std::string name = TakeName(line);
    Labels labels;
    if (line.starts_with('{')) {
      line.remove_prefix(1);
      TakeLabels(line, labels);
    }
    const std::string series(whole.substr(0, whole.size() - line.size()));
    if (!line.starts_with(' ')) {
      Fail("no blank before the value: " + std::string(whole));
      return;
    }
    const std::string number(line.substr(1));
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    if (number.empty() || std::isspace(static_cast<unsigned char>(number[0])) != 0 ||
        *end != '\0') {
      Fail("not a number, or a timestamp: " + std::string(whole));
      return;
    }
    if (!out_.samples.emplace(series, value).second) {
      Fail("twice: " + series);
    }
    CheckMembership(name, std::move(labels), value);
  }

  // The sample must belong to the family that is open.
  void CheckMembership(const std::string& name, Labels labels, double value) {
    const auto type = out_.types.find(family_);
    if (type == out_.types.end()) {
      Fail("a sample before the TYPE of its family: " + name);
      return;
    }
    if (type->second != "histogram") {
      if (name != family_) {
        Fail(name + " among the samples of " + family_);
      }
      if (type->second == "counter" && (std::isnan(value) || value < 0)) {
        Fail("a counter that is no count: " + name);
      }
      return;
    }
    double bound = std::numeric_limits<double>::quiet_NaN();
    if (!labels.empty() && labels.back().first == "le") {
      bound = std::strtod(labels.back().second.c_str(), nullptr);
      labels.pop_back();
    }
    Buckets& buckets = histograms_[labels];
    if (name == family_ + "_bucket") {
      if (!(bound > buckets.last_bound) || value < buckets.last_count) {
        Fail("buckets of " + family_ + " do not rise");
      }
      buckets.last_bound = bound;
      buckets.last_count = value;
    } else if (name == family_ + "_sum") {
      buckets.has_sum = true;
    } else if (name == family_ + "_count") {
      buckets.has_count = true;
      count_[labels] = value;
    } else {
      Fail(name + " among the samples of " + family_);
    }
  }

  void OpenFamily(const std::string& name) {
    CloseFamily();
    if (!seen_.insert(name).second) {
      Fail("the family comes in two places: " + name);
    }
    family_ = name;
    out_.family_order.push_back(name);
  }

  void CloseFamily() {
    for (const auto& [labels, buckets] : histograms_) {
      if (!std::isinf(buckets.last_bound) || !buckets.has_sum || !buckets.has_count ||
          buckets.last_count != count_[labels]) {
        Fail("an incomplete histogram: " + family_);
      }
    }
    histograms_.clear();
    count_.clear();
  }

  std::string TakeName(std::string_view& text) {
    std::size_t n = 0;
    while (n < text.size() &&
           (std::isalpha(static_cast<unsigned char>(text[n])) != 0 || text[n] == '_' ||
            text[n] == ':' || (n > 0 && std::isdigit(static_cast<unsigned char>(text[n])) != 0))) {
      ++n;
    }
    if (n == 0) {
      Fail("no name: " + std::string(text));
    }
    const std::string name(text.substr(0, n));
    text.remove_prefix(n);
    return name;
  }

  void TakeLabels(std::string_view& text, Labels& labels) {
    std::set<std::string> names;
    while (out_.error.empty() && !text.starts_with('}')) {
      if (!labels.empty()) {
        if (!text.starts_with(',')) {
          Fail("no comma between labels");
          return;
        }
        text.remove_prefix(1);
      }
      std::string name = TakeName(text);
      if (!names.insert(name).second) {
        Fail("the label comes twice: " + name);
      }
      if (!text.starts_with("=\"")) {
        Fail("a label without a value");
        return;
      }
      text.remove_prefix(2);
      labels.emplace_back(std::move(name), TakeQuoted(text));
    }
    if (text.starts_with('}')) {
      text.remove_prefix(1);
    }
  }

  // What follows an opening quote, up to and with the closing one.
  std::string TakeQuoted(std::string_view& text) {
    std::string value;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '"') {
        text.remove_prefix(i + 1);
        return value;
      }
      if (text[i] == '\\') {
        ++i;
        if (i == text.size() || (text[i] != '\\' && text[i] != '"' && text[i] != 'n')) {
          Fail("an escape that is none");
          return value;
        }
        value += text[i] == 'n' ? '\n' : text[i];
      } else {
        value += text[i];
      }
    }
    Fail("a quote that does not end");
    return value;
  }

  void Fail(const std::string& why) {
    if (out_.error.empty()) {
      out_.error = why;
    }
  }

  ParsedExposition out_;
  std::string family_;
  std::set<std::string> seen_;
  std::map<Labels, Buckets> histograms_;
  std::map<Labels, double> count_;
};

}  // namespace nearcached
