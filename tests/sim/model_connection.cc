#include "tests/sim/model_handlers.h"

namespace nearcached::sim::handlers {
namespace {

bool PasswordFits(const Call& call, const std::string& user, const std::string& password) {
  return user == "default" ? password == call.model.traits().password
                           : call.model.users().Fits(user, password);
}

// The user that `name` names, as the session keeps it.
std::string UserOf(const std::string& name) {
  return name == "default" ? "" : name;
}

Reply WrongPassword() {
  return Reply::Error("WRONGPASS invalid username-password pair or user is disabled.");
}

Reply Tracking(const Call& call) {
  if (call.args.size() < 3) {
    return Reply::Error("ERR wrong number of arguments for 'client|tracking' command");
  }
  const std::string what = Upper(call.args[2]);
  if (what == "OFF") {
    call.model.tracking().Forget(call.session.number);
    return Reply::Ok();
  }
  TrackingMode mode;
  mode.on = what == "ON";
  bool valid = mode.on;
  for (std::size_t i = 3; i < call.args.size(); ++i) {
    const std::string word = Upper(call.args[i]);
    if (word == "OPTIN") {
      mode.optin = true;
    } else if (word == "BCAST") {
      mode.bcast = true;
    } else if (word == "NOLOOP") {
      mode.noloop = true;
    } else if (word == "REDIRECT" && i + 1 < call.args.size()) {
      const auto to = call.model.FindSession(call.args[++i], call.session.node);
      if (!to) {
        return Reply::Error("ERR The client ID you want redirect to does not exist");
      }
      mode.redirect = *to;
    } else if (word == "PREFIX" && i + 1 < call.args.size()) {
      mode.prefixes.push_back(call.args[++i]);
    } else {
      valid = false;
    }
  }
  if (!valid) {
    return SyntaxError();
  }
  call.model.tracking().SetMode(call.session.number, std::move(mode));
  return Reply::Ok();
}

Reply Caching(const Call& call) {
  const TrackingMode* mode = call.model.tracking().Mode(call.session.number);
  if (call.args.size() != 3 || Upper(call.args[2]) != "YES" || mode == nullptr || !mode->optin) {
    return Reply::Error(
        "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  }
  call.session.caching_yes = true;
  return Reply::Ok();
}

Reply TrackingInfo(const Call& call) {
  const TrackingMode* mode = call.model.tracking().Mode(call.session.number);
  std::vector<Reply> flags = {Reply::Bulk(mode == nullptr ? "off" : "on")};
  if (mode != nullptr && mode->optin) {
    flags.push_back(Reply::Bulk("optin"));
  }
  return Reply::Map(
      {Reply::Bulk("flags"), Reply::Array(std::move(flags)), Reply::Bulk("redirect"),
       Reply::Integer(mode == nullptr ? -1 : static_cast<std::int64_t>(mode->redirect)),
       Reply::Bulk("prefixes"), Reply::Array({})});
}

}  // namespace

Reply Ping(const Call& call) {
  const bool subscribed =
      call.session.protocol == Protocol::kResp2 && !call.session.channels.empty();
  const std::string text = call.args.size() > 1 ? call.args[1] : "";
  if (subscribed) {
    return Reply::Array({Reply::Bulk("pong"), Reply::Bulk(text)});
  }
  return call.args.size() > 1 ? Reply::Bulk(text) : Reply::Simple("PONG");
}

Reply Echo(const Call& call) {
  return Reply::Bulk(call.args[1]);
}

Reply Auth(const Call& call) {
  const bool named = call.args.size() > 2;
  const std::string name = named ? call.args[1] : "default";
  if (!PasswordFits(call, name, call.args[named ? 2 : 1])) {
    return WrongPassword();
  }
  call.session.authenticated = true;
  call.session.user = UserOf(name);
  return Reply::Ok();
}

Reply Hello(const Call& call) {
  ModelSession& session = call.session;
  Protocol protocol = session.protocol;
  std::size_t next = 1;
  if (call.args.size() > 1) {
    if (call.args[1] != "2" && call.args[1] != "3") {
      return Reply::Error("NOPROTO unsupported protocol version");
    }
    protocol = call.args[1] == "3" ? Protocol::kResp3 : Protocol::kResp2;
    next = 2;
  }
  bool authenticated = session.authenticated;
  std::string user = session.user;
  std::string name = session.name;
  while (next < call.args.size()) {
    const std::string word = Upper(call.args[next]);
    if (word == "AUTH" && next + 2 < call.args.size()) {
      if (!PasswordFits(call, call.args[next + 1], call.args[next + 2])) {
        return WrongPassword();
      }
      authenticated = true;
      user = UserOf(call.args[next + 1]);
      next += 3;
    } else if (word == "SETNAME" && next + 1 < call.args.size()) {
      name = call.args[next + 1];
      next += 2;
    } else {
      return SyntaxError();
    }
  }
  if (!authenticated) {
    return Reply::Error("NOAUTH HELLO must be called with the client already authenticated");
  }
  session.authenticated = true;
  session.user = std::move(user);
  session.protocol = protocol;
  session.name = name;
  return Reply::Map(
      {Reply::Bulk("server"), Reply::Bulk("redis"), Reply::Bulk("version"), Reply::Bulk("7.0.15"),
       Reply::Bulk("proto"), Reply::Integer(static_cast<int>(protocol)), Reply::Bulk("id"),
       Reply::Integer(static_cast<std::int64_t>(session.number)), Reply::Bulk("mode"),
       Reply::Bulk(call.model.clustered() ? "cluster" : "standalone"), Reply::Bulk("role"),
       Reply::Bulk("master"), Reply::Bulk("modules"), Reply::Array({})});
}

Reply Select(const Call& call) {
  const std::string& text = call.args[1];
  if (text.empty() || text.size() > 2 ||
      text.find_first_not_of("0123456789") != std::string::npos ||
      std::stoi(text) >= Store::kDatabases) {
    return Reply::Error("ERR DB index is out of range");
  }
  if (call.model.clustered() && std::stoi(text) != 0) {
    return Reply::Error("ERR SELECT is not allowed in cluster mode");
  }
  call.session.db = std::stoi(text);
  return Reply::Ok();
}

Reply Client(const Call& call) {
  const std::string what = Upper(call.args[1]);
  if (what == "ID") {
    return Reply::Integer(static_cast<std::int64_t>(call.session.number));
  }
  if (what == "SETNAME" && call.args.size() == 3) {
    call.session.name = call.args[2];
    return Reply::Ok();
  }
  if (what == "GETNAME") {
    return call.session.name.empty() ? Reply::Nil() : Reply::Bulk(call.session.name);
  }
  if (what == "NO-EVICT") {
    return Reply::Ok();
  }
  if (call.model.traits().knows_tracking) {
    if (what == "TRACKING") {
      return Tracking(call);
    }
    if (what == "CACHING") {
      return Caching(call);
    }
    if (what == "TRACKINGINFO") {
      return TrackingInfo(call);
    }
  }
  return Reply::Error("ERR unknown subcommand '" + call.args[1] + "'. Try CLIENT HELP.");
}

Reply Command(const Call& call) {
  if (!call.model.traits().command_table || call.args.size() > 1) {
    return Reply::Error("ERR unknown command 'COMMAND', with args beginning with: ");
  }
  return ModelCommandTable(call.model.clustered());
}

Reply Info(const Call& call) {
  const auto keys = std::to_string(call.model.tracking().keys());
  return Reply::Bulk(
      "# Server\r\nredis_version:7.0.15\r\nrun_id:" + call.model.RunId(call.session.node) +
      "\r\n# Clients\r\n"
      "tracking_clients:1\r\n# Stats\r\ntracking_total_keys:" +
      keys + "\r\n# Replication\r\n" +
      (call.model.nodes() != nullptr ? call.model.nodes()->Replication(call.session.node)
                                     : "role:master\r\n"));
}

Reply Role(const Call& call) {
  const ServerNodes* nodes = call.model.nodes();
  return nodes != nullptr
             ? nodes->Role(call.session.node)
             : Reply::Array({Reply::Bulk("master"), Reply::Integer(0), Reply::Array({})});
}

Reply Cluster(const Call& call) {
  return call.model.clustered() ? call.model.nodes()->ClusterReply(call.session.node, call.args)
                                : Reply::Error("ERR This instance has cluster support disabled");
}

Reply Asking(const Call& call) {
  if (!call.model.clustered()) {
    return Reply::Error("ERR This instance has cluster support disabled");
  }
  call.session.asking = true;
  return Reply::Ok();
}

Reply ReadOnly(const Call& call) {
  if (!call.model.clustered()) {
    return Reply::Error("ERR This instance has cluster support disabled");
  }
  call.session.readonly = true;
  return Reply::Ok();
}

Reply Quit(const Call& call) {
  if (call.session.connection != nullptr) {
    SimConnection& connection = *call.session.connection;
    call.model.env().scheduler.Post(Duration::zero(), [&connection] { connection.Shutdown(); });
  }
  return Reply::Ok();
}

Reply Reset(const Call& call) {
  call.model.ResetSession(call.session);
  return Reply::Simple("RESET");
}

Reply Multi(const Call& call) {
  if (call.session.in_multi) {
    return Reply::Error("ERR MULTI calls can not be nested");
  }
  call.session.in_multi = true;
  return Reply::Ok();
}

Reply Exec(const Call& call) {
  return call.model.Exec(call.session);
}

Reply Discard(const Call& call) {
  ModelSession& session = call.session;
  if (!session.in_multi) {
    return Reply::Error("ERR DISCARD without MULTI");
  }
  session.in_multi = session.multi_broken = session.watch_broken = false;
  session.queued.clear();
  session.watched.clear();
  return Reply::Ok();
}

Reply Watch(const Call& call) {
  if (call.session.in_multi) {
    return Reply::Error("ERR WATCH inside MULTI is not allowed");
  }
  for (std::size_t i = 1; i < call.args.size(); ++i) {
    call.model.store().Find(call.Key(i));  // dead already: it must not break the watch later
    call.session.watched.insert(call.Key(i));
  }
  return Reply::Ok();
}

Reply Unwatch(const Call& call) {
  call.session.watched.clear();
  call.session.watch_broken = false;
  return Reply::Ok();
}

Reply Publish(const Call& call) {
  return Reply::Integer(call.model.Publish(call.args[1], call.args[2]));
}

Reply Subscribe(const Call& call) {
  for (std::size_t i = 1; i < call.args.size(); ++i) {
    call.session.channels.insert(call.args[i]);
    call.session.Send(
        Reply::Push({Reply::Bulk("subscribe"), Reply::Bulk(call.args[i]),
                     Reply::Integer(static_cast<std::int64_t>(call.session.channels.size()))}));
    call.model.NoteHeard(call.session, call.args[i], false);
  }
  return Reply::None();
}

Reply Unsubscribe(const Call& call) {
  std::vector<std::string> channels(call.args.begin() + 1, call.args.end());
  if (channels.empty()) {
    channels.assign(call.session.channels.begin(), call.session.channels.end());
  }
  if (channels.empty()) {
    call.session.Send(Reply::Push({Reply::Bulk("unsubscribe"), Reply::Nil(), Reply::Integer(0)}));
  }
  for (const std::string& channel : channels) {
    call.session.channels.erase(channel);
    call.session.Send(
        Reply::Push({Reply::Bulk("unsubscribe"), Reply::Bulk(channel),
                     Reply::Integer(static_cast<std::int64_t>(call.session.channels.size()))}));
  }
  return Reply::None();
}

}  // namespace nearcached::sim::handlers
