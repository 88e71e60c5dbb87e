#include "daemon/session/open_requests.h"

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using Kind = PendingRequest::Kind;

PendingRequest RequestOf(Kind kind, std::uint64_t hash) {
  PendingRequest request;
  request.kind = kind;
  request.hash = hash;
  request.hashed = true;
  return request;
}

TEST_CASE("a read at a replica holds back what touches its key, and is in the way of no hit") {
  OpenRequests open;
  PendingRequest read = RequestOf(Kind::kForward, 7);
  read.at_replica = true;
  open.Add(read);
  CHECK(open.MayBeAtReplica(7));
  CHECK_FALSE(open.MayBeAtReplica(8));
  CHECK_FALSE(open.MayBeForwarded(7));
  CHECK(open.no_forwards());
  CHECK(open.no_fills());
  CHECK(open.MayHit(7));
  CHECK(open.at_replica() == 1);
  CHECK_FALSE(open.empty());
  open.Remove(read);
  CHECK_FALSE(open.MayBeAtReplica(7));
  CHECK(open.empty());
}

TEST_CASE("a read on a fill link holds back what touches its key, and nothing else") {
  OpenRequests open;
  const PendingRequest read = RequestOf(Kind::kFlight, 7);
  open.Add(read);
  CHECK(open.MayBeFilling(7));
  CHECK_FALSE(open.MayBeFilling(8));
  CHECK_FALSE(open.MayBeForwarded(7));
  CHECK_FALSE(open.no_fills());
  open.Remove(read);
  CHECK_FALSE(open.MayBeFilling(7));
  CHECK(open.empty());
}

TEST_CASE("a command on the lane draws reads of its key after it, and nothing else") {
  OpenRequests open;
  const PendingRequest write = RequestOf(Kind::kForward, 7);
  open.Add(write);
  CHECK(open.MayBeForwarded(7));
  CHECK_FALSE(open.MayBeForwarded(8));
  CHECK_FALSE(open.MayBeFilling(7));
  CHECK(open.no_fills());
  CHECK_FALSE(open.empty());
  open.Remove(write);
  CHECK_FALSE(open.MayBeForwarded(7));
}

TEST_CASE("GETs that are on their way leave hits alone; whatever else concerns the key does not") {
  OpenRequests open;
  CHECK(open.MayHit(7));
  const PendingRequest get = RequestOf(Kind::kFlight, 7);
  open.Add(get);
  CHECK(open.MayHit(7));
  PendingRequest strlen = RequestOf(Kind::kFlight, 8);
  strlen.past_l1 = true;
  open.Add(strlen);
  CHECK_FALSE(open.MayHit(8));
  CHECK(open.MayAwaitYounger(8));
  CHECK(open.MayHit(9));
  const PendingRequest write = RequestOf(Kind::kForward, 9);
  open.Add(write);
  CHECK_FALSE(open.MayHit(9));
  CHECK_FALSE(open.MayAwaitYounger(9));
  PendingRequest behind = RequestOf(Kind::kFlight, 8);  // a GET that waits for what STRLEN saw
  behind.past_l1 = true;
  open.Add(behind);
  open.Remove(strlen);
  CHECK_FALSE(open.MayHit(8));
  open.Remove(behind);
  CHECK(open.MayHit(8));
  open.Remove(write);
  open.Remove(get);
  CHECK(open.MayHit(9));
  CHECK(open.empty());
}

TEST_CASE("every key of a request counts, until the request is answered") {
  OpenRequests open;
  PendingRequest mget = RequestOf(Kind::kMget, 1);
  mget.more_hashes = {2, 3};
  open.Add(mget);
  CHECK(open.MayBeFilling(1));
  CHECK(open.MayBeFilling(3));
  open.Remove(mget);
  CHECK_FALSE(open.MayBeFilling(1));
  CHECK_FALSE(open.MayBeFilling(3));
}

TEST_CASE("a command whose keys nobody knows draws all reads after it") {
  OpenRequests open;
  PendingRequest script;
  script.kind = Kind::kForward;
  script.wide = true;
  const PendingRequest other = RequestOf(Kind::kForward, 5);
  open.Add(script);
  open.Add(other);
  CHECK(open.MayBeForwarded(1));
  open.Remove(script);
  CHECK_FALSE(open.MayBeForwarded(1));
  CHECK(open.MayBeForwarded(5));
  open.Remove(other);
  open.Release();
  CHECK(open.empty());
}

}  // namespace
}  // namespace nearcached
