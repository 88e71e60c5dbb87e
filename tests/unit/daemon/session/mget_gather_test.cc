#include "daemon/session/mget_gather.h"

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("the parts are put together in request order, absent ones as nil of the protocol") {
  MgetGather gather;
  gather.parts = {{"$1\r\na\r\n", false}, {}, {"$0\r\n\r\n", false}};
  std::string resp2;
  gather.Render(resp2, proto::Protocol::kResp2);
  CHECK(resp2 == "*3\r\n$1\r\na\r\n$-1\r\n$0\r\n\r\n");
  std::string resp3 = "before";
  gather.Render(resp3, proto::Protocol::kResp3);
  CHECK(resp3 == "before*3\r\n$1\r\na\r\n_\r\n$0\r\n\r\n");
}

TEST_CASE("an error that concerns the whole is the whole answer") {
  MgetGather gather;
  gather.parts = {{"$1\r\na\r\n", false}, {}};
  gather.error = "-NOPERM no\r\n";
  std::string out;
  gather.Render(out, proto::Protocol::kResp2);
  CHECK(out == "-NOPERM no\r\n");
}

}  // namespace
}  // namespace nearcached
