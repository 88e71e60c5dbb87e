#include "daemon/admin/nearcache_handler.h"

#include <cstdint>

#include "config/render.h"
#include "daemon/admin/stat_lines.h"
#include "daemon/base/log.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {

AdminHandler::Verdict NearcacheHandler::Handle(const Request& request, std::string& out) {
  const auto parsed = ParseNearcache(request.args);
  if (!parsed.ok()) {
    proto::AppendError(out, parsed.error().message);
    return Verdict::kAnswered;
  }
  const NearcacheRequest& what = parsed.value();
  switch (what.kind) {
    case NearcacheRequest::Kind::kPause:
    case NearcacheRequest::Kind::kResume:
    case NearcacheRequest::Kind::kReconnect:
    case NearcacheRequest::Kind::kKill:
    case NearcacheRequest::Kind::kReload:
    case NearcacheRequest::Kind::kShutdown:
    case NearcacheRequest::Kind::kFlush:
    case NearcacheRequest::Kind::kInvalidate:
    case NearcacheRequest::Kind::kEnable:
    case NearcacheRequest::Kind::kDisable:
      return Operate(what, request, out);
    default:
      Show(what, request, out);
      return Verdict::kAnswered;
  }
}

// Changes nothing.
void NearcacheHandler::Show(const NearcacheRequest& what, const Request& request,
                            std::string& out) {
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
    case NearcacheRequest::Kind::kPools:
      AppendRows(out, backend_.Pools(), request.protocol);
      return;
    case NearcacheRequest::Kind::kUpstreams:
      AppendRows(out, backend_.Upstreams(), request.protocol);
      return;
    case NearcacheRequest::Kind::kClients:
      AppendRows(out, backend_.Clients(), request.protocol);
      return;
    case NearcacheRequest::Kind::kTracking:
      AppendRows(out, backend_.Tracking(), request.protocol);
      return;
    case NearcacheRequest::Kind::kState:
      AppendRow(out, backend_.State(), request.protocol);
      return;
    default:
      AppendHelp(out);
      return;
  }
}

AdminHandler::Verdict NearcacheHandler::Operate(const NearcacheRequest& what,
                                                const Request& request, std::string& out) {
  switch (what.kind) {
    case NearcacheRequest::Kind::kFlush: {
      const std::size_t dropped = backend_.FlushCache(what.prefix);
      Log(LogLevel::kInfo, "cache_flushed", "entries=" + std::to_string(dropped));
      proto::AppendInteger(out, static_cast<std::int64_t>(dropped));
      return Verdict::kAnswered;
    }
    case NearcacheRequest::Kind::kInvalidate:
      proto::AppendInteger(out, static_cast<std::int64_t>(backend_.Invalidate(what.keys)));
      return Verdict::kAnswered;
    case NearcacheRequest::Kind::kEnable:
    case NearcacheRequest::Kind::kDisable: {
      const bool on = what.kind == NearcacheRequest::Kind::kEnable;
      backend_.SetCacheEnabled(on);
      Log(LogLevel::kInfo, on ? "cache_enabled" : "cache_disabled", "");
      break;
    }
    case NearcacheRequest::Kind::kPause:
      if (request.again && !backend_.paused()) {
        proto::AppendError(out, proto::OwnError("RESUME came before everything had paused"));
        return Verdict::kAnswered;
      }
      if (!backend_.paused()) {
        Log(LogLevel::kInfo, "pausing", "");
        backend_.SetPaused(true);
      }
      if (!backend_.quiet()) {
        return Verdict::kLater;
      }
      Log(LogLevel::kInfo, "paused", "");
      break;
    case NearcacheRequest::Kind::kResume:
      backend_.SetPaused(false);
      Log(LogLevel::kInfo, "resumed", "");
      break;
    case NearcacheRequest::Kind::kReconnect:
      Log(LogLevel::kInfo, "reconnecting", "");
      backend_.Reconnect();
      break;
    case NearcacheRequest::Kind::kKill:
      if (!backend_.KillClient(what.client)) {
        proto::AppendError(out, "ERR No such client ID");
        return Verdict::kAnswered;
      }
      Log(LogLevel::kInfo, "client_killed", "id=" + std::to_string(what.client));
      break;
    case NearcacheRequest::Kind::kReload:
      backend_.RequestReload();
      break;
    default:
      backend_.RequestShutdown();
      break;
  }
  proto::AppendSimple(out, "OK");
  return Verdict::kAnswered;
}

}  // namespace nearcached
