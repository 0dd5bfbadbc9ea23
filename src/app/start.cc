#include "app/start.h"

#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "app/address.h"
#include "app/background.h"
#include "app/env_file.h"
#include "app/host_dir.h"
#include "app/say.h"
#include "app/supervisor.h"

namespace keyhold::app {
namespace {

constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The services of a start that was killed may still be ending: their ports become free in a moment.
Status AwaitFree(const std::string& address) {
  constexpr int kTries = 50;
  for (int i = 0; i < kTries; ++i) {
    Status status = CheckFree(address);
    if (status.ok() || CauseOf(status) != Cause::kUnavailable) return status;
    absl::SleepFor(absl::Milliseconds(100));
  }
  return CheckFree(address);
}

// One run of `keyhold start`, from an empty directory to the ready line.
class Starter {
 public:
  Starter(const StartOptions& options, HostDir& dir, Supervisor& supervisor)
      : options_(options), dir_(dir), supervisor_(supervisor) {}

  Status Run() {
    KEYHOLD_ASSIGN_OR_RETURN(addresses_, dir_.Addresses());
    facts_.dir = dir_.path();
    facts_.bin_dir = std::filesystem::path(options_.program).parent_path().string();
    KEYHOLD_RETURN_IF_ERROR(StartLocalCloud());
    KEYHOLD_RETURN_IF_ERROR(StartServer());
    KEYHOLD_RETURN_IF_ERROR(dir_.SetAddresses({{"api", facts_.api}, {"localcloud", facts_.localcloud}}));
    KEYHOLD_RETURN_IF_ERROR(StartAgent());
    KEYHOLD_ASSIGN_OR_RETURN(const std::string text, EnvText(facts_));
    KEYHOLD_RETURN_IF_ERROR(WriteFile(dir_.Path("env.sh"), text, 0600));
    SayReady();
    return OkStatus();
  }

 private:
  ChildSpec Service(const std::string& name, const std::vector<std::string>& arguments) const {
    ChildSpec spec{name,
                   {options_.program, name},
                   {{"PATH", kPath}, {"LANG", "C.UTF-8"}},
                   dir_.Path("log/" + name + ".log")};
    spec.arguments.insert(spec.arguments.end(), arguments.begin(), arguments.end());
    return spec;
  }

  // Where service `name` is to listen: as asked, as the last time, or on a free port.
  StatusOr<std::string> Listen(const std::string& name, const std::string& asked,
                               const std::string& flag) const {
    const auto last = addresses_.find(name);
    const std::string address = !asked.empty()             ? asked
                                : last != addresses_.end() ? last->second
                                                           : "127.0.0.1:0";
    const std::string source =
        !asked.empty() ? ""
                       : absl::StrCat(" (chosen at an earlier start, in ", dir_.Path("addresses.json"), ")");
    const Status free = asked.empty() ? AwaitFree(address) : CheckFree(address);
    KEYHOLD_RETURN_IF_ERROR(Annotate(free, absl::StrCat(flag, source)));
    return address;
  }

  Status StartLocalCloud() {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string listen,
                             Listen("localcloud", options_.localcloud_listen, "--localcloud-listen"));
    Say("starting the local cloud ...");
    KEYHOLD_ASSIGN_OR_RETURN(
        facts_.localcloud,
        supervisor_.Start(Service("localcloud", {"--dir", dir_.Path("localcloud"), "--listen", listen})));
    return OkStatus();
  }

  Status StartServer() {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string listen, Listen("api", options_.api_listen, "--api-listen"));
    KEYHOLD_ASSIGN_OR_RETURN(const PlatformPrincipals principals, ReadPlatformPrincipals(dir_.path()));
    Say("starting the server ...");
    const std::vector<std::string> arguments = {"--dir",
                                                dir_.path(),
                                                "--listen",
                                                listen,  //
                                                "--aws-principal-arn",
                                                principals.aws_arn,
                                                "--gcp-service-account",
                                                principals.gcp_service_account,
                                                "--azure-client-id",
                                                principals.azure_client_id,
                                                "--probe-interval",
                                                options_.probe_interval,
                                                "--data-key-max-age",
                                                options_.data_key_max_age,
                                                "--unreachable-grace",
                                                options_.unreachable_grace};
    KEYHOLD_ASSIGN_OR_RETURN(facts_.api, supervisor_.Start(Service("server", arguments)));
    return OkStatus();
  }

  // A killed supervisor leaves the nodes running: SIGINT to the agent means that (agent/agent.h).
  Status StartAgent() {
    Say("starting the agent ...");
    ChildSpec spec = Service("agent", {"--dir", dir_.path(), "--server", "http://" + Reachable(facts_.api),
                                       "--postgres-bin", options_.postgres_bin});
    KEYHOLD_ASSIGN_OR_RETURN(auto platform, PlatformEnvironment(facts_));
    spec.environment.merge(platform);
    spec.parent_death_signal = SIGINT;
    spec.stop_timeout = absl::Seconds(90);
    return supervisor_.Start(spec).status();
  }

  void SayReady() const {
    Say(absl::StrCat("  Cloud API    http://", Reachable(facts_.api)));
    Say(absl::StrCat("  local cloud  http://", Reachable(facts_.localcloud),
                     " (a proxy that leads the clouds' names to it)"));
    Say(absl::StrCat("  logs         ", dir_.Path("log")));
    Say(absl::StrCat("  stop it      keyhold stop --dir ", dir_.path()));
    Say(absl::StrCat(
        "ready (pid ", getpid(), "). Next: source ", dir_.Path("env.sh"),
        " && ccloud cluster create ADVANCED demo us-east-1 --cloud AWS --advanced-security-add-on --wait"));
  }

  const StartOptions& options_;
  HostDir& dir_;
  Supervisor& supervisor_;
  std::map<std::string, std::string> addresses_;
  EnvFacts facts_;
};

Status Run(const StartOptions& options, const Ready& ready) {
  KEYHOLD_ASSIGN_OR_RETURN(HostDir dir, HostDir::Open(options.dir));
  KEYHOLD_ASSIGN_OR_RETURN(const auto supervisor, Supervisor::Create());
  KEYHOLD_RETURN_IF_ERROR(Starter(options, dir, *supervisor).Run());
  KEYHOLD_RETURN_IF_ERROR(ready(dir.Path("log/start.log")));
  supervisor->Watch();
  Say("stopping: nodes, agent, server, local cloud ...");
  supervisor->StopAll();
  Say("stopped");
  return OkStatus();
}

}  // namespace

Status RunStart(const StartOptions& options) {
  return RunUntilReady(options.background, [&](const Ready& ready) { return Run(options, ready); });
}

}  // namespace keyhold::app
