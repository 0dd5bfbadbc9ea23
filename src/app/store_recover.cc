#include "app/store_recover.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "app/host_dir.h"
#include "app/store_location.h"
#include "app/store_session.h"
#include "keyring/keyring.h"
#include "recovery/recovery_key.h"

namespace keyhold::app {
namespace {

constexpr absl::Duration kKmsBudget = absl::Seconds(20);

StatusOr<crypto::SecretBytes> ReadShare(const std::string& path) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string content, ReadFile(path));
  crypto::SecretBytes secret = crypto::SecretBytes::CopyOf(crypto::AsBytes(content));
  crypto::Wipe({reinterpret_cast<uint8_t*>(content.data()), content.size()});
  return secret;
}

StatusOr<crypto::RsaPrivateKey> OpenKey(const StoreRecoverOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.recovery_file));
  const auto file = recovery::ParseFile(text);
  if (!file.ok()) return Annotate(file.status(), absl::StrCat("recovery file ", options.recovery_file));
  std::vector<recovery::ShareText> shares;
  for (const std::string& path : options.shares) {
    KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes share, ReadShare(path));
    shares.push_back({path, std::move(share)});
  }
  return recovery::OpenRecoveryKey(*file, shares);
}

StatusOr<keyring::Info> Recover(const StoreRecoverOptions& options, const StoreLocation& location,
                                const crypto::RsaPrivateKey& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec, KeySpecFrom(options.key_spec));
  KEYHOLD_ASSIGN_OR_RETURN(const node::Past seen, SeenBy(location.node));
  KEYHOLD_ASSIGN_OR_RETURN(const LockedStore locked, Lock(location));
  const keyring::Identity& identity = locked.peeked.identity;
  KEYHOLD_ASSIGN_OR_RETURN(const auto provider, ProviderFor(options.environment, identity.cluster_id));
  KEYHOLD_ASSIGN_OR_RETURN(const auto next, provider->Open(spec));
  KEYHOLD_RETURN_IF_ERROR(next->Check(identity.region, keyring::ToContext(identity), kKmsBudget).ToStatus());
  KEYHOLD_ASSIGN_OR_RETURN(
      const auto ring,
      keyring::KeyRing::Recover(locked.place(), {identity, seen.key_ring_epoch}, key, *next, kKmsBudget));
  return ring->GetInfo();
}

void Print(const StoreRecoverOptions& options, const StoreLocation& location, const keyring::Info& info) {
  const std::string key = info.keys.front().spec.uri;
  const std::string at = absl::FormatTime(absl::RFC3339_sec, info.recovered_at.value_or(absl::InfinitePast()),
                                          absl::UTCTimeZone());
  if (options.json) {
    const nlohmann::json result = {{"store_id", info.identity.store_id},
                                   {"cluster_id", info.identity.cluster_id},
                                   {"region", info.identity.region},
                                   {"cmek_key_uri", key},
                                   {"recovered_at", at},
                                   {"epoch", info.epoch}};
    std::printf("%s\n", result.dump(2).c_str());
    return;
  }
  std::printf(
      "store %s of cluster %s in %s was opened by its recovery key at %s, and is under the key %s now\n",
      info.identity.store_id.c_str(), info.identity.cluster_id.c_str(), info.identity.region.c_str(),
      at.c_str(), key.c_str());
  std::printf("%s\n",
              location.node.empty()
                  ? "Open it with that key: keyhold mount DIR MOUNTPOINT --cmek-key-spec SPEC"
                  : "Its node opens by itself, as soon as the platform may use that key. Make another "
                    "recovery key then: this one was used.");
}

}  // namespace

Status RunStoreRecover(const StoreRecoverOptions& options) {
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  const StoreLocation location = LocationOf(options.dir);
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey key, OpenKey(options));
  KEYHOLD_ASSIGN_OR_RETURN(const keyring::Info info, Recover(options, location, key));
  Print(options, location, info);
  return OkStatus();
}

}  // namespace keyhold::app
