#include "keyring/recovery_seal.h"

namespace keyhold::keyring {
namespace {

// Each part is ended by a zero, which none can hold: no two identities give the same label.
std::string LabelOf(const Identity& identity) {
  std::string label(kSealLabel);
  for (const std::string& part : {identity.cluster_id, identity.region, identity.store_id}) {
    label.append(1, '\0').append(part);
  }
  return label;
}

}  // namespace

StatusOr<std::string> Seal(const crypto::RsaPublicKey& key, crypto::Bytes store_key,
                           const Identity& identity) {
  return key.Encrypt(store_key, crypto::AsBytes(LabelOf(identity)));
}

StatusOr<crypto::SecretBytes> Unseal(const crypto::RsaPrivateKey& key, crypto::Bytes sealed,
                                     const Identity& identity) {
  auto opened = key.Decrypt(sealed, crypto::AsBytes(LabelOf(identity)));
  if (opened.ok()) return opened;
  return Error(
      Cause::kCorrupt,
      "the recovery key does not open this store: what is sealed to it is another store's, or damaged");
}

}  // namespace keyhold::keyring
