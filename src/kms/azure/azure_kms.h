// Azure Key Vault and Managed HSM: RSA keys, wrapped and unwrapped on the server with RSA-OAEP-256.
#pragma once

#include <memory>

#include "kms/azure/tokens.h"
#include "kms/kms.h"

namespace keyhold::kms::azure {

// The three key permissions that Keyhold is granted, and ever uses, are get, wrapKey and unwrapKey. Secrets
// to wrap have at most kMaxWrappable bytes (wrap_record.h). A wrap names the version of the key that made it
// and is opened with that one, whatever is the newest by then. `spec` has been checked and is of type
// AZURE_KEY_VAULT; the references must outlive the result.
std::unique_ptr<Kms> NewAzureKms(const KeySpec& spec, HttpTransport& http, const RetryTools& tools,
                                 Tokens& tokens);

}  // namespace keyhold::kms::azure
