#include "app/services.h"

#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "app/log_format.h"
#include "app/say.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "kms/credentials.h"
#include "kms/http.h"

namespace keyhold::app {
namespace {

// A shell and systemd give 1,024 at first. Connections of strangers could use them up, and a store's files
// need some too.
Status AllowDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return ErrnoError(errno, "the limit of open files");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return OkStatus();
  return ErrnoError(errno, "raising the limit of open files");
}

Status Prepare() {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("keyhold"));
  spdlog::set_formatter(LogFormat());
  spdlog::flush_on(spdlog::level::info);
  // A peer that is gone is an error of the write, not the end of the service.
  signal(SIGPIPE, SIG_IGN);
  KEYHOLD_RETURN_IF_ERROR(AllowDescriptors());
  KEYHOLD_RETURN_IF_ERROR(kms::InitTransport());
  return crypto::InitSecretMemory();
}

// Runs `service` and says how it ended where it did not get ready.
template <typename Service>
Status Serve(Service service) {
  Status status = Prepare();
  if (status.ok()) status = service();
  if (!status.ok()) {
    Say(absl::StrCat("failed ", std::string(status.message())));
    spdlog::error("{}", std::string(status.message()));
  }
  return status;
}

std::string HostOf(const std::string& listen) { return listen.substr(0, listen.rfind(':')); }

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

Status ServeLocalCloud(const localcloud::Options& options) {
  return Serve([&]() -> Status {
    const sigset_t signals = StopSignals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    KEYHOLD_ASSIGN_OR_RETURN(const auto cloud,
                             localcloud::LocalCloud::Start(options, SystemClock(), crypto::SystemRandom()));
    Say(absl::StrCat("ready ", HostOf(options.listen), ":", cloud->port()));
    int signal = 0;
    sigwait(&signals, &signal);
    return cloud->Stop();
  });
}

Status ServeApi(const api::ServerOptions& options) {
  return Serve([&] {
    return api::RunServer(
        options, [&](uint16_t port) { Say(absl::StrCat("ready ", HostOf(options.listen), ":", port)); });
  });
}

Status ServeAgent(const agent::AgentOptions& options) {
  return Serve([&] { return agent::RunAgent(options, [] { Say("ready"); }); });
}

Status ServeNode(const node::RunOptions& options) {
  return Serve([&] { return node::RunNode(options, [] { Say("ready"); }); });
}

std::map<std::string, std::string> NodeEnvironment(const std::map<std::string, std::string>& environ) {
  std::map<std::string, std::string> chosen;
  const auto take = [&](const std::string& name) {
    const auto found = environ.find(name);
    if (found != environ.end()) chosen.insert(*found);
  };
  for (const char* name : {"PATH", "LANG"}) take(name);
  for (const char* name : kms::EnvironmentNames()) take(name);
  return chosen;
}

}  // namespace keyhold::app
