// Google Cloud KMS: REST v1 over HTTPS, https://cloud.google.com/kms/docs/reference/rest.
//
// A wrap is the ciphertext of cryptoKeys.encrypt, by the key's primary version; the context is its additional
// authenticated data: the JSON object of names and values, names in order, without blanks. Every field with
// bytes goes and comes with its CRC-32C, and one that does not fit is kKmsCorrupt.
#pragma once

#include <memory>

#include "kms/gcp/identity.h"
#include "kms/kms.h"

namespace keyhold::kms::gcp {

// The permissions that Keyhold needs are cloudkms.cryptoKeyVersions.useToEncrypt and useToDecrypt, which
// roles/cloudkms.cryptoKeyEncrypterDecrypter has. That role may not read the key, so a missing
// cloudkms.cryptoKeys.get is no failure: what the key is then shows in what it does. `spec` has been checked
// and is of type GCP_CLOUD_KMS; the references must outlive the result.
std::unique_ptr<Kms> NewGcpKms(const KeySpec& spec, const Caller& caller, Identity& platform);

}  // namespace keyhold::kms::gcp
