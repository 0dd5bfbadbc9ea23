#include "control/api_keys.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "control/audit.h"
#include "control/roles.h"
#include "crypto/hash.h"

namespace keyhold::control {
namespace {

using crypto::AsBytes;

constexpr std::string_view kPrefix = "CCDB1_";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr size_t kTextSize = kPrefix.size() + kApiKeyIdSize + 1 + kApiKeySecretSize;
constexpr size_t kMaxNameSize = 64;

std::string HashOf(std::string_view text) { return crypto::Hex(crypto::Sha256(AsBytes(text))); }

Status NoSuchKey(const std::string& id) {
  return Error(Cause::kNotFound,
               absl::StrCat("there is no API key with the id ", id.substr(0, kApiKeyIdSize)));
}

Status CheckKeyName(const std::string& name) {
  if (!name.empty() && name.size() <= kMaxNameSize &&
      std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return OkStatus();
  }
  return Error(Cause::kInvalidArgument, "an API key's name has 1 to 64 printable ASCII characters");
}

nlohmann::json PayloadOf(const std::string& id, const std::string& name) {
  return nlohmann::json{{"id", id}, {"name", name}};
}

}  // namespace

crypto::SecretBytes RandomText(crypto::Random& random, size_t size) {
  // Bytes from 248 on would favour the first letters of the alphabet.
  constexpr uint8_t kLimit = 256 / kAlphabet.size() * kAlphabet.size();
  crypto::SecretBytes text(size);
  const crypto::MutableBytes out = text.ExposeMutable();
  for (size_t filled = 0; filled < size;) {
    const crypto::SecretBytes bytes = random.Secret(2 * size);
    for (const uint8_t byte : bytes.Expose()) {
      if (byte < kLimit && filled < size) out[filled++] = kAlphabet[byte % kAlphabet.size()];
    }
  }
  return text;
}

crypto::SecretBytes NewApiKeyText(crypto::Random& random) {
  crypto::SecretBytes text = RandomText(random, kTextSize);
  const crypto::MutableBytes bytes = text.ExposeMutable();
  std::copy(kPrefix.begin(), kPrefix.end(), bytes.begin());
  bytes[kPrefix.size() + kApiKeyIdSize] = '_';
  return text;
}

bool HasApiKeyForm(std::string_view text) {
  return text.size() == kTextSize && text.starts_with(kPrefix) &&
         text[kPrefix.size() + kApiKeyIdSize] == '_' &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

ApiKey ApiKeyOf(std::string_view text, const std::string& service_account_id, const std::string& name,
                absl::Time created_at) {
  return {std::string(text.substr(kPrefix.size(), kApiKeyIdSize)), service_account_id, name, HashOf(text),
          created_at};
}

StatusOr<Caller> ApiKeys::Authenticate(std::string_view text) {
  const Status refused =
      Error(Cause::kUnauthenticated,
            "the API key is not valid here; make one with ccloud service-account api-key create,"
            " or use the first one in DIR/server/api-key");
  if (!HasApiKeyForm(text)) return refused;
  std::optional<Caller> caller;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    const auto key = tables.api_keys.Get(std::string(text.substr(kPrefix.size(), kApiKeyIdSize)));
    const std::string hash = key ? key->secret_sha256 : std::string(64, '0');
    if (!crypto::ConstantTimeEqual(AsBytes(HashOf(text)), AsBytes(hash))) return OkStatus();
    const auto account = tables.organization.GetServiceAccount(key->service_account_id);
    if (account)
      caller = Caller{account->id, account->name, key->id, "", "", tables.roles.OfAccount(account->id)};
    return OkStatus();
  }));
  if (!caller) return refused;
  return *std::move(caller);
}

StatusOr<NewApiKey> ApiKeys::Create(const Caller& caller, const std::string& service_account_id,
                                    const std::string& name) {
  NewApiKey made;
  made.text = NewApiKeyText(core_.random);
  made.key = ApiKeyOf(made.text.ExposeText(), service_account_id, name, core_.clock.Now());
  Audit audit(core_, caller, "CREATE_API_KEY", PayloadOf(made.key.id, name));
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome([&]() -> Status {
    KEYHOLD_RETURN_IF_ERROR(CheckKeyName(name));
    return audit.Commit([&](Tables& tables) {
      if (!tables.organization.GetServiceAccount(service_account_id)) {
        return Error(Cause::kInvalidArgument,
                     "there is no service account with the id in service_account_id; GET"
                     " /api/v1/service-accounts lists them");
      }
      tables.api_keys.Insert(made.key);
      return OkStatus();
    });
  }()));
  return made;
}

StatusOr<std::vector<ApiKey>> ApiKeys::List(const std::string& service_account_id) {
  std::vector<ApiKey> keys;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    keys = tables.api_keys.List();
    return OkStatus();
  }));
  std::erase_if(keys, [&](const ApiKey& key) {
    return !service_account_id.empty() && key.service_account_id != service_account_id;
  });
  return keys;
}

StatusOr<ApiKey> ApiKeys::Get(const std::string& id) {
  std::optional<ApiKey> key;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    key = tables.api_keys.Get(id);
    return OkStatus();
  }));
  if (!key) return NoSuchKey(id);
  return *std::move(key);
}

StatusOr<ApiKey> ApiKeys::Rename(const Caller& caller, const std::string& id, const std::string& name) {
  Audit audit(core_, caller, "UPDATE_API_KEY", PayloadOf(id, name));
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome([&]() -> Status {
    KEYHOLD_RETURN_IF_ERROR(CheckKeyName(name));
    return audit.Commit([&](Tables& tables) {
      if (!tables.api_keys.Get(id)) return NoSuchKey(id);
      tables.api_keys.Rename(id, name);
      return OkStatus();
    });
  }()));
  return Get(id);
}

StatusOr<ApiKey> ApiKeys::Delete(const Caller& caller, const std::string& id) {
  Audit audit(core_, caller, "DELETE_API_KEY", PayloadOf(id, ""));
  std::optional<ApiKey> key;
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome(audit.Commit([&](Tables& tables) {
    key = tables.api_keys.Get(id);
    if (!key) return NoSuchKey(id);
    tables.api_keys.Delete(id);
    return CheckAdminRemains(tables);
  })));
  return *std::move(key);
}

}  // namespace keyhold::control
