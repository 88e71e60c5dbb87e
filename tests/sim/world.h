// One seed, one world: a model server, the product under test, clients, direct writers, faults.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/checker.h"
#include "tests/sim/client.h"
#include "tests/sim/env.h"
#include "tests/sim/model_cluster.h"
#include "tests/sim/model_nodes.h"
#include "tests/sim/model_redis.h"
#include "tests/sim/probe.h"
#include "tests/sim/product.h"
#include "tests/sim/profile.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/traffic.h"

namespace nearcached::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  const Profile* profile = nullptr;
  bool print_trace = false;
  std::optional<Cut> cut{};  // of the first client, whatever the profile draws
};

struct RunResult {
  std::optional<Failure> failure;
  std::vector<std::string> last_events;  // of a failed run
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  std::uint64_t turns = 0;
  std::uint64_t replies = 0;
  std::uint64_t errors = 0;
  std::uint64_t server_commands = 0;
  std::uint64_t first_sent = 0;      // bytes, by the first client
  std::uint64_t first_received = 0;  // … and to it
  ProductFigures figures;
};

class World {
 public:
  World(const RunOptions& options, const ProductFactory& factory);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  RunResult Run();
  [[nodiscard]] const Trace& trace() const { return env_.trace; }

 private:
  static constexpr std::uint64_t kStepsMax = 5'000'000;  // beyond: time stands still

  ServerTraits DrawServer();
  ProductSetup DrawSetup();
  PathFaults DrawPath();
  [[nodiscard]] Promises MakePromises() const;
  void PromiseOfCluster(Promises& promises) const;
  std::unique_ptr<NodeGroup> DrawGroup();
  std::unique_ptr<ModelCluster> DrawCluster();
  [[nodiscard]] ServerNodes* nodes() const;
  DialOutcome DrawDial(const Endpoint& to);
  void Accept(SimConnection& connection, const Endpoint& to);
  void ScheduleClients();
  void StartClient();
  void Introduce(SimConnection& connection);
  void ScheduleDirectWriter();
  void Announce(const Args& write);
  void Publish(const Announcements::Names& names, const std::string& payload);
  void ScheduleScriptFlush();
  void AddUsers();
  void ScheduleRights();
  ModelUsers::Digits DrawRights();
  void ScheduleFaults();
  void InjectFault();
  void ScheduleFailovers();
  void ScheduleMaintenance(bool begin);
  [[nodiscard]] std::optional<std::uint64_t> Asked() const;
  void ScheduleClusterEvents();
  void InjectLinkFault();
  void StartProbes();
  void CheckService();
  void Tick();
  // Runs until `end` or a failure. False on failure.
  bool RunUntil(MonoTime end);
  bool RunWhile(MonoTime end, const std::function<bool()>& busy);
  void Drain();
  void Dismantle();
  [[nodiscard]] std::string LeftOver() const;

  Env env_;
  const Profile& profile_;
  const std::optional<Cut> cut_;
  ServerTraits server_;
  ProductSetup setup_;
  std::unique_ptr<NodeGroup> group_;       // null: no failover profile
  std::unique_ptr<ModelCluster> cluster_;  // null: no cluster
  ModelRedis model_;
  SimNetwork network_;
  Announcements announcements_;
  Announcements::Names announced_;  // by the message that is being published
  Checker checker_;
  Traffic traffic_;
  std::unique_ptr<Product> product_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Probe>> probes_;  // by tag of the cluster's keys
  Duration client_path_max_{};                  // slowest way of a byte between client and sidecar
  Duration deadline_allowance_{};
  MonoTime traffic_end_{};
  MonoTime probes_since_{};
  int clients_planned_ = 0;
  int next_client_ = 0;
  bool quiet_ = false;  // no more faults
  bool draining_ = false;
  std::uint64_t steps_ = 0;
  ProductFigures figures_;
};

// Builds and runs a world. On failure the world is kept until the process ends: a product in an
// impossible state must not be torn down.
[[nodiscard]] RunResult RunWorld(const RunOptions& options, const ProductFactory& factory);

// For the report after a CHECK of the product ended the process: the last events of the world that
// was running, oldest first.
[[nodiscard]] std::vector<std::string> LastEventsOfRunningWorld();

}  // namespace nearcached::sim
