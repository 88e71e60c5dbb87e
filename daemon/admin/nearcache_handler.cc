#include "daemon/admin/nearcache_handler.h"

#include <cstdint>

#include "config/render.h"
#include "daemon/admin/nearcache_command.h"
#include "daemon/admin/stat_lines.h"
#include "daemon/base/log.h"
#include "proto/encode.h"

namespace nearcached {

void NearcacheHandler::Handle(const Request& request, std::string& out) {
  const auto parsed = ParseNearcache(request.args);
  if (!parsed.ok()) {
    proto::AppendError(out, parsed.error().message);
    return;
  }
  const NearcacheRequest& what = parsed.value();
  switch (what.kind) {
    case NearcacheRequest::Kind::kStats:
      AppendStats(out, ToStatLines(metrics_.Collect(), what.prefix), request.protocol);
      return;
    case NearcacheRequest::Kind::kConfig:
      AppendConfig(out, config::ListConfig(backend_.CurrentConfig()), what.prefix,
                   request.protocol);
      return;
    case NearcacheRequest::Kind::kExplain:
      AppendExplanation(out, backend_.Explain(what.command), request.protocol);
      return;
    case NearcacheRequest::Kind::kFlush: {
      const std::size_t dropped = backend_.FlushCache(what.prefix);
      Log(LogLevel::kInfo, "cache_flushed", "entries=" + std::to_string(dropped));
      proto::AppendInteger(out, static_cast<std::int64_t>(dropped));
      return;
    }
    case NearcacheRequest::Kind::kEnable:
    case NearcacheRequest::Kind::kDisable: {
      const bool on = what.kind == NearcacheRequest::Kind::kEnable;
      backend_.SetCacheEnabled(on);
      Log(LogLevel::kInfo, on ? "cache_enabled" : "cache_disabled", "");
      proto::AppendSimple(out, "OK");
      return;
    }
    case NearcacheRequest::Kind::kHelp:
      AppendHelp(out);
      return;
  }
}

}  // namespace nearcached
