// The files of a recovery key: shares, one for each person, and the recovery file, which holds the private
// key encrypted under what the shares give. docs/formats/recovery.md has the forms and examples.
//
// Text, so that a share can be printed and typed in again; each has one encoding. Cluster ids are of 1 to 255
// printable bytes.
#pragma once

#include <string>
#include <string_view>

#include "recovery/shamir.h"

namespace keyhold::recovery {

inline constexpr std::string_view kShareTitle = "Keyhold recovery share, version ";
inline constexpr std::string_view kFileTitle = "Keyhold recovery file, version ";
inline constexpr int kFormatVersion = 1;
inline constexpr size_t kMaxTextSize = 64 << 10;  // bytes of either
inline constexpr size_t kSecretSize = 32;         // of what is shared: an AES-256 key

// Which recovery key, and how it is shared.
struct Header {
  std::string cluster_id;
  std::string key_id;  // RsaPublicKey::Fingerprint()
  int shares = 0;
  int threshold = 0;

  bool operator==(const Header&) const = default;
};

struct Share {
  Header header;
  NumberedShare share;  // of kSecretSize bytes
};

struct RecoveryFile {
  Header header;
  std::string private_key;  // crypto::SealBox of its PKCS #8 PEM, bound to HeaderText()
};

crypto::SecretBytes EncodeShare(const Share& share);
std::string EncodeFile(const RecoveryFile& file);

// kCorrupt: damaged, or something else; kFailedPrecondition: of a newer version. Sentences that begin with
// "it".
StatusOr<Share> ParseShare(std::string_view text);
StatusOr<RecoveryFile> ParseFile(std::string_view text);

// What the encrypted private key is bound to.
std::string HeaderText(const Header& header);

}  // namespace keyhold::recovery
