// Key Vault key identifiers, as far as key specs have them, and the hosts that belong to them.
//
// https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates (object identifiers,
// DNS suffixes, names) and https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::kms::azure {

// One of Azure's clouds, for one kind of store; rows of a table, never made elsewhere.
struct AzureCloud {
  std::string_view host_suffix;  // ".vault.azure.net"
  std::string_view resource;     // whom access tokens are for: "https://vault.azure.net"
  std::string_view login_host;   // where tokens come from: "login.microsoftonline.com"
  std::string_view login_alias;  // the other name that challenges have for it
  bool managed_hsm = false;
};

// https://VAULT.SUFFIX/keys/NAME[/VERSION]
struct KeyUri {
  std::string host;     // "demo.vault.azure.net", lower case
  std::string vault;    // "demo"
  std::string name;     // of the key
  std::string version;  // 32 hexadecimal digits; empty: always the newest
  const AzureCloud* cloud = nullptr;

  // "/keys/NAME" or, for a version, "/keys/NAME/VERSION".
  std::string Path(std::string_view of_version) const;
};

// kInvalidArgument says how the URI should be. The host is one label and a suffix of the table: no user,
// port, escape, query, trailing dot or address fits the grammar.
StatusOr<KeyUri> ParseKeyUri(std::string_view uri);

// Who may be an auth_principal: the id of the Microsoft Entra tenant that the vault is in, a UUID in lower
// case.
Status CheckTenant(std::string_view tenant);

// OK when `kid`, from an answer, names a version of the key `uri` (the very one, where `uri` has one); that
// version.
StatusOr<std::string> VersionOf(std::string_view kid, const KeyUri& uri);

}  // namespace keyhold::kms::azure
