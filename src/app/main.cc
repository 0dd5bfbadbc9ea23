// keyhold: the services as subcommands. Reads arguments and environment, and wires; nothing else.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "app/localcloud_fault.h"
#include "app/localcloud_log.h"
#include "app/mount.h"
#include "app/services.h"
#include "app/start.h"
#include "app/store_accept.h"
#include "app/store_commands.h"
#include "app/store_recover.h"
#include "base/environment.h"

extern char** environ;

namespace keyhold::app {
namespace {

using Variables = std::map<std::string, std::string>;
using Action = std::function<Status()>;

std::string ThisProgram() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

// A duration within [0.1 s, 1 d], for CLI11.
const CLI::Validator& Duration() {
  static const CLI::Validator validator(
      [](std::string& text) -> std::string {
        absl::Duration duration;
        const bool valid = absl::ParseDuration(text, &duration) && duration >= absl::Milliseconds(100) &&
                           duration <= absl::Hours(24);
        return valid ? "" : "must be 100ms to 24h, such as 2s, not " + text;
      },
      "DURATION");
  return validator;
}

absl::Duration DurationOf(const std::string& text) {
  absl::Duration duration;
  return absl::ParseDuration(text, &duration) ? duration : absl::ZeroDuration();
}

constexpr char kDataKeyAgeHelp[] = "When a store's data goes over to a new data key by itself, such as 720h";

CLI::Validator DataKeyAge() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        const absl::Duration age = DurationOf(text);
        const bool valid = age >= absl::Minutes(1) && age <= absl::Hours(10 * 366 * 24);
        return valid ? "" : "must be 1m to ten years, such as 720h, not " + text;
      },
      "DURATION");
}

void AddStart(CLI::App& app, StartOptions& options, Action& action) {
  CLI::App* start = app.add_subcommand("start", "Everything on this machine: local cloud, server, agent");
  start->add_option("--dir", options.dir, "Directory for all of its files; made if missing")->required();
  start->add_flag("--background", options.background, "Return when all is ready, and leave it running");
  start->add_option("--api-listen", options.api_listen,
                    "ADDR:PORT of the Cloud API (default: a free port, kept)");
  start->add_option("--localcloud-listen", options.localcloud_listen,
                    "ADDR:PORT of the local cloud (likewise)");
  start
      ->add_option("--probe-interval", options.probe_interval,
                   "How often nodes prove that they may use their key")
      ->check(Duration())
      ->capture_default_str();
  start->add_option("--data-key-max-age", options.data_key_max_age, kDataKeyAgeHelp)
      ->check(DataKeyAge())
      ->capture_default_str();
  start
      ->add_option("--unreachable-grace", options.unreachable_grace,
                   "How long nodes serve on without their KMS")
      ->check(Duration())
      ->capture_default_str();
  start->add_option("--postgres-bin", options.postgres_bin, "PostgreSQL's programs")->capture_default_str();
  start->callback([&] {
    options.program = ThisProgram();
    action = [&] { return RunStart(options); };
  });
}

void AddStop(CLI::App& app, std::string& dir, Action& action) {
  CLI::App* stop = app.add_subcommand("stop", "End what keyhold start runs, nodes too");
  stop->add_option("--dir", dir, "The directory of keyhold start")->required();
  stop->callback([&] { action = [&] { return RunStop(dir); }; });
}

void AddLocalCloudLog(CLI::App& localcloud, LocalCloudLogOptions& options, Action& action) {
  static const std::map<std::string, localcloud::LogShape> shapes = {{"table", localcloud::LogShape::kTable},
                                                                     {"json", localcloud::LogShape::kJson},
                                                                     {"cloud", localcloud::LogShape::kCloud}};
  localcloud::LogQuery& query = options.query;
  CLI::App* log = localcloud.add_subcommand("log", "Who used which key, when, and what came of it");
  log->add_option("--dir", options.dir, "The directory of keyhold start, or of the local cloud")->required();
  log->add_option("--cloud", query.cloud, "AWS, GCP or AZURE only")
      ->check(CLI::IsMember({"AWS", "GCP", "AZURE"}));
  log->add_option("--key", query.key, "Keys with this in their name only");
  log->add_option("--caller", query.caller, "Callers with this in their name only");
  log->add_flag("--failed", query.failed, "What was refused or failed only");
  log->add_flag("-f,--follow", query.follow, "Go on with what happens from now on");
  log->add_option(
         "-o,--output", query.shape,
         "table; json: a line per request; cloud: as CloudTrail, Cloud Audit Logs or Key Vault tell it")
      ->transform(CLI::CheckedTransformer(shapes, CLI::ignore_case).description("table|json|cloud"));
  log->footer("Example: keyhold localcloud log --dir /var/lib/keyhold --failed -f");
  log->callback([&] { action = [&] { return ShowLocalCloudLog(options); }; });
}

struct FaultFlags {
  LocalCloudFaultOptions options;
  std::string kind;
  std::map<std::string, std::string> durations;  // by flag
};

// What the flags say of one duration; nothing where the flag is not given.
Status ReadDuration(const FaultFlags& flags, const std::string& flag, absl::Duration& duration) {
  const auto given = flags.durations.find(flag);
  if (given == flags.durations.end() || given->second.empty()) return OkStatus();
  if (absl::ParseDuration(given->second, &duration)) return OkStatus();
  return Error(Cause::kInvalidArgument, absl::StrCat(flag, " is a duration such as 500ms, 30s or 5m"));
}

Status RunFaultAdd(FaultFlags& flags) {
  localcloud::FaultOrder& order = flags.options.order;
  KEYHOLD_ASSIGN_OR_RETURN(order.kind, localcloud::FaultFromName(flags.kind));
  KEYHOLD_RETURN_IF_ERROR(ReadDuration(flags, "--delay", order.delay));
  KEYHOLD_RETURN_IF_ERROR(ReadDuration(flags, "--retry-after", order.retry_after));
  KEYHOLD_RETURN_IF_ERROR(ReadDuration(flags, "--for", order.lasts));
  return AddLocalCloudFault(flags.options);
}

void AddFaultFilters(CLI::App& add, localcloud::FaultOrder& order) {
  static const std::map<std::string, localcloud::FaultScope> scopes = {
      {"keys", localcloud::FaultScope::kKeys},
      {"identity", localcloud::FaultScope::kIdentity},
      {"all", localcloud::FaultScope::kAll}};
  add.add_option("--cloud", order.cloud, "AWS, GCP or AZURE only")
      ->check(CLI::IsMember({"AWS", "GCP", "AZURE"}));
  add.add_option("--scope", order.scope, "keys (default): the key services; identity: those of tokens; all")
      ->transform(CLI::CheckedTransformer(scopes, CLI::ignore_case).description("keys|identity|all"));
  add.add_option("--key", order.key, "Keys with this in their name only");
  add.add_option("--caller", order.caller, "Callers with this in their name only");
  add.add_option("--action", order.action, "Actions with this in their name only: Decrypt, KeyUnwrap");
  add.add_option("--every", order.every, "Each so-many-th request only");
  add.add_option("--times", order.times, "End it after so many requests were hit");
}

constexpr char kFaultExamples[] =
    "Names are those that keyhold localcloud log shows. Of several faults the oldest decides.\n"
    "Examples:\n"
    "  keyhold localcloud fault add unreachable --dir DIR --cloud AWS --for 1m\n"
    "  keyhold localcloud fault add throttled --dir DIR --key cmek-key --retry-after 5s\n"
    "  keyhold localcloud fault add latency --delay 800ms --dir DIR --every 3\n"
    "  keyhold localcloud fault add denied --dir DIR --caller keyhold --action Decrypt --times 10";

void AddLocalCloudFaults(CLI::App& localcloud, FaultFlags& flags, Action& action) {
  LocalCloudFaultOptions& options = flags.options;
  CLI::App* fault = localcloud.add_subcommand("fault", "Order faults: outages, refusals, lies");
  fault->require_subcommand(1);
  const auto command = [&](const char* name, const char* help) {
    CLI::App* made = fault->add_subcommand(name, help);
    made->add_option("--dir", options.dir, "The directory of keyhold start, or of the local cloud")
        ->required();
    return made;
  };
  CLI::App* add =
      command("add", "Order a fault; it holds until it ends, is cleared, or the local cloud stops");
  add->add_option("KIND", flags.kind, "What happens; see below")->required();
  AddFaultFilters(*add, options.order);
  add->add_option("--for", flags.durations["--for"], "End it then: 30s");
  add->add_option("--delay", flags.durations["--delay"], "How late the answer of a latency is: 800ms");
  add->add_option("--retry-after", flags.durations["--retry-after"],
                  "What throttled and unavailable ask for; whole seconds");
  add->add_flag("--json", options.json, "JSON");
  add->footer(FaultHelp() + kFaultExamples);
  add->callback([&] { action = [&] { return RunFaultAdd(flags); }; });
  CLI::App* list = command("list", "The faults that hold, and how often they hit");
  list->add_flag("--json", options.json, "JSON");
  list->callback([&] { action = [&] { return ListLocalCloudFaults(options); }; });
  CLI::App* clear = command("clear", "End a fault, or all");
  clear->add_option("ID", options.id, "Which one; default: all");
  clear->callback([&] { action = [&] { return ClearLocalCloudFaults(options); }; });
}

struct LocalCloudFlags {
  localcloud::Options options;
  LocalCloudLogOptions log;
  FaultFlags fault;
};

void AddLocalCloud(CLI::App& app, LocalCloudFlags& flags, Action& action) {
  CLI::App* command =
      app.add_subcommand("localcloud", "The local cloud alone, its access log, and its faults");
  command->add_option("--dir", flags.options.dir, "Directory for its state");
  command->add_option("--listen", flags.options.listen, "ADDR:PORT; port 0: a free one")
      ->capture_default_str();
  AddLocalCloudLog(*command, flags.log, action);
  AddLocalCloudFaults(*command, flags.fault, action);
  command->parse_complete_callback([&, command] {
    if (!command->get_subcommands().empty()) return;
    if (flags.options.dir.empty()) throw CLI::RequiredError("--dir");
    action = [&] { return ServeLocalCloud(flags.options); };
  });
}

struct ServerFlags {
  api::ServerOptions options;
  std::string probe_interval = "2s";
  std::string unreachable_grace = "15m";
  std::string data_key_max_age = "720h";
};

void AddServer(CLI::App& app, ServerFlags& flags, Action& action) {
  CLI::App* command = app.add_subcommand("server", "The control plane");
  command->add_option("--dir", flags.options.dir, "The host's directory; its own part is DIR/server")
      ->required();
  command->add_option("--listen", flags.options.listen, "ADDR:PORT; port 0: a free one")
      ->capture_default_str();
  command->add_option("--aws-principal-arn", flags.options.aws_principal_arn,
                      "Who customers grant access to, in AWS");
  command->add_option("--gcp-service-account", flags.options.gcp_service_account, "The same, in GCP");
  command->add_option("--azure-client-id", flags.options.azure_client_id,
                      "The client id of the application that they grant access to, in Azure");
  command->add_option("--probe-interval", flags.probe_interval, "Between two probes of a node")
      ->check(Duration())
      ->capture_default_str();
  command
      ->add_option("--unreachable-grace", flags.unreachable_grace,
                   "How long nodes serve on without their KMS")
      ->check(Duration())
      ->capture_default_str();
  command->add_option("--data-key-max-age", flags.data_key_max_age, kDataKeyAgeHelp)
      ->check(DataKeyAge())
      ->capture_default_str();
  command->add_option("--tls-certificate", flags.options.tls_certificate,
                      "PEM file of a certificate chain: serve HTTPS");
  command->add_option("--tls-key", flags.options.tls_key, "PEM file of its private key");
  command
      ->add_option("--requests-per-second", flags.options.requests_per_second,
                   "How many requests an API key may make; 0: as many as it likes")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command->callback([&] {
    flags.options.probe_interval = DurationOf(flags.probe_interval);
    flags.options.unreachable_grace = DurationOf(flags.unreachable_grace);
    flags.options.data_key_max_age = DurationOf(flags.data_key_max_age);
    action = [&] { return ServeApi(flags.options); };
  });
}

struct AgentFlags {
  agent::AgentOptions options;
  std::string platform_key;
  std::string postgres_bin = "/usr/lib/postgresql/15/bin";
};

void AddAgent(CLI::App& app, AgentFlags& flags, Action& action) {
  CLI::App* command = app.add_subcommand("agent", "The host agent: runs this host's nodes");
  command->add_option("--dir", flags.options.dir, "The host's directory")->required();
  command->add_option("--server", flags.options.server_url, "The server's URL")->required();
  command->add_option("--token-file", flags.options.token_path,
                      "The agents' token (default: DIR/server/agent-token)");
  command->add_option("--host-id", flags.options.host_id, "Who this host is to the server")
      ->capture_default_str();
  command->add_option("--platform-key", flags.platform_key,
                      "The platform's own key (default: DIR/agent/platform.key)");
  command->add_option("--postgres-bin", flags.postgres_bin, "PostgreSQL's programs")->capture_default_str();
  command->callback([&] {
    agent::AgentOptions& options = flags.options;
    if (options.token_path.empty()) options.token_path = options.dir + "/server/agent-token";
    if (flags.platform_key.empty()) flags.platform_key = options.dir + "/agent/platform.key";
    options.node_command = {ThisProgram(),      "node",           "--platform-key",
                            flags.platform_key, "--postgres-bin", flags.postgres_bin};
    options.node_environment = NodeEnvironment(ReadEnvironment(environ));
    action = [&] { return ServeAgent(flags.options); };
  });
}

void AddNode(CLI::App& app, node::RunOptions& options, Action& action) {
  CLI::App* command = app.add_subcommand("node", "One node; agents start it");
  command->add_option("--dir", options.dir, "The node's directory, DIR/nodes/ID")->required();
  command->add_option("--platform-key", options.platform_key, "The platform's own key")->required();
  command->add_option("--postgres-bin", options.postgres_bin, "PostgreSQL's programs")->capture_default_str();
  command->callback([&] {
    options.environment = NodeEnvironment(ReadEnvironment(environ));
    action = [&] { return ServeNode(options); };
  });
}

void AddMount(CLI::App& app, StoreMountOptions& options, Action& action) {
  CLI::App* mount =
      app.add_subcommand("mount", "A store alone: an encrypted directory under a cloud KMS key");
  mount->add_option("DIR", options.dir, "The store's directory; empty or missing: a new store")->required();
  mount->add_option("MOUNTPOINT", options.mountpoint, "An existing directory")->required();
  mount->add_option("--cmek-key-spec", options.key_spec, "A key spec, or @FILE with one")->required();
  mount->add_flag("--background", options.background, "Return when it is mounted");
  mount->callback([&] {
    options.environment = NodeEnvironment(ReadEnvironment(environ));
    action = [&] { return RunStoreMount(options); };
  });
}

void AddUmount(CLI::App& app, std::string& mountpoint, Action& action) {
  CLI::App* umount = app.add_subcommand("umount", "Unmount a store");
  umount->add_option("MOUNTPOINT", mountpoint, "Where it is mounted")->required();
  umount->callback([&] { action = [&] { return RunStoreUnmount(mountpoint); }; });
}

struct StoreCommand {
  const char* name;
  const char* help;
  Status (*run)(const StoreCommandOptions& options);
  bool path;
  bool json;
};

constexpr StoreCommand kStoreCommands[] = {
    {"create", "A new store in an empty or missing directory", RunStoreCreate, false, true},
    {"info", "What the key ring says; without a key spec unauthenticated", RunStoreInfo, false, true},
    {"status", "How much is under which data key", RunStoreStatus, false, true},
    {"verify", "Authenticate every block, name, link and attribute", RunStoreVerify, false, true},
    {"reencrypt", "Put everything under one data key, prove it, destroy the others", RunStoreReencrypt, false,
     true},
    {"cat", "A file's content", RunStoreCat, true, false},
    {"ls", "A directory's entries", RunStoreList, true, false},
    {"du", "Sizes of files, summed", RunStoreUsage, true, false}};

CLI::App* AddStore(CLI::App& app, StoreCommandOptions& options, Action& action) {
  CLI::App* store = app.add_subcommand("store", "A store alone, while it is not mounted");
  store->require_subcommand(1);
  for (const StoreCommand& entry : kStoreCommands) {
    CLI::App* command = store->add_subcommand(entry.name, entry.help);
    command->add_option("DIR", options.dir, "The store's directory")->required();
    if (entry.path) {
      CLI::Option* path = command->add_option("PATH", options.path, "Below the store's root");
      if (entry.run == RunStoreCat) path->required();
    }
    CLI::Option* spec =
        command->add_option("--cmek-key-spec", options.key_spec, "A key spec, or @FILE with one");
    if (entry.run != RunStoreInfo) spec->required();
    if (entry.json) command->add_flag("--json", options.json, "JSON");
    if (entry.run == RunStoreVerify) {
      command->add_flag("--forget-missing", options.forget_missing,
                        "Where nothing is damaged: what is missing counts as deleted from now on");
    }
    if (entry.run == RunStoreReencrypt) {
      command->add_flag("--new-data-key", options.new_data_key, "Under a fresh data key");
      command->add_option("--bytes-per-second", options.bytes_per_second,
                          "Bandwidth, read and written (default: no limit)");
    }
    command->callback([&options, &action, run = entry.run] {
      options.environment = NodeEnvironment(ReadEnvironment(environ));
      action = [&options, run] { return run(options); };
    });
  }
  return store;
}

void AddStoreRecover(CLI::App& store, StoreRecoverOptions& options, Action& action) {
  CLI::App* command = store.add_subcommand(
      "recover", "Open a store by its recovery key when its KMS is lost, and wrap it under another CMEK key");
  command
      ->add_option("DIR", options.dir,
                   "The store's directory, or a node's (DIR/nodes/ID), which is not serving")
      ->required();
  command->add_option("--recovery-file", options.recovery_file, "The recovery file")->required();
  command->add_option("--share", options.shares, "A share's file; once for each")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--cmek-key-spec", options.key_spec, "The new key: a key spec, or @FILE with one")
      ->required();
  command->add_flag("--json", options.json, "JSON");
  command->footer(
      "Example: keyhold store recover DIR/nodes/ID --recovery-file demo.recovery --share maya.share "
      "--share ines.share --cmek-key-spec @new-key.json");
  command->callback([&] {
    options.environment = NodeEnvironment(ReadEnvironment(environ));
    action = [&] { return RunStoreRecover(options); };
  });
}

void AddStoreAccept(CLI::App& store, StoreAcceptOptions& options, Action& action) {
  CLI::App* command = store.add_subcommand(
      "accept-restored",
      "Let an older store that was put back, or one whose register is damaged, be the latest");
  command
      ->add_option("DIR", options.dir,
                   "The store's directory, or a node's (DIR/nodes/ID), which is not serving")
      ->required();
  command
      ->add_option("--cmek-key-spec", options.key_spec, "The store's own key: a key spec, or @FILE with one")
      ->required();
  command->add_flag("--yes", options.yes, "Yes, older rows and deleted files may come back");
  command->add_flag("--json", options.json, "JSON");
  command->footer("Example: keyhold store accept-restored DIR/nodes/ID --cmek-key-spec @key.json --yes");
  command->callback([&] {
    options.environment = NodeEnvironment(ReadEnvironment(environ));
    action = [&] { return RunStoreAccept(options); };
  });
}

int Main(int argc, char** argv) {
  CLI::App app("Keyhold: SQL clusters whose data at rest opens only with a key in your own KMS", "keyhold");
  app.set_version_flag("--version", "keyhold 0.1.0");
  app.require_subcommand(1);
  Action action;
  StartOptions start;
  std::string stop_dir;
  LocalCloudFlags cloud;
  ServerFlags server;
  AgentFlags agent;
  node::RunOptions node;
  StoreMountOptions mount;
  std::string mountpoint;
  StoreCommandOptions store;
  StoreRecoverOptions recover;
  StoreAcceptOptions accept;
  AddStart(app, start, action);
  AddStop(app, stop_dir, action);
  AddLocalCloud(app, cloud, action);
  AddServer(app, server, action);
  AddAgent(app, agent, action);
  AddNode(app, node, action);
  AddMount(app, mount, action);
  AddUmount(app, mountpoint, action);
  CLI::App* stores = AddStore(app, store, action);
  AddStoreRecover(*stores, recover, action);
  AddStoreAccept(*stores, accept, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return e.get_exit_code() == 0 ? app.exit(e) : (app.exit(e), 2);
  }
  const Status status = action();
  if (status.ok()) return 0;
  std::fprintf(stderr, "Error: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace keyhold::app

int main(int argc, char** argv) { return keyhold::app::Main(argc, argv); }
