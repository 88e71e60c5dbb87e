#include "daemon/upstream/maintenance_watch.h"

#include "daemon/base/log.h"
#include "daemon/upstream/sick_reply.h"
#include "proto/wire_errors.h"

namespace nearcached {

void MaintenanceWatch::Stop() {
  tick_.reset();
  link_.reset();
}

void MaintenanceWatch::OnPrimaryChanged() {
  link_.reset();
  Leave();
  Ask();
}

void MaintenanceWatch::OnTick() {
  if (deps_.config.maintenance_key.empty()) {  // taken out by a reload, perhaps
    link_.reset();
    Leave();
  } else {
    Ask();
  }
  tick_ = deps_.scheduler.After(deps_.config.health_interval, [this] { OnTick(); });
}

void MaintenanceWatch::Ask() {
  const config::UpstreamConfig& config = deps_.config;
  if (config.maintenance_key.empty() || !deps_.topology.has_primary()) {
    return;
  }
  if (link_ != nullptr && link_->waiting() != 0) {
    return;  // one question at a time: a slow server needs no second
  }
  if (link_ == nullptr || !link_->standing()) {  // anew: a reload may have changed the password
    link_ = std::make_unique<ControlLink>(deps_.scheduler, deps_.dialer, stats_.control,
                                          ControlLink::Terms{.endpoint = deps_.topology.Primary(),
                                                             .username = config.username,
                                                             .password = config.password,
                                                             .timeout = config.command_timeout});
  }
  refused_database_.reset();
  if (config.db != 0) {  // each time, because a reload may have changed it
    link_->Ask({"SELECT", std::to_string(config.db)}, [this](const Result<UpstreamReply>& reply) {
      if (reply.ok() && reply.value().is_error()) {
        refused_database_ = reply.value();
      }
    });
  }
  link_->Ask({"EXISTS", config.maintenance_key},
             [this](const Result<UpstreamReply>& reply) { OnAnswer(reply); });
}

void MaintenanceWatch::OnAnswer(const Result<UpstreamReply>& answer) {
  if (!answer.ok()) {
    return;
  }
  // Where the database was refused, the key was looked for in another one.
  const UpstreamReply& reply = refused_database_ ? *refused_database_ : answer.value();
  if (reply.is_error() && SickReplyOf("-" + reply.text)) {
    return;  // it is being restarted, perhaps: the key says nothing yet
  }
  if (reply.kind != UpstreamReply::Kind::kInteger) {
    OnRefusal(reply);
    Leave();
    return;
  }
  if (reply.integer != 0 && !deps_.config.maintenance_key.empty()) {
    Enter();
  } else {
    Leave();
  }
}

// Said once for each way of being refused, not every second.
void MaintenanceWatch::OnRefusal(const UpstreamReply& reply) {
  std::string why = proto::Printable(reply.text);
  if (why == refused_) {
    return;
  }
  refused_ = std::move(why);
  Log(LogLevel::kWarn, "maintenance_unknown",
      "upstream=" + deps_.topology.Primary().ToString() + " why=" + Quoted(refused_) + " remedy=" +
          Quoted("let the user of upstream.url run SELECT and EXISTS on the key that "
                 "upstream.maintenance_key names"));
}

void MaintenanceWatch::Enter() {
  if (std::exchange(active_, true)) {
    return;
  }
  stats_.active.Set(1);
  stats_.entered.Add();
  Log(LogLevel::kWarn, "maintenance_begun",
      "upstream=" + deps_.topology.Primary().ToString() +
          " key=" + Quoted(deps_.config.maintenance_key));
  on_change_(true);
}

void MaintenanceWatch::Leave() {
  if (!std::exchange(active_, false)) {
    return;
  }
  stats_.active.Set(0);
  Log(LogLevel::kInfo, "maintenance_ended", "upstream=" + deps_.topology.Primary().ToString());
  on_change_(false);
}

}  // namespace nearcached
