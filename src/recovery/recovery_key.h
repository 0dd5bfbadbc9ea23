// A recovery key: an RSA key pair that opens a store whose KMS is lost, and which nobody has alone. The
// private key is encrypted under a random key, and that key is split among people; the server and the nodes
// get the public key and nothing else.
#pragma once

#include <string>
#include <vector>

#include "crypto/rsa.h"
#include "recovery/files.h"

namespace keyhold::recovery {

inline constexpr int kKeyBits = 4096;

struct NewRecoveryKey {
  Header header;
  std::string public_pem;
  std::string file;                         // the recovery file's text
  std::vector<crypto::SecretBytes> shares;  // their files' texts, by number
};

// A fresh one for the cluster. Takes seconds. It has been opened again by its shares. kInvalidArgument: not
// kMinThreshold <= threshold <= shares <= kMaxShares, or a cluster id that is none.
StatusOr<NewRecoveryKey> MakeRecoveryKey(const std::string& cluster_id, int threshold, int shares,
                                         crypto::Random& random, int bits = kKeyBits);

struct ShareText {
  std::string name;  // for messages: the file
  crypto::SecretBytes text;
};

// The private key, by at least as many shares as are needed. Errors name the share: kCorrupt, it is damaged;
// kInvalidArgument, it is of another cluster or recovery key, or given twice, or there are too few.
StatusOr<crypto::RsaPrivateKey> OpenRecoveryKey(const RecoveryFile& file,
                                                const std::vector<ShareText>& shares);

}  // namespace keyhold::recovery
