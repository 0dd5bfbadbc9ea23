// iam.googleapis.com and iamcredentials.googleapis.com: service accounts, their keys and policies, and tokens
// for those who may impersonate them. cloudresourcemanager.googleapis.com: projects and their policies.
//
// https://cloud.google.com/iam/docs/reference/rest, .../reference/credentials/rest,
// https://cloud.google.com/resource-manager/reference/rest/v1/projects
#pragma once

#include "localcloud/gcp/call.h"

namespace keyhold::localcloud::gcp {

// Serve `call`; the answer's JSON, or an error of error.h.
StatusOr<Json> ServeIam(Call& call);
StatusOr<Json> ServeCredentials(Call& call);
StatusOr<Json> ServeProjects(Call& call);

// A new account of `project`, and a new key of an account; stored.
ServiceAccount AddAccount(Store& store, const Vault& vault, const std::string& project,
                          const std::string& name, const std::string& display_name);
StatusOr<AccountKey> AddAccountKey(Store& store, const Vault& vault, const std::string& email, bool keep,
                                   absl::Time now);

// The key file of an account, as Google makes it.
Json KeyFile(const ServiceAccount& account, const AccountKey& key);

}  // namespace keyhold::localcloud::gcp
