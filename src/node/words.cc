#include "node/words.h"

namespace keyhold::node {

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
    if (!record.active && record.guards_data) {
      key.user_message = "data written while this key was in use is not re-encrypted yet: keep it enabled";
    }
    key.created_at = Stamp(record.created_at);
    key.updated_at = Stamp(record.updated_at);
    keys.push_back(std::move(key));
  }
  return keys;
}

wire::Trouble TroubleOf(const Status& status, absl::Time since) {
  return {std::string(CauseName(CauseOf(status))), std::string(status.message()), Stamp(since)};
}

}  // namespace keyhold::node
