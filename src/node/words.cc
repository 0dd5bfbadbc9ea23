#include "node/words.h"

#include <algorithm>

namespace keyhold::node {
namespace {

// By any record of it: a key may come into force more than once.
bool IsNeeded(const keyring::Info& info, const kms::KeySpec& spec) {
  return std::any_of(info.keys.begin(), info.keys.end(), [&](const keyring::KeyRecord& record) {
    return kms::IsSameKey(record.spec.uri, spec.uri) && (record.active || record.guards_data);
  });
}

// A record that does not tell its version may be of any.
bool IsVersionNeeded(const keyring::Info& info, const keyring::KeyRecord& of) {
  return std::any_of(info.keys.begin(), info.keys.end(), [&](const keyring::KeyRecord& record) {
    return kms::IsSameKey(record.spec.uri, of.spec.uri) &&
           (record.version == of.version || record.version.empty()) && (record.active || record.guards_data);
  });
}

std::string WhyKept(const keyring::KeyRecord& record) {
  return record.guards_data
             ? "data written while this key was in use is not re-encrypted yet: keep it enabled"
             : "the data of its time is re-encrypted, but the same key is needed for later data: keep it "
               "enabled";
}

std::string WhyNotNeeded(const std::optional<wire::Evidence>& evidence) {
  if (!evidence.has_value()) {
    return "all data keys of its time are destroyed: the key may be destroyed, unless a backup needs it";
  }
  return "re-encrypted: a scan of " + std::to_string(evidence->files) + " files and " +
         std::to_string(evidence->blocks) + " blocks that ended at " + evidence->proved_at +
         " found nothing under the data keys of its time, which are destroyed; the key may be destroyed, "
         "unless "
         "a backup needs it";
}

}  // namespace

std::string Stamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

std::vector<wire::KeyInfo> KeysOf(const keyring::Info& info) {
  std::vector<wire::KeyInfo> keys;
  for (const keyring::KeyRecord& record : info.keys) {
    if (record.spec.type == kms::KeyType::kNullKms) continue;
    wire::KeyInfo key;
    key.spec = {std::string(kms::KeyTypeName(record.spec.type)), record.spec.uri, record.spec.auth_principal};
    key.status = record.active ? "ENABLED" : "DISABLED";
    if (record.proof.has_value()) key.evidence = EvidenceOf(*record.proof);
    key.may_be_destroyed = !IsNeeded(info, record.spec);
    if (!record.version.empty()) key.version = {record.version, !IsVersionNeeded(info, record)};
    if (!record.active)
      key.user_message = key.may_be_destroyed ? WhyNotNeeded(key.evidence) : WhyKept(record);
    key.created_at = Stamp(record.created_at);
    key.updated_at = Stamp(record.updated_at);
    keys.push_back(std::move(key));
  }
  return keys;
}

std::optional<wire::Recovery> RecoveryOf(const keyring::Info& info) {
  if (!info.recovery && !info.recovered_at) return std::nullopt;
  wire::Recovery recovery;
  if (info.recovery) {
    recovery.key_id = info.recovery->key_id;
    recovery.created_at = Stamp(info.recovery->created_at);
  }
  if (info.recovered_at) recovery.used_at = Stamp(*info.recovered_at);
  return recovery;
}

std::optional<wire::Trouble> RecoveryTrouble(const std::optional<wire::Recovery>& recovery) {
  // Stamps of one form: their order is that of the times.
  if (!recovery || recovery->key_id.empty() || recovery->used_at < recovery->created_at) return std::nullopt;
  return wire::Trouble{kRecoveryUsed,
                       "the recovery key was used: it opened the store without its KMS at " +
                           recovery->used_at +
                           ", and who took part may still have what opens it; make another recovery "
                           "key, or delete it, and rotate the CMEK key",
                       recovery->used_at};
}

wire::Evidence EvidenceOf(const keyring::Proof& proof) {
  wire::Evidence evidence;
  evidence.started_at = Stamp(proof.started_at);
  evidence.proved_at = Stamp(proof.ended_at);
  evidence.blocks = proof.blocks + proof.maps;
  evidence.others = proof.others;
  evidence.files = proof.files;
  evidence.directories = proof.directories;
  evidence.links = proof.links;
  return evidence;
}

wire::Trouble TroubleOf(const Status& status, absl::Time since) {
  return {std::string(CauseName(CauseOf(status))), std::string(status.message()), Stamp(since)};
}

}  // namespace keyhold::node
