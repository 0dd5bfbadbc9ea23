#include "app/store_session.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "app/host_dir.h"
#include "crypto/random.h"
#include "kms/key_spec.h"

namespace keyhold::app {
namespace {

constexpr char kMountCluster[] = "keyhold-mount";  // what a store alone is bound to, in place of a cluster
constexpr absl::Duration kKmsBudget = absl::Seconds(20);

StatusOr<int> OpenDir(const std::string& path, Missing missing) {
  if (missing == Missing::kMake && mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoError(errno, path);
  }
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 ? StatusOr<int>(fd) : ErrnoError(errno, path);
}

StatusOr<std::unique_ptr<keyring::KeyRing>> Create(const keyring::Place& place, const std::string& dir,
                                                   const kms::KeySpec& spec, kms::Kms& kms) {
  if (!std::filesystem::is_empty(dir)) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat(dir, " is neither a store nor empty; name another directory"));
  }
  const keyring::Identity identity{kMountCluster, kms::RegionOf(spec), crypto::NewUuid(place.random)};
  KEYHOLD_RETURN_IF_ERROR(kms.Check(identity.region, keyring::ToContext(identity), kKmsBudget).ToStatus());
  return keyring::KeyRing::Create(place, identity, kms, kKmsBudget);
}

StatusOr<std::unique_ptr<keyring::KeyRing>> OpenRing(const keyring::Place& place, const std::string& dir,
                                                     const kms::KeySpec& spec, kms::Kms& kms,
                                                     Missing missing) {
  const auto peeked = keyring::PeekKeyRing(place.posix, place.dir);
  if (!peeked.ok() && CauseOf(peeked.status()) == Cause::kNotFound) {
    if (missing == Missing::kMake) return Create(place, dir, spec, kms);
    return Error(Cause::kNotFound, absl::StrCat(dir, " is no store: it has no key ring"));
  }
  KEYHOLD_RETURN_IF_ERROR(peeked.status());
  KEYHOLD_RETURN_IF_ERROR(CheckSameKey(dir, peeked->spec, spec));
  return keyring::KeyRing::Open(place, {peeked->identity, 0}, kms, kKmsBudget);
}

}  // namespace

StatusOr<kms::KeySpec> KeySpecFrom(const std::string& text) {
  if (!absl::StartsWith(text, "@")) return kms::ParseKeySpec(text);
  KEYHOLD_ASSIGN_OR_RETURN(const std::string content, ReadFile(text.substr(1)));
  return kms::ParseKeySpec(content);
}

StatusOr<std::unique_ptr<kms::KmsProvider>> ProviderFor(const kms::Environment& environment,
                                                        const std::string& cluster) {
  return kms::NewProvider(
      {environment, "", cluster, SystemPosix(), SystemClock(), crypto::SystemRandom(), kms::SystemSleeper()});
}

Status CheckSameKey(const std::string& store, const kms::KeySpec& found, const kms::KeySpec& given) {
  if (found.type == given.type && found.uri == given.uri) return OkStatus();
  return Error(Cause::kFailedPrecondition,
               absl::StrCat(store, " is under the key ", found.uri, ", not under ", given.uri));
}

StoreSession::StoreSession() : counter_(SystemClock()) {}

StoreSession::~StoreSession() {
  if (dir_ >= 0) close(dir_);
}

void StoreSession::Settle() {
  const Status settled = ring_->SettleSeals();
  if (!settled.ok()) spdlog::warn("store: {}", std::string(settled.message()));
}

StatusOr<std::unique_ptr<StoreSession>> StoreSession::Open(const std::string& dir,
                                                           const std::string& key_spec,
                                                           const kms::Environment& environment,
                                                           Missing missing) {
  std::unique_ptr<StoreSession> session(new StoreSession);
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec, KeySpecFrom(key_spec));
  KEYHOLD_ASSIGN_OR_RETURN(session->provider_, ProviderFor(environment, kMountCluster));
  KEYHOLD_ASSIGN_OR_RETURN(session->kms_, session->provider_->Open(spec));
  KEYHOLD_ASSIGN_OR_RETURN(session->dir_, OpenDir(dir, missing));
  const keyring::Place place{SystemPosix(), session->dir_, crypto::SystemRandom(), SystemClock()};
  KEYHOLD_ASSIGN_OR_RETURN(session->ring_, OpenRing(place, dir, spec, *session->kms_, missing));
  return session;
}

store::Context StoreSession::context() { return {SystemPosix(), crypto::SystemRandom(), *ring_, counter_}; }

}  // namespace keyhold::app
