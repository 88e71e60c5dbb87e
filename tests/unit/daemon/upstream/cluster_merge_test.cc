#include "daemon/upstream/cluster_merge.h"

#include <doctest/doctest.h>

namespace nearcached {
namespace {

std::string Merge(MergeKind kind, const std::vector<MergePart>& parts) {
  return MergeReplies(kind, parts, 1);
}
bool IsBad(const std::string& reply) {
  return reply.find("not RESP") != std::string::npos;
}

TEST_CASE("numbers add up, elements go back to their places") {
  CHECK(Merge(MergeKind::kSum, {{":1\r\n", {}}, {":41\r\n", {}}}) == ":42\r\n");
  CHECK(Merge(MergeKind::kFirst, {{"+OK\r\n", {}}, {"+OK\r\n", {}}}) == "+OK\r\n");
  CHECK(Merge(MergeKind::kPositions,
              {{"*2\r\n$1\r\na\r\n$-1\r\n", {2, 0}}, {"*1\r\n$1\r\nb\r\n", {1}}}) ==
        "*3\r\n$-1\r\n$1\r\nb\r\n$1\r\na\r\n");
  CHECK(Merge(MergeKind::kConcat, {{"*1\r\n$1\r\na\r\n", {}}, {"*0\r\n", {}}}) ==
        "*1\r\n$1\r\na\r\n");
  CHECK(Merge(MergeKind::kConcatUnique,
              {{"*2\r\n$1\r\na\r\n$1\r\nb\r\n", {}}, {"*1\r\n$1\r\na\r\n", {}}}) ==
        "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  CHECK(Merge(MergeKind::kSumEach, {{"*2\r\n$1\r\nc\r\n:1\r\n", {}},
                                    {"*2\r\n$1\r\nc\r\n:2\r\n", {}}}) == "*2\r\n$1\r\nc\r\n:3\r\n");
  CHECK(Merge(MergeKind::kLeastEach, {{"*2\r\n:1\r\n:1\r\n", {}}, {"*2\r\n:0\r\n:1\r\n", {}}}) ==
        "*2\r\n:0\r\n:1\r\n");
  CHECK(Merge(MergeKind::kOneOf, {{"$-1\r\n", {}}, {"$1\r\nk\r\n", {}}}) == "$1\r\nk\r\n");
  CHECK(Merge(MergeKind::kOneOf, {{"_\r\n", {}}, {"_\r\n", {}}}) == "_\r\n");
}

TEST_CASE("the first error is the answer, whatever the others say") {
  for (const MergeKind kind : {MergeKind::kFirst, MergeKind::kSum, MergeKind::kPositions,
                               MergeKind::kConcat, MergeKind::kOneOf}) {
    CHECK(Merge(kind, {{":1\r\n", {0}}, {"-ERR a\r\n", {1}}, {"-ERR b\r\n", {2}}}) == "-ERR a\r\n");
  }
}

TEST_CASE("replies of another form than they should have are an error, not a guess") {
  CHECK(IsBad(Merge(MergeKind::kSum, {{":1\r\n", {}}, {"+OK\r\n", {}}})));
  CHECK(IsBad(Merge(MergeKind::kSum, {{"", {}}})));
  CHECK(IsBad(Merge(MergeKind::kPositions, {{"*1\r\n$1\r\na\r\n", {0, 1}}})));
  CHECK(IsBad(Merge(MergeKind::kPositions, {{"*2\r\n$1\r\na\r\n", {0, 1}}})));
  CHECK(IsBad(Merge(MergeKind::kPositions, {{"*99999999999\r\n", {0}}})));
  CHECK(IsBad(Merge(MergeKind::kConcat, {{"*1\r\n$1\r\na\r\n", {}}, {"$1\r\na\r\n", {}}})));
  CHECK(IsBad(Merge(MergeKind::kSumEach, {{"*1\r\n:1\r\n", {}}, {"*2\r\n:1\r\n:1\r\n", {}}})));
  CHECK(IsBad(Merge(MergeKind::kSumEach, {{"*1\r\n:1\r\n", {}}, {"*1\r\n$1\r\nx\r\n", {}}})));
}

TEST_CASE("a cursor goes from node to node and ends after the last") {
  ScanCursor at = *ScanCursor::Parse("0");
  at.shape = 7;
  const std::string first = RewriteScanReply("*2\r\n$2\r\n17\r\n*1\r\n$1\r\na\r\n", at, 2);
  const std::string cursor = ScanCursor{0, 7, 17}.ToString();
  CHECK(first ==
        "*2\r\n$" + std::to_string(cursor.size()) + "\r\n" + cursor + "\r\n*1\r\n$1\r\na\r\n");
  at = *ScanCursor::Parse(cursor);
  CHECK(at.node == 0);
  CHECK(at.shape == 7);
  CHECK(at.cursor == 17);
  const std::string second = RewriteScanReply("*2\r\n$1\r\n0\r\n*0\r\n", at, 2);
  const std::string next = ScanCursor{1, 7, 0}.ToString();
  CHECK(second == "*2\r\n$" + std::to_string(next.size()) + "\r\n" + next + "\r\n*0\r\n");
  at = *ScanCursor::Parse(next);
  CHECK(RewriteScanReply("*2\r\n$1\r\n0\r\n*0\r\n", at, 2) == "*2\r\n$1\r\n0\r\n*0\r\n");
}

TEST_CASE("cursors that are none, and replies that are none") {
  CHECK_FALSE(ScanCursor::Parse("").has_value());
  CHECK_FALSE(ScanCursor::Parse("-1").has_value());
  CHECK_FALSE(ScanCursor::Parse("1x").has_value());
  CHECK_FALSE(ScanCursor::Parse("18446744073709551616").has_value());
  CHECK(RewriteScanReply("-ERR syntax error\r\n", {}, 2) == "-ERR syntax error\r\n");
  CHECK(IsBad(RewriteScanReply("*1\r\n$1\r\n0\r\n", {}, 2)));
  CHECK(IsBad(RewriteScanReply("*2\r\n$1\r\nx\r\n*0\r\n", {}, 2)));
  CHECK(RewriteScanReply("*2\r\n$19\r\n9223372036854775807\r\n*0\r\n", {}, 2).find("too large") !=
        std::string::npos);
}

}  // namespace
}  // namespace nearcached
