#include "localcloud/localcloud.h"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <thread>

#include "base/database_file.h"
#include "localcloud/access_log.h"
#include "localcloud/aws/accounts.h"
#include "localcloud/aws/front.h"
#include "localcloud/azure/accounts.h"
#include "localcloud/azure/front.h"
#include "localcloud/certificate_authority.h"
#include "localcloud/database.h"
#include "localcloud/directory.h"
#include "localcloud/fault_control.h"
#include "localcloud/gcp/accounts.h"
#include "localcloud/gcp/front.h"
#include "localcloud/proxy.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud {
namespace {

// Requests end what is due before they are served; this is for keys that nobody asks for.
constexpr std::chrono::minutes kSweepInterval{1};

}  // namespace

// Members in the order in which they stand on each other.
class LocalCloud::Impl {
 public:
  Impl(Directory directory, crypto::SecretBytes key, Clock& clock, crypto::Random& random)
      : directory(std::move(directory)), vault(std::move(key), random), faults(clock) {}

  void StartSweeping() {
    sweeper = std::jthread([this](const std::stop_token& stop) {
      std::mutex mutex;
      std::condition_variable_any wake;
      std::unique_lock lock(mutex);
      while (!wake.wait_for(lock, stop, kSweepInterval, [] { return false; }) && !stop.stop_requested()) {
        Status swept = Sweep();
        if (!swept.ok()) spdlog::error("local cloud: {}", std::string(swept.message()));
      }
    });
  }

  // The front end whose name it is.
  HttpHandler Route(const std::string& host) const {
    HttpHandler handler = aws->HandlerFor(host);
    if (!handler) handler = gcp->HandlerFor(host);
    return handler ? handler : azure->HandlerFor(host);
  }

  Status Sweep() const {
    KEYHOLD_RETURN_IF_ERROR(aws->Sweep());
    KEYHOLD_RETURN_IF_ERROR(gcp->Sweep());
    return azure->Sweep();
  }

  Directory directory;
  Vault vault;
  FaultGate faults;
  std::unique_ptr<CertificateAuthority> authority;
  std::unique_ptr<Database> database;
  std::unique_ptr<AccessLog> log;
  std::unique_ptr<aws::Front> aws;
  std::unique_ptr<gcp::Front> gcp;
  std::unique_ptr<azure::Front> azure;
  std::unique_ptr<Proxy> proxy;
  std::unique_ptr<FaultControl> control;
  std::jthread sweeper;
  uint16_t port = 0;
};

namespace {

Status WriteAccounts(Database& database, const Vault& vault, const Directory& directory, absl::Time now) {
  nlohmann::json customer, principals;
  KEYHOLD_RETURN_IF_ERROR(aws::SetUpAccounts(database, vault, directory, now, customer, principals));
  KEYHOLD_RETURN_IF_ERROR(gcp::SetUpAccounts(database, vault, directory, now, customer, principals));
  KEYHOLD_RETURN_IF_ERROR(azure::SetUpAccounts(database, vault, directory, now, customer, principals));
  KEYHOLD_RETURN_IF_ERROR(directory.Write("customer.json", customer.dump(2) + "\n", 0600));
  return directory.Write("principals.json", principals.dump(2) + "\n", 0644);
}

}  // namespace

StatusOr<std::unique_ptr<LocalCloud>> LocalCloud::Start(Options options, Clock& clock,
                                                        crypto::Random& random) {
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  KEYHOLD_ASSIGN_OR_RETURN(Directory directory, Directory::Open(options.dir));
  KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes key, directory.ReadOrMakeKey("hsm.key", random));
  auto impl = std::make_unique<Impl>(std::move(directory), std::move(key), clock, random);
  // Clients check certificates by the machine's clock, whatever `clock` says.
  KEYHOLD_ASSIGN_OR_RETURN(impl->authority,
                           CertificateAuthority::Open(impl->directory, SystemClock(), random));
  const std::string database = impl->directory.File("cloud.db");
  KEYHOLD_RETURN_IF_ERROR(CheckDatabaseKept(database, impl->directory.File("customer.json")));
  KEYHOLD_ASSIGN_OR_RETURN(impl->database, Database::Open(database));
  KEYHOLD_ASSIGN_OR_RETURN(impl->log, AccessLog::Open(impl->directory.File("access.log")));
  KEYHOLD_RETURN_IF_ERROR(
      Annotate(WriteAccounts(*impl->database, impl->vault, impl->directory, clock.Now()),
               "cannot read the accounts; hsm.key and cloud.db must be of one local cloud"));
  const FrontParts parts{*impl->database, impl->vault, *impl->log, clock, impl->faults};
  impl->aws = std::make_unique<aws::Front>(parts);
  impl->gcp = std::make_unique<gcp::Front>(parts);
  impl->azure = std::make_unique<azure::Front>(parts);
  KEYHOLD_RETURN_IF_ERROR(impl->Sweep());
  Route route = [impl = impl.get()](const std::string& host) { return impl->Route(host); };
  KEYHOLD_ASSIGN_OR_RETURN(impl->proxy, Proxy::Start(options.listen, std::move(route), *impl->authority));
  impl->port = impl->proxy->port();
  KEYHOLD_ASSIGN_OR_RETURN(impl->control, FaultControl::Start(impl->directory.File("."), impl->faults));
  impl->StartSweeping();
  return std::unique_ptr<LocalCloud>(new LocalCloud(std::move(impl)));
}

LocalCloud::LocalCloud(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

LocalCloud::~LocalCloud() {
  Status stopped = Stop();
  if (!stopped.ok()) spdlog::error("local cloud: {}", std::string(stopped.message()));
}

uint16_t LocalCloud::port() const { return impl_->port; }

Status LocalCloud::Stop() {
  if (!impl_->proxy) return OkStatus();
  impl_->control.reset();
  impl_->proxy->Stop();
  impl_->proxy.reset();
  impl_->sweeper = std::jthread();
  impl_->database.reset();
  return OkStatus();
}

FaultGate& LocalCloud::faults() { return impl_->faults; }

}  // namespace keyhold::localcloud
