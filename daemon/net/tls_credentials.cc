#include "daemon/net/tls_credentials.h"

#include <sys/stat.h>
#include <utility>

#include "daemon/base/log.h"

namespace nearcached {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::string FirstFault(const std::vector<TlsProblem>& problems) {
  for (const TlsProblem& problem : problems) {
    if (!problem.is_warning) {
      return std::string(problem.option) + ": " + problem.message;
    }
  }
  return {};
}

}  // namespace

TlsCredentials::TlsCredentials(std::string use, TlsOptions options, Scheduler& scheduler,
                               TlsStats& stats)
    : use_(std::move(use)), options_(std::move(options)), scheduler_(scheduler), stats_(stats) {}

std::vector<TlsProblem> TlsCredentials::Start() {
  seen_ = LookAtFiles();  // before they are read: a change in between is seen the next time
  TlsLoaded loaded = TlsContext::Load(options_);
  if (loaded.context != nullptr) {
    Adopt(std::move(loaded.context));
    Schedule();
  }
  return std::move(loaded.problems);
}

void TlsCredentials::Schedule() {
  timer_ = scheduler_.After(kCheckInterval, [this] {
    Refresh();
    Schedule();
  });
}

std::vector<TlsCredentials::Stamp> TlsCredentials::LookAtFiles() const {
  std::vector<Stamp> stamps;
  for (const std::string* path :
       {&options_.ca_file, &options_.ca_path, &options_.cert_file, &options_.key_file}) {
    Stamp& stamp = stamps.emplace_back();
    struct stat info {};
    if (!path->empty() && stat(path->c_str(), &info) == 0) {
      stamp = {info.st_dev, info.st_ino, info.st_size,
               info.st_ctim.tv_sec * kNsPerSecond + info.st_ctim.tv_nsec};
    }
  }
  return stamps;
}

void TlsCredentials::Refresh() {
  std::vector<Stamp> now = LookAtFiles();
  if (now == seen_) {
    return;
  }
  seen_ = std::move(now);
  TlsLoaded loaded = TlsContext::Load(options_);
  std::string fault = FirstFault(loaded.problems);
  if (loaded.context != nullptr && loaded.context->is_certificate_expired() &&
      !current_->is_certificate_expired()) {
    fault = "cert_file: " + options_.cert_file + " has expired, the one in use had not";
  }
  if (!fault.empty()) {
    stats_.reloads_failed.Add();
    Log(LogLevel::kError, "tls_reload_failed",
        "use=" + Quoted(use_) + " why=" + Quoted(fault) + " effect=\"the old files stay in use\"");
    return;
  }
  stats_.reloads_ok.Add();
  Adopt(std::move(loaded.context));
  Log(LogLevel::kInfo, "tls_reloaded",
      "use=" + Quoted(use_) + " certificate_ends=" + std::to_string(current_->certificate_ends()));
  for (const TlsProblem& problem : loaded.problems) {
    Log(LogLevel::kWarn, "tls_warning", "use=" + Quoted(use_) + " why=" + Quoted(problem.message));
  }
}

void TlsCredentials::Adopt(std::shared_ptr<TlsContext> context) {
  current_ = std::move(context);
  certificate_ends_.Set(current_->certificate_ends());
}

}  // namespace nearcached
