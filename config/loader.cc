// YAML here is what fits into a configuration file and nothing more: one document of maps, lists
// and scalars. Anchors and aliases are refused (a few lines of them expand to gigabytes), tags are
// refused (they would change what a value means), and so is nesting beyond what the schema can
// hold. yaml-cpp's node API is not used, because it forgets duplicate keys; its events come in
// the order of the text and are turned into our own tree.
//
// The parser under the events recurses once per level. It stops at a depth of its own (500 in 0.7),
// but its scanner is only linear while the text is flat, so CheckText() counts open brackets before
// yaml-cpp sees the text.
#include "config/loader.h"

#include <optional>
#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "config/assign.h"
#include "config/document.h"
#include "config/quote.h"
#include "config/resolve.h"
#include "config/schema.h"
#include "config/small_file.h"
#include "config/text_check.h"
#include "config/validate.h"

namespace nearcached::config {
namespace {

// The schema needs four levels: document, list, element, value.
constexpr std::size_t kDepthMax = 16;

// --- Text to tree ---

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string file, ProblemList& problems)
      : file_(std::move(file)), problems_(problems) {}

  Node TakeRoot() { return std::move(root_); }
  bool stopped() const { return stopped_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 1) {
      first_begins_ = mark.pos;
    } else if (mark.pos == first_begins_) {
      // The first "document" ended where it began: yaml-cpp makes a null of a stray ',' or ']' and
      // does not move on. Asked again, it would say the same for ever.
      Stop(mark, "is not valid YAML: a ',', ']' or '}' stands where a key should");
    } else {
      Stop(mark, "a second YAML document begins here: keep one, and no \"---\" line in the middle");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (Accept(mark, "", anchor)) {
      Put(NodeAt(mark, Node::Kind::kNothing));
    }
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    Stop(mark,
         "YAML aliases (*name) are not supported: write the value out, and put a text that "
         "begins with '*' in quotes");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (Accept(mark, tag, anchor)) {
      Node node = NodeAt(mark, Node::Kind::kScalar);
      node.text = value;
      Put(std::move(node));
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Frame {
    Node node;
    std::optional<Entry> entry;  // of a map: its key has come, its value has not
  };

  static Node NodeAt(const YAML::Mark& mark, Node::Kind kind) {
    Node node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  bool Accept(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) {
      Stop(mark,
           "YAML anchors (&name) are not supported: write the value out, and put a text "
           "that begins with '&' in quotes");
    } else if (!tag.empty() && tag != "?" && tag != "!") {
      Stop(mark, "YAML tags (" + QuotedForMessage(tag) + ") are not supported: leave it out");
    }
    return !stopped_;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            Node::Kind kind) {
    if (stack_.size() >= kDepthMax) {
      Stop(mark, "is nested deeper than " + std::to_string(kDepthMax) +
                     " levels, which no key needs: check the indentation and the brackets");
    }
    if (Accept(mark, tag, anchor)) {
      stack_.push_back({NodeAt(mark, kind), {}});
    }
  }

  void Close() {
    if (stopped_) {
      return;
    }
    Node done = std::move(stack_.back().node);
    stack_.pop_back();
    Put(std::move(done));
  }

  void Put(Node node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& top = stack_.back();
    if (top.node.kind == Node::Kind::kList) {
      top.node.items.push_back(std::move(node));
    } else if (top.entry) {
      if (node.kind == Node::Kind::kNothing) {
        node.line = top.entry->line;  // yaml-cpp finds nothing where the next thing begins
        node.column = top.entry->column;
      }
      top.entry->value = std::move(node);
      top.node.entries.push_back(std::move(*top.entry));
      top.entry.reset();
    } else if (node.kind == Node::Kind::kScalar) {
      top.entry = Entry{std::move(node.text), node.line, node.column, {}};
    } else {
      problems_.Add({file_, node.line, node.column}, {},
                    "a key must be a plain name, as in \"l1:\"");
      stopped_ = true;
    }
  }

  void Stop(const YAML::Mark& mark, std::string message) {
    if (!stopped_) {
      problems_.Add({file_, mark.line + 1, mark.column + 1}, {}, std::move(message));
      stopped_ = true;
    }
  }

  std::string file_;
  ProblemList& problems_;
  std::vector<Frame> stack_;
  Node root_;
  int documents_ = 0;
  int first_begins_ = 0;  // the offset of the first document
  bool stopped_ = false;  // the first refusal; what yaml-cpp still sends is ignored
};

// The tree of `text`; nothing if it has problems, which have been added.
std::optional<Node> ParseYaml(std::string_view text, const std::string& file,
                              ProblemList& problems) {
  if (!CheckText(text, file, problems)) {
    return std::nullopt;
  }
  ProblemList found;
  TreeBuilder builder(file, found);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    while (!builder.stopped() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    if (found.empty()) {
      const int line = error.mark.is_null() ? 0 : error.mark.line + 1;
      found.Add({file, line, error.mark.is_null() ? 0 : error.mark.column + 1}, {},
                IsIndentedByTab(text, line)
                    ? "the line is indented with a tab: YAML wants spaces"
                    : "is not valid YAML: " + error.msg +
                          "; check the indentation, the quotes and the blank after each colon");
    }
  }
  if (found.empty()) {
    return builder.TakeRoot();
  }
  for (Problem& problem : found.Take()) {
    problems.Add({problem.file, problem.line, problem.column}, problem.path, problem.message);
  }
  return std::nullopt;
}

// --- Overrides to trees ---

void DropPlaces(Node& node) {
  node.line = 0;
  node.column = 0;
  for (Node& item : node.items) {
    DropPlaces(item);
  }
  for (Entry& entry : node.entries) {
    entry.line = 0;
    entry.column = 0;
    DropPlaces(entry.value);
  }
}

Node Scalar(std::string_view text) {
  Node node;
  node.kind = Node::Kind::kScalar;
  node.text = text;
  return node;
}

// "a, b" as a list of scalars, blanks around them dropped.
Node SplitByComma(std::string_view text) {
  Node list;
  list.kind = Node::Kind::kList;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    const std::size_t first = item.find_first_not_of(' ');
    item = first == std::string_view::npos ? std::string_view{} : item.substr(first);
    item = item.substr(0, item.find_last_not_of(' ') + 1);
    list.items.push_back(Scalar(item));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return list;
}

std::optional<Node> NodeOfOverride(const Row& row, const Override& change, ProblemList& problems) {
  if (row.type != Type::kElements && !IsTextList(row.type)) {
    return Scalar(change.value);
  }
  if (!change.value.starts_with('[')) {
    return SplitByComma(change.value);
  }
  auto node = ParseYaml(change.value, change.origin, problems);
  if (node) {
    DropPlaces(*node);
  }
  return node;
}

// One load: the steps in order, and what they hand on.
class Load {
 public:
  void TakeFile(std::string_view text, const std::string& name) {
    if (const auto root = ParseYaml(text, name, problems_)) {
      assigner_.Begin(name, Source::kFile);
      assigner_.AssignDocument(*root);
    }
  }

  void TakeEnvironment(const Environment& environment) {
    for (const Override& change : OverridesFromEnvironment(environment, problems_)) {
      Take(change, Source::kEnvironment);
    }
  }

  void TakeCommandLine(const std::vector<Override>& overrides) {
    std::vector<Override> merged;
    for (const Override& next : overrides) {
      const Row* row = FindRow(next.path);
      const bool list = row != nullptr && row->type == Type::kElements;
      if (list && !merged.empty() && merged.back().path == next.path &&
          !next.value.starts_with('[')) {
        merged.back().value += "," + next.value;
      } else {
        merged.push_back(next);
      }
    }
    for (const Override& change : merged) {
      Take(change, Source::kCommandLine);
    }
  }

  void AddProblem(const std::string& file, std::string message) {
    problems_.Add({file}, {}, std::move(message));
  }

  LoadResult Finish() {
    Resolve(result_.config, given_);
    Validate(result_.config, given_, problems_);
    ProblemList warnings;
    if (problems_.empty()) {
      CollectWarnings(result_.config, given_, warnings);
    }
    result_.problems = problems_.Take();
    result_.warnings = warnings.Take();
    result_.given = given_;
    return std::move(result_);
  }

 private:
  void Take(const Override& change, Source source) {
    assigner_.Begin(change.origin, source);
    const Row* row = FindRow(change.path);
    if (row == nullptr) {
      const std::string_view renamed = RenamedTo(change.path);
      problems_.Add({change.origin}, change.path,
                    renamed.empty()
                        ? "is not a known key"
                        : "is not a known key any more: it is now " + std::string(renamed));
      return;
    }
    if (!row->list().empty() && !ElementExists(*row, change)) {
      return;
    }
    if (const auto node = NodeOfOverride(*row, change, problems_)) {
      assigner_.AssignRow(*row, change.path, *node);
    }
  }

  // "rules[3].ttl" can only be set where there are four rules.
  bool ElementExists(const Row& row, const Override& change) {
    const Row* list = FindRow(row.list());
    const auto& access = std::get<ElementsAccess>(list->field);
    const std::size_t size = access.size(result_.config);
    for (std::size_t i = 0; i < size; ++i) {
      if (WithIndex(row.path, i) == change.path) {
        return true;
      }
    }
    problems_.Add({change.origin}, change.path,
                  "there is no such element, " + std::string(list->path) + " has " +
                      std::to_string(size) + " (counted from 0): give the whole list as " +
                      EnvironmentName(list->path));
    return false;
  }

  LoadResult result_;
  GivenPaths given_;
  ProblemList problems_;
  Assigner assigner_{result_.config, given_, problems_};
};

LoadResult FinishWith(Load& load, const Environment& environment, const LoadOptions& options) {
  load.TakeEnvironment(environment);
  load.TakeCommandLine(options.overrides);
  return load.Finish();
}

}  // namespace

LoadResult LoadFile(const std::string& path, const Environment& environment,
                    const LoadOptions& options) {
  Load load;
  auto text = ReadSmallFile(path, kConfigFileMax);
  if (text.ok()) {
    load.TakeFile(*text.value, path);
  } else {
    load.AddProblem(path, std::move(text.error));
  }
  return FinishWith(load, environment, options);
}

LoadResult LoadText(std::string_view text, const std::string& name, const Environment& environment,
                    const LoadOptions& options) {
  Load load;
  load.TakeFile(text, name);
  return FinishWith(load, environment, options);
}

LoadResult LoadDefaults(const Environment& environment, const LoadOptions& options) {
  Load load;
  return FinishWith(load, environment, options);
}

}  // namespace nearcached::config
