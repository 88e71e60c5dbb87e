#include "daemon/upstream/cluster_merge.h"

#include <algorithm>
#include <unordered_set>

#include "daemon/base/read_number.h"
#include "proto/encode.h"
#include "proto/reply_scanner.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

std::string BadReply() {
  std::string out;
  proto::AppendError(out, proto::kErrBadUpstreamReply);
  return out;
}

// ":5\r\n" is 5.
std::optional<std::int64_t> IntegerReply(std::string_view reply) {
  if (!reply.starts_with(':') || !reply.ends_with("\r\n")) {
    return std::nullopt;
  }
  return ReadNumber<std::int64_t>(reply.substr(1, reply.size() - 3));
}

// The elements of an array or a set, each as it came.
std::optional<std::vector<std::string_view>> ElementsOf(std::string_view reply) {
  const std::size_t line = reply.find("\r\n");
  if (line == std::string_view::npos || (reply.front() != '*' && reply.front() != '~')) {
    return std::nullopt;
  }
  const auto count = ReadNumber<std::size_t>(reply.substr(1, line - 1));
  if (!count || *count > reply.size()) {
    return std::nullopt;
  }
  std::vector<std::string_view> elements;
  elements.reserve(*count);
  reply.remove_prefix(line + 2);
  proto::ReplyScanner scanner;
  while (!reply.empty()) {
    const auto result = scanner.Scan(reply);
    if (result.status != proto::ReplyScanner::Result::Status::kDone) {
      return std::nullopt;
    }
    elements.push_back(reply.substr(0, result.consumed));
    reply.remove_prefix(result.consumed);
  }
  return elements.size() == *count ? std::optional(std::move(elements)) : std::nullopt;
}

std::string ArrayOf(std::span<const std::string_view> elements) {
  std::string out;
  proto::AppendArrayHeader(out, elements.size());
  for (const std::string_view element : elements) {
    out.append(element);
  }
  return out;
}

std::string Sum(std::span<const MergePart> parts) {
  std::int64_t sum = 0;
  for (const MergePart& part : parts) {
    const auto value = IntegerReply(part.reply);
    if (!value) {
      return BadReply();
    }
    sum += *value;
  }
  std::string out;
  proto::AppendInteger(out, sum);
  return out;
}

std::string ByPosition(std::span<const MergePart> parts) {
  std::size_t total = 0;
  for (const MergePart& part : parts) {
    total += part.positions.size();
  }
  std::vector<std::string_view> places(total);
  for (const MergePart& part : parts) {
    const auto elements = ElementsOf(part.reply);
    if (!elements || elements->size() != part.positions.size()) {
      return BadReply();
    }
    for (std::size_t i = 0; i < elements->size(); ++i) {
      places[part.positions[i]] = (*elements)[i];
    }
  }
  return ArrayOf(places);
}

std::string Concat(std::span<const MergePart> parts, bool unique) {
  std::vector<std::string_view> all;
  std::unordered_set<std::string_view> seen;
  for (const MergePart& part : parts) {
    const auto elements = ElementsOf(part.reply);
    if (!elements) {
      return BadReply();
    }
    for (const std::string_view element : *elements) {
      if (!unique || seen.insert(element).second) {
        all.push_back(element);
      }
    }
  }
  return ArrayOf(all);
}

std::string EachPlace(std::span<const MergePart> parts, bool sum) {
  const auto first = ElementsOf(parts.front().reply);
  if (!first) {
    return BadReply();
  }
  std::vector<std::optional<std::int64_t>> numbers;
  for (const std::string_view element : *first) {
    numbers.push_back(IntegerReply(element));
  }
  for (const MergePart& part : parts.subspan(1)) {
    const auto elements = ElementsOf(part.reply);
    if (!elements || elements->size() != first->size()) {
      return BadReply();
    }
    for (std::size_t i = 0; i < elements->size(); ++i) {
      const auto value = IntegerReply((*elements)[i]);
      if (value.has_value() != numbers[i].has_value()) {
        return BadReply();
      }
      if (value) {
        numbers[i] = sum ? *numbers[i] + *value : std::min(*numbers[i], *value);
      }
    }
  }
  std::string out;
  proto::AppendArrayHeader(out, first->size());
  for (std::size_t i = 0; i < first->size(); ++i) {
    if (numbers[i]) {
      proto::AppendInteger(out, *numbers[i]);
    } else {
      out.append((*first)[i]);
    }
  }
  return out;
}

std::string OneOf(std::span<const MergePart> parts, std::uint64_t choice) {
  std::vector<std::string_view> found;
  for (const MergePart& part : parts) {
    if (part.reply != "$-1\r\n" && part.reply != "_\r\n") {
      found.push_back(part.reply);
    }
  }
  return found.empty() ? parts.front().reply : std::string(found[choice % found.size()]);
}

}  // namespace

std::string MergeReplies(MergeKind kind, std::span<const MergePart> parts, std::uint64_t choice) {
  for (const MergePart& part : parts) {
    if (part.reply.empty()) {
      return BadReply();
    }
    if (part.reply.front() == '-') {
      return part.reply;
    }
  }
  switch (kind) {
    case MergeKind::kFirst:
    case MergeKind::kScan:
      return parts.front().reply;
    case MergeKind::kSum:
      return Sum(parts);
    case MergeKind::kPositions:
      return ByPosition(parts);
    case MergeKind::kConcat:
    case MergeKind::kConcatUnique:
      return Concat(parts, kind == MergeKind::kConcatUnique);
    case MergeKind::kSumEach:
    case MergeKind::kLeastEach:
      return EachPlace(parts, kind == MergeKind::kSumEach);
    case MergeKind::kOneOf:
      return OneOf(parts, choice);
  }
  return BadReply();
}

// ---- SCAN ---------------------------------------------------------------------------------------

std::optional<ScanCursor> ScanCursor::Parse(std::string_view text) {
  const auto value = ReadNumber<std::uint64_t>(text);
  if (!value) {
    return std::nullopt;
  }
  ScanCursor cursor;
  cursor.node = *value % kNodesMax;
  cursor.shape = *value / kNodesMax % kShapes;
  cursor.cursor = *value / kNodesMax / kShapes;
  return cursor;
}

std::string ScanCursor::ToString() const {
  return std::to_string((cursor * kShapes + shape) * kNodesMax + node);
}

std::string RewriteScanReply(std::string_view reply, ScanCursor at, std::uint64_t nodes) {
  if (reply.starts_with('-')) {
    return std::string(reply);
  }
  const auto elements = ElementsOf(reply);
  if (!elements || elements->size() != 2 || !(*elements)[0].starts_with('$')) {
    return BadReply();
  }
  const std::string_view bulk = (*elements)[0];
  const std::size_t line = bulk.find("\r\n");
  if (bulk.size() < line + 4) {
    return BadReply();
  }
  const auto cursor = ReadNumber<std::uint64_t>(bulk.substr(line + 2, bulk.size() - line - 4));
  if (!cursor) {
    return BadReply();
  }
  std::string next = "0";
  if (*cursor >= ScanCursor::kNodeCursorMax) {
    std::string error;
    proto::AppendError(error, proto::OwnError("this node's SCAN cursor is too large to carry the "
                                              "node's number; scan the nodes one by one"));
    return error;
  }
  if (*cursor != 0 || at.node + 1 < nodes) {
    at.node += *cursor == 0 ? 1 : 0;
    at.cursor = *cursor;
    next = at.ToString();
  }
  std::string out;
  proto::AppendArrayHeader(out, 2);
  proto::AppendBulk(out, next);
  out.append((*elements)[1]);
  return out;
}

}  // namespace nearcached
