#include "daemon/session/mget_gather.h"

#include "daemon/base/check.h"
#include "proto/encode.h"

namespace nearcached {

void MgetGather::Render(std::string& out, proto::Protocol protocol) const {
  NC_CHECK(waiting == 0);
  if (!error.empty()) {
    out.append(error);
    return;
  }
  proto::AppendArrayHeader(out, parts.size());
  for (const Part& part : parts) {
    if (part.null) {
      proto::AppendNull(out, protocol);
    } else {
      out.append(part.value);
    }
  }
}

}  // namespace nearcached
