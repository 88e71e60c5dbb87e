#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

#include "tests/sim/model_commands.h"

namespace nearcached::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kMaintenanceKey = "maintenance";  // no key of the traffic's

World::World(const RunOptions& options, const ProductFactory& factory)
    : env_(options.seed, options.print_trace),
      profile_(*options.profile),
      cut_(options.cut),
      server_(DrawServer()),
      setup_(DrawSetup()),
      group_(DrawGroup()),
      cluster_(DrawCluster()),
      model_(env_, server_),
      network_(env_,
               {[this](const Endpoint& to) { return DrawDial(to); }, [this] { return DrawPath(); },
                [this](SimConnection& connection, const Endpoint& to) { Accept(connection, to); }}),
      checker_(env_, model_, network_, MakePromises()),
      traffic_(env_, profile_, model_, setup_.all_reads) {
  model_.SetObserver(
      {[this](const SimConnection& connection, const KeyId& id) {
         checker_.TrackedRead(connection, id);
       },
       [this](const Args& args) {
         // Whatever goes past the cache ends the fetches of the keys it names.
         for (std::size_t i = 1; i < args.size(); ++i) {
           checker_.Disturbed(args[i]);
         }
       },
       [this](const std::string& key) { checker_.Disturbed(key); },
       [this](const SimConnection& connection, const std::string& channel, bool message) {
         if (channel == Announcements::kChannel) {
           announcements_.Said(connection,
                               message ? announced_ : Announcements::Names{{}, {}, true},
                               model_.store().op());
         }
       }});
  checker_.SetAnnouncements(announcements_);
  if (profile_.identity) {
    AddUsers();
  }
  deadline_allowance_ = setup_.request_timeout + setup_.connect_timeout + seconds(1) +
                        env_.scheduler.turn_cost_max() * 8;
  if (profile_.maintenance) {
    deadline_allowance_ += setup_.max_hold;  // long there; elsewhere the second covers it
  }
  if (nodes() != nullptr) {
    model_.SetNodes(*nodes());
    if (profile_.replicas && group_ != nullptr) {
      group_->ServeFromReplicas(model_.store());
    }
  }
  if (cluster_ != nullptr) {
    cluster_->SetModel(model_);
  }
  product_ = factory(setup_, env_.scheduler, network_);
  checker_.SetStaleServed(
      [this] { return product_ != nullptr ? product_->figures().stale : figures_.stale; });
}

World::~World() = default;

ServerTraits World::DrawServer() {
  if (profile_.faults && env_.Chance(0.5)) {
    env_.scheduler.SetTurnCostMax(env_.Between(milliseconds(1), milliseconds(40)));
  }
  ServerTraits server;
  server.knows_tracking = profile_.server_tracks;
  server.knows_hello = profile_.server_tracks || env_.Chance(0.5);
  if (profile_.method == "redirect" && profile_.faults) {  // asked for, or for want of RESP3
    server.knows_hello = env_.Chance(0.6);
  }
  server.command_table = env_.Chance(0.7);
  server.password = env_.Chance(0.2) ? "secret" : "";
  server.tracking_keys_max = env_.Chance(0.2) ? env_.Between(2, 6) : 1000;
  server.expiry_lag_max = milliseconds(env_.Between(0, 300));
  if (profile_.faults) {
    server.slow = env_.Chance(0.5) ? 0.01 : 0;
    server.slow_max = milliseconds(env_.Between(1, 400));
    server.garbage = profile_.garbage && env_.Chance(0.1) ? 0.002 : 0;
  }
  return server;
}

ProductSetup World::DrawSetup() {
  ProductSetup setup;
  setup.seed = env_.rng.Next();
  setup.tracking = profile_.tracking;
  setup.method = server_.knows_hello ? profile_.method : "auto";
  setup.password = server_.password;
  setup.links = env_.Between(1, 3);
  setup.fill_links = env_.Between(1, 2);
  setup.coalescing = env_.Chance(0.85);
  setup.pipeline_max = env_.Chance(0.2) ? env_.Between(1, 16) : 1024;
  setup.l1_ttl = milliseconds(env_.Between(50, 3000));
  setup.l1_bytes = env_.Chance(0.2) ? std::size_t{1} << 20U : std::size_t{8} << 20U;
  if (profile_.overload) {
    setup.clients_max = env_.Between(2, 6);
    setup.output_bytes_max = env_.Between(20'000, 200'000);
    setup.exclusive_links_max = env_.Between(1, 3);
  }
  // Drawn aside, so that seeds from before these were settings still make the same worlds.
  Rng aside(setup.seed ^ 0x706f6f6cU);
  if (profile_.overload) {
    setup.exclusive_max_wait = milliseconds(aside.Below(4) == 0 ? 0 : aside.Below(1000));
    setup.exclusive_min_idle = aside.Below(2);
  }
  if (aside.Below(3) == 0) {
    setup.link_max_lifetime = milliseconds(200 + aside.Below(2000));
  }
  setup.link_pipeline_max = aside.Below(3) == 0 ? 1 + aside.Below(40) : 1024;
  setup.max_hold = milliseconds(aside.Below(4) == 0 ? 100 + aside.Below(700) : 0);
  setup.meddle_every = milliseconds(aside.Below(3) == 0 ? 50 + aside.Below(500) : 0);
  setup.test_on_borrow = aside.Below(4) == 0;
  setup.all_reads = aside.Below(2) == 0;
  setup.variants_max = aside.Below(4) == 0 ? 1 + aside.Below(3) : 128;
  setup.stale_if_error = milliseconds(aside.Below(3) != 0 ? 100 + aside.Below(3000) : 0);
  setup.adaptive_stop_after = aside.Below(5) == 0 ? 2 + static_cast<int>(aside.Below(30)) : 0;
  setup.verify = aside.Below(5) == 0;
  setup.events = aside.Below(profile_.tracking && profile_.server_tracks ? 4 : 2) == 0;
  setup.stream_above = aside.Below(3) == 0 ? 16 + aside.Below(200) : 0;
  setup.all_reads = setup.all_reads || profile_.meeting;
  setup.events = setup.events || profile_.announced;
  if (profile_.maintenance) {
    setup.maintenance_key = kMaintenanceKey;
    setup.max_hold = milliseconds(aside.Below(2) == 0 ? 100 + aside.Below(2000) : 0);
  }
  if (profile_.identity) {
    setup.identity = true;
    setup.password.clear();  // the product's own links are the default user's, whatever that may do
  }
  return setup;
}

PathFaults World::DrawPath() {
  PathFaults path;
  path.delay_max = microseconds(env_.Between(30, 500));
  path.cut = env_.Chance(0.3) ? 0.5 : 0.1;
  path.read_max = env_.Chance(0.1) ? env_.Between(8, 60) : std::size_t{1} << 16U;
  path.short_write = env_.Chance(0.3) ? 0.3 : 0;
  if (env_.Chance(0.25)) {
    path.delay_max = env_.Between(milliseconds(1), milliseconds(25));  // far slower than others
  }
  if (profile_.faults) {
    path.delay_max = env_.Between(microseconds(50), milliseconds(20));
    path.stall = env_.Chance(0.3) ? 0.02 : 0;
    path.stall_max = milliseconds(env_.Between(10, 700));
    path.window = env_.Chance(0.3) ? env_.Between(64, 4096) : std::size_t{1} << 20U;
  }
  if (profile_.overload) {
    path.window = env_.Between(64, 20'000);
  }
  if (profile_.short_lives || profile_.announced) {
    path.delay_max = env_.Between(milliseconds(1), milliseconds(40));
  }
  return path;
}

Promises World::MakePromises() const {
  Promises promises;
  promises.no_faults = !profile_.faults && !profile_.failover;
  promises.tracking = profile_.tracking && profile_.server_tracks;
  // A client that waits for two reads of a key is told of the later one last, and that may take a
  // second fetch (flight_table.cc): I3 is judged where GET alone is cached. And where no messages
  // are on their way, each of which is a reason to fetch again whenever it arrives.
  promises.coalescing = setup_.coalescing && !setup_.all_reads && !setup_.events;
  promises.push_delay = setup_.method == "bcast" ? ModelRedis::kRoundMax : Duration::zero();
  promises.l1_ttl = setup_.l1_ttl;
  promises.request_timeout = setup_.request_timeout;
  promises.stale_if_error = setup_.stale_if_error;
  promises.stale_max = setup_.StaleMax() + env_.scheduler.turn_cost_max() * 4;
  if (profile_.replicas) {
    promises.replicas = true;
    promises.unpushed_max =
        setup_.replica_lag_max + setup_.request_timeout * 2 + env_.scheduler.turn_cost_max() * 8;
  }
  if (cluster_ != nullptr) {
    PromiseOfCluster(promises);
  }
  return promises;
}

// Who may be the primary, and what the product promises when it is another one. The promises are
// those of watched_topology.h plus what the simulated network and busy loop take of their own.
std::unique_ptr<NodeGroup> World::DrawGroup() {
  if (profile_.cluster || (!profile_.failover && !profile_.replicas)) {
    return nullptr;
  }
  NodeGroup::Shape shape;
  shape.nodes = static_cast<int>(env_.Between(2, 3));
  shape.sentinels = env_.Chance(0.6) ? 3 : 0;
  shape.one_lies = env_.Chance(0.3);
  if (profile_.replicas) {
    shape.sentinels = 0;
    setup_.events = false;  // what is announced must show, also of keys that only replicas answer
    setup_.read_from = env_.Chance(0.3) ? "nearest" : "prefer_replica";
  }
  const Duration slack = seconds(1) + env_.scheduler.turn_cost_max() * 8;
  const Duration sentinels_lag = milliseconds(shape.sentinels > 0 ? 500 : 0);
  NodePromises promises;
  promises.leave_max = setup_.probe_interval + sentinels_lag + slack;
  promises.return_max = promises.leave_max + milliseconds(500);  // M refused attempts, and links
  promises.silent_max = setup_.probe_interval * (setup_.probe_misses + 1) + setup_.connect_timeout +
                        sentinels_lag + slack;
  auto group = std::make_unique<NodeGroup>(env_, shape, promises);
  setup_.hosts = group->Hosts();
  setup_.sentinels = shape.sentinels > 0;
  return group;
}

ServerNodes* World::nodes() const {
  return cluster_ != nullptr ? static_cast<ServerNodes*>(cluster_.get()) : group_.get();
}

void World::Accept(SimConnection& connection, const Endpoint& to) {
  if (nodes() == nullptr) {
    model_.Connect(connection);
    return;
  }
  if (const auto node = nodes()->NodeOf(to)) {
    model_.Connect(connection, *node);
  }
  nodes()->Accepted(connection, to);
}

DialOutcome World::DrawDial(const Endpoint& to) {
  if (nodes() != nullptr) {
    return nodes()->Dialled(to);
  }
  if (model_.down()) {
    return DialOutcome::kRefused;
  }
  if (profile_.faults && !quiet_) {
    if (env_.Chance(0.1)) {
      return DialOutcome::kRefused;
    }
    if (env_.Chance(0.05)) {
      return DialOutcome::kHangs;
    }
  }
  return DialOutcome::kAccepted;
}

void World::ScheduleClients() {
  const MonoTime now = env_.scheduler.Now();
  traffic_end_ =
      now + milliseconds(profile_.failover || profile_.cluster ? env_.Between(4000, 9000)
                                                               : env_.Between(1000, 5000));
  clients_planned_ = static_cast<int>(env_.Between(2, 12));
  if (profile_.cuts) {
    traffic_end_ = now + milliseconds(env_.Between(700, 1200));
    clients_planned_ = 2;
  }
  // A calm world lets the links come up first; elsewhere clients may be there before them.
  const Duration first =
      profile_.faults || profile_.failover ? Duration::zero() : Duration(milliseconds(500));
  for (int i = 0; i < clients_planned_; ++i) {
    env_.scheduler.Post(first + env_.Between(Duration::zero(), (traffic_end_ - now) / 2),
                        [this] { StartClient(); });
  }
}

void World::StartClient() {
  if (env_.scheduler.Now() > traffic_end_) {
    return;
  }
  ClientPlan plan;
  plan.requests = static_cast<int>(env_.Between(1, 120));
  plan.depth_max = env_.Chance(0.2) ? 40 : static_cast<int>(env_.Between(1, 8));
  plan.waits = env_.Chance(0.7);
  plan.think_max = env_.Between(microseconds(10), milliseconds(60));
  plan.resp3 = env_.Chance(0.5);
  plan.subscriber = env_.Chance(0.06);
  plan.farewell = static_cast<Farewell>(env_.rng.Below(6));
  if (profile_.overload) {
    plan.depth_max = static_cast<int>(env_.Between(1, 200));
    plan.requests = static_cast<int>(env_.Between(50, 400));
    plan.slow_reader = env_.Chance(0.3);
  }
  const int number = ++next_client_;
  if (profile_.cuts) {
    plan.requests = static_cast<int>(env_.Between(10, 40));
    plan.subscriber = env_.Chance(0.2);
    const Cut cut{
        .bytes = env_.Between(0, 1500), .received = env_.Chance(0.5), .reset = env_.Chance(0.5)};
    plan.cut = number == 1 && cut_ ? cut_ : std::optional(cut);
  }
  SimConnection& connection =
      network_.AddClientConnection("client" + std::to_string(number), DrawPath());
  clients_.push_back(std::make_unique<Client>(env_, checker_, traffic_, connection, number, plan));
  Client* client = clients_.back().get();
  if (draining_) {
    client->PermitClose();
  }
  Introduce(connection);
  client->Start();
  // An application keeps a connection for a while, then comes back with another.
  env_.scheduler.Post(env_.Between(milliseconds(50), milliseconds(800)), [this] { StartClient(); });
}

// The client's connection reaches the listener.
void World::Introduce(SimConnection& connection) {
  env_.scheduler.PostToProduct(env_.scheduler.Now(), [this, &connection] {
    if (product_ == nullptr) {
      return;
    }
    const bool accepted = product_->Accept(
        [&connection](ByteStreamHandler& handler) { return connection.Open(handler); });
    env_.Note(connection.name(), accepted ? "is accepted" : "is not accepted");
    if (!accepted && !connection.product_stream_exists()) {
      connection.Reset(false);
    }
  });
}

void World::ScheduleDirectWriter() {
  const bool busy = profile_.announced || profile_.meeting;
  const Duration pause =
      env_.Between(microseconds(100), busy ? milliseconds(10) : milliseconds(80)) *
      (traffic_.read_mostly() ? 20 : 1);
  env_.scheduler.Post(pause, [this] {
    if (env_.scheduler.Now() > traffic_end_) {
      return;
    }
    if (!model_.stopped() && !model_.down()) {
      int db = 0;
      const Args args = traffic_.DirectWrite(db);
      checker_.Disturbed(args.size() > 1 ? args[1] : "");
      if (cluster_ == nullptr || cluster_->AdmitDirect(args)) {
        static_cast<void>(model_.Direct(db, args));
        Announce(args);
      }
    }
    ScheduleDirectWriter();
  });
}

// Who wrote past the product says so, in one of the ways there are; or late, or not at all.
void World::Announce(const Args& write) {
  if (!setup_.events || env_.Chance(0.3)) {
    return;
  }
  const auto keys = KeysOf(*FindModelCommand(Upper(write.front())), write);
  Announcements::Names names;
  std::string payload;
  const double form = profile_.announced ? 0.5 + env_.rng.Unit() / 2 : env_.rng.Unit();
  if (keys.empty()) {
    names.everything = true;
    payload = R"({"all": true, "origin": "other"})";
  } else if (form < 0.5) {
    names.keys = keys;
    payload = keys.front();
    for (std::size_t i = 1; i < keys.size(); ++i) {
      payload += "\n" + keys[i];
    }
  } else if (form < 0.8) {
    names.keys = {keys.front()};
    payload = R"({"keys": [")" + keys.front() + R"("], "unknown": [1, {"a": null}]})";
  } else if (form < 0.9) {
    names.prefixes = {keys.front().substr(0, keys.front().size() - 1)};
    payload = R"({"prefixes": [")" + names.prefixes.front() + R"("]})";
  } else {  // our own echo, or something that says nothing
    payload =
        form < 0.95 ? R"({"keys": [")" + keys.front() + R"("], "origin": "me"})" : R"({"keys": 7})";
  }
  if (env_.Chance(0.7)) {
    Publish(names, payload);
    return;
  }
  env_.scheduler.Post(env_.Between(microseconds(100), milliseconds(50)), [this, names, payload] {
    if (!model_.stopped() && !model_.down()) {
      Publish(names, payload);
    }
  });
}

void World::Publish(const Announcements::Names& names, const std::string& payload) {
  announced_ = names;
  static_cast<void>(model_.Direct(0, {"PUBLISH", Announcements::kChannel, payload}));
}

// An operator takes the load off the server for a while, again and again; clients may empty it in
// between.
void World::ScheduleMaintenance(bool begin) {
  env_.scheduler.Post(env_.Between(milliseconds(50), milliseconds(1500)), [this, begin] {
    const bool last = env_.scheduler.Now() >= traffic_end_;
    if (model_.stopped() || model_.down()) {
      ScheduleMaintenance(begin);
      return;
    }
    env_.Note("operator", begin && !last ? "begins maintenance" : "ends maintenance");
    static_cast<void>(model_.Direct(
        0, begin && !last ? Args{"SET", kMaintenanceKey, "1"} : Args{"DEL", kMaintenanceKey}));
    if (!last) {
      ScheduleMaintenance(!begin);
    }
  });
}

// Somebody else makes the server forget its scripts; not often, since I9 is not judged then.
void World::ScheduleScriptFlush() {
  if (!env_.Chance(0.2)) {
    return;
  }
  env_.scheduler.Post(env_.Between(Duration::zero(), traffic_end_ - env_.scheduler.Now()), [this] {
    if (!model_.stopped() && !model_.down()) {
      checker_.ScriptsFlushed();
      static_cast<void>(model_.Direct(0, {"SCRIPT", "FLUSH"}));
    }
  });
}

// Some of whom may touch only some keys, the default user perhaps among them.
void World::AddUsers() {
  const MonoTime now = env_.scheduler.Now();
  ModelUsers& users = model_.users();
  users.Set("", "", env_.Chance(0.5) ? ModelUsers::kAll : DrawRights(), now);
  users.Set("alice", "a0", env_.Chance(0.3) ? ModelUsers::kAll : DrawRights(), now);
  users.Set("bob", "b0", DrawRights(), now);
}

ModelUsers::Digits World::DrawRights() {
  return static_cast<ModelUsers::Digits>(env_.rng.Next() | env_.rng.Next());
}

// An administrator gives and takes rights, and, where anything may go wrong, makes a user anew.
void World::ScheduleRights() {
  env_.scheduler.Post(env_.Between(milliseconds(20), milliseconds(800)), [this] {
    if (env_.scheduler.Now() >= traffic_end_) {
      return;
    }
    ModelUsers& users = model_.users();
    const MonoTime now = env_.scheduler.Now();
    const std::vector<std::string> names = users.Names();
    const std::uint64_t pick = env_.rng.Below(names.size() + 1);
    const std::string name = pick == names.size() ? "" : names[pick];
    if (!name.empty() && profile_.faults && env_.Chance(0.2)) {
      const bool deleted = env_.Chance(0.5);
      env_.Note("administrator", name + (deleted ? " is another now" : " has another password"));
      users.Set(name, users.PasswordOf(name) + "1", DrawRights(), now);
      if (deleted) {
        model_.Disconnect(name);
      }
    } else {
      const auto may = env_.Chance(0.3) ? ModelUsers::kAll : DrawRights();
      env_.Note("administrator", "'" + name + "' may " + std::to_string(may & 0xffU));
      users.SetRights(name, may, now);
    }
    ScheduleRights();
  });
}

void World::ScheduleFaults() {
  for (std::uint64_t n = env_.Between(0, 8); n > 0; --n) {
    env_.scheduler.Post(env_.Between(Duration::zero(), traffic_end_ - env_.scheduler.Now()),
                        [this] { InjectFault(); });
  }
}

void World::ScheduleFailovers() {
  env_.scheduler.Post(env_.Between(milliseconds(300), milliseconds(1500)), [this] {
    if (env_.scheduler.Now() < traffic_end_ && !draining_) {
      group_->ChangePrimary([this] { return Asked(); });
      ScheduleFailovers();
    }
  });
}

// What clients have asked for; nothing once they stop.
std::optional<std::uint64_t> World::Asked() const {
  if (draining_ || env_.scheduler.Now() >= traffic_end_) {
    return std::nullopt;
  }
  std::uint64_t asked = 0;
  for (const auto& client : clients_) {
    asked += client->asked();
  }
  return asked;
}

void World::InjectFault() {
  std::vector<SimConnection*> open;
  for (SimConnection* connection : network_.upstreams()) {
    if (connection->product_open() && !connection->dead()) {
      open.push_back(connection);
    }
  }
  const double at = env_.rng.Unit();
  if (at < 0.5) {
    if (!open.empty()) {
      open[env_.rng.Below(open.size())]->Reset(env_.Chance(0.5));
    }
  } else if (at < 0.65) {
    if (!open.empty()) {
      open[env_.rng.Below(open.size())]->Blackhole();
    }
  } else if (at < 0.75) {
    if (!open.empty()) {
      env_.Note("redis", "closes a connection");
      open[env_.rng.Below(open.size())]->Shutdown();
    }
  } else if (at < 0.9) {
    if (!model_.stopped()) {
      model_.Stop();
      env_.scheduler.Post(env_.Between(milliseconds(1), milliseconds(3000)),
                          [this] { model_.Resume(); });
    }
  } else if (!model_.stopped()) {
    model_.Restart(
        env_.Chance(0.5), env_.Between(Duration::zero(), milliseconds(1500)),
        env_.Chance(0.5) ? env_.Between(Duration::zero(), milliseconds(500)) : Duration::zero());
  }
}

void World::Tick() {
  for (const auto& client : clients_) {
    client->CheckDeadline(deadline_allowance_);
  }
  if (product_ != nullptr) {
    if (std::string wrong = product_->CheckState(); !wrong.empty()) {
      env_.Fail("I5", std::move(wrong));
    }
    CheckService();
    env_.scheduler.Post(milliseconds(50), [this] { Tick(); });
  }
}

bool World::RunUntil(MonoTime end) {
  return RunWhile(end, [] { return true; });
}

bool World::RunWhile(MonoTime end, const std::function<bool()>& busy) {
  while (!env_.failure() && env_.scheduler.Now() < end && busy()) {
    if (++steps_ > kStepsMax) {
      env_.Fail("I6", "time stands still: too many steps");
    } else if (!env_.scheduler.Step()) {
      break;
    }
  }
  return !env_.failure();
}

RunResult World::Run() {
  ScheduleClients();
  ScheduleDirectWriter();
  ScheduleScriptFlush();
  if (profile_.faults) {
    ScheduleFaults();
  }
  if (profile_.failover) {
    ScheduleFailovers();
  }
  if (profile_.maintenance) {
    ScheduleMaintenance(true);
  }
  if (profile_.identity) {
    ScheduleRights();
  }
  if (cluster_ != nullptr) {
    ScheduleClusterEvents();
    StartProbes();
  }
  Tick();
  const bool early = env_.Chance(profile_.drain_mid_traffic);
  const MonoTime now = env_.scheduler.Now();
  const MonoTime drain_at =
      early ? now + env_.Between(Duration::zero(), traffic_end_ - now) : traffic_end_;
  bool good = RunUntil(drain_at);
  if (good && !early) {
    // Everyone finishes in peace.
    quiet_ = true;
    for (const auto& client : clients_) {
      client->WindUp();
    }
    const auto busy = [this] {
      return std::any_of(clients_.begin(), clients_.end(),
                         [](const auto& client) { return client->outstanding() > 0; });
    };
    good = RunWhile(env_.scheduler.Now() + seconds(30), busy);
    good = good && RunUntil(env_.scheduler.Now() + milliseconds(300));
  }
  if (good) {
    Drain();
  }
  if (!env_.failure()) {
    Dismantle();
  }
  RunResult result;
  result.failure = env_.failure();
  if (result.failure) {
    result.last_events.assign(env_.trace.last().begin(), env_.trace.last().end());
  }
  result.trace_hash = env_.trace.hash();
  result.events = env_.trace.events();
  result.turns = env_.scheduler.turns();
  result.replies = checker_.replies();
  result.errors = checker_.errors();
  result.server_commands = model_.commands_executed();
  result.figures = figures_;
  if (!clients_.empty()) {
    result.first_sent = clients_.front()->sent();
    result.first_received = clients_.front()->received();
  }
  return result;
}

void World::Drain() {
  env_.Note("world", "drain begins");
  draining_ = quiet_ = true;
  traffic_end_ = std::min(traffic_end_, env_.scheduler.Now());
  for (const auto& client : clients_) {
    client->PermitClose();
    client->WindUp();
  }
  for (const auto& probe : probes_) {
    probe->Stop();
  }
  product_->StartDrain();
  const Duration allowance =
      setup_.drain_deadline + seconds(1) + env_.scheduler.turn_cost_max() * 4;
  RunWhile(env_.scheduler.Now() + allowance, [this] { return !product_->idle(); });
  if (!env_.failure() && !product_->idle()) {
    env_.Fail("I7", "not idle within the drain deadline");
  }
  figures_ = product_->figures();
  if (env_.failure()) {
    return;
  }
  if (std::string left = product_->CheckDrained(); !left.empty()) {
    env_.Fail("I7", std::move(left));
  }
  if (env_.scheduler.timers() + env_.scheduler.hooks() + network_.OpenProductStreams() > 0) {
    env_.Fail("I7", "idle, but " + LeftOver());
  }
}

std::string World::LeftOver() const {
  return std::to_string(env_.scheduler.timers()) + " timers, " +
         std::to_string(env_.scheduler.hooks()) + " hooks and " +
         std::to_string(network_.OpenProductStreams()) + " streams are left";
}

void World::Dismantle() {
  product_.reset();
  if (env_.scheduler.timers() + env_.scheduler.hooks() + network_.OpenProductStreams() > 0) {
    env_.Fail("I7", "the product is gone, but " + LeftOver());
  }
  // What is still under way arrives, so that late executions are seen too.
  RunUntil(env_.scheduler.Now() + seconds(4));
  checker_.Finish();
}

namespace {

const World*& Running() {
  static const World* running = nullptr;
  return running;
}

}  // namespace

RunResult RunWorld(const RunOptions& options, const ProductFactory& factory) {
  static std::vector<std::unique_ptr<World>> failed;
  auto world = std::make_unique<World>(options, factory);
  Running() = world.get();
  RunResult result = world->Run();
  if (result.failure) {
    failed.push_back(std::move(world));
  }
  world.reset();
  Running() = nullptr;
  return result;
}

std::vector<std::string> LastEventsOfRunningWorld() {
  if (Running() == nullptr) {
    return {};
  }
  const auto& last = Running()->trace().last();
  return {last.begin(), last.end()};
}

}  // namespace nearcached::sim
