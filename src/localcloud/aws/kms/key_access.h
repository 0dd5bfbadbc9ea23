// Finding the KMS key that a request names, and whether the caller may do there what it asks.
#pragma once

#include <string>

#include "localcloud/aws/call.h"
#include "localcloud/aws/kms/ciphertext.h"
#include "localcloud/aws/kms/key_store.h"

namespace keyhold::localcloud::aws {

enum class KeyNames {
  kIdsAndArns,        // key id or key ARN
  kIdsArnsAndAliases  // also alias name or alias ARN
};

// The key that `name` stands for in the call's region, for an operation that takes `accepted`.
// NotFoundException; from another account AccessDeniedException, as AWS tells no stranger what exists.
StatusOr<KmsKey> ResolveKey(Call& call, KeyStore& keys, const std::string& name, KeyNames accepted,
                            const std::string& action);

// OK when the caller may do `action` ("kms:Encrypt") on `key` under its policy; AccessDeniedException
// otherwise. Notes key and context in the call's record.
Status AuthorizeKey(Call& call, const KmsKey& key, const std::string& action,
                    const EncryptionContext& context = {});

// OK when the caller's identity policies allow `action` on `resource`; for what has no policy of its own.
Status AuthorizeIdentity(Call& call, const std::string& action, const std::string& resource);

// OK when `policy` may stand on `key`: it parses, names only principals that exist and, unless `bypass`, lets
// the caller put another one. MalformedPolicyDocumentException otherwise.
Status CheckKeyPolicy(Call& call, const KmsKey& key, const std::string& policy, bool bypass);

}  // namespace keyhold::localcloud::aws
