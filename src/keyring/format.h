// The key ring file, versions 1 to 6: docs/formats/keyring.md has the layout, widths and a worked example.
//
// A fixed binary form with lengths rather than JSON: every field has one encoding, so the whole can be
// authenticated as it stands, and a reader needs bounds checks and nothing else. Little endian. Numbers are
// never reused; unknown versions, flags and types are refused.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "keyring/keyring.h"

namespace keyhold::keyring {

inline constexpr std::string_view kMagic = "KHKEYRNG";
// A ring is written in the first version that has what is in it.
inline constexpr uint32_t kFirstVersion = 1;
inline constexpr uint32_t kProofsVersion = 2;  // with proofs
inline constexpr uint32_t kSealsVersion = 3;   // with counts of seals, and proofs where there are any
inline constexpr uint32_t kKeyVersionsVersion =
    4;  // with versions of CMEK keys, and the rest where there is any
inline constexpr uint32_t kRecoveryVersion = 5;  // with a recovery key, or the time when one was used
inline constexpr uint32_t kAcceptedVersion = 6;  // with the time when the store was accepted, and recovery
inline constexpr uint32_t kLastVersion = kAcceptedVersion;
inline constexpr uint32_t kKnownFlags = 0;

inline constexpr size_t kMaxFileSize = 1 << 20;
inline constexpr size_t kHeaderSize = 36;          // magic to the counts
inline constexpr size_t kChecksumSize = 32;        // SHA-256 of all before it: tells damage from a wrong key
inline constexpr size_t kMacSize = 32;             // HMAC-SHA-256 of all before the checksum
inline constexpr size_t kMaxIdSize = 255;          // of each id of an Identity
inline constexpr size_t kMaxKeys = 64;             // key records; the oldest past ones are dropped beyond
inline constexpr size_t kMaxDataKeys = 4096;       // the oldest destroyed ones are dropped beyond
inline constexpr size_t kMaxProofs = 64;           // the oldest are dropped beyond
inline constexpr size_t kMaxPublicKeySize = 2048;  // of a recovery key, PEM
inline constexpr size_t kMinSealedSize = 256;      // RSA of 2048 bits
inline constexpr size_t kMaxSealedSize = 1024;     // RSA of 8192 bits
inline constexpr size_t kWrappedDataKeySize = 60;  // crypto::SealBox of 32 bytes

// HKDF's info strings: the store key itself encrypts nothing.
inline constexpr std::string_view kMacKeyInfo = "keyhold key ring mac v1";
inline constexpr std::string_view kWrapKeyInfo = "keyhold data key wrap v1";

struct KeyEntry {
  kms::KeySpec spec;
  absl::Time created_at;  // kept to the microsecond
  absl::Time updated_at;
  DataKeyId first_data_key = 0;  // the first that was made in this key's time
  std::string wrapped;           // the store key, as the KMS gave it; empty in past entries
  std::string version;           // of the key, that wrapped it; empty: not told
};

struct DataKeyEntry {
  DataKeyId id = 0;
  DataKeyState state = DataKeyState::kActive;
  absl::Time created_at;
  absl::Time updated_at;
  std::string wrapped;  // crypto::SealBox; empty when destroyed
  uint64_t seals = 0;   // boxes that were or may have been sealed under it; at most kMostSeals
};

struct RecoveryEntry {
  std::string public_key;  // PEM
  absl::Time created_at;   // when the store was first sealed to it
  std::string sealed;      // the store key: recovery_seal.h
};

struct Contents {
  uint64_t epoch = 0;
  DataKeyId next_data_key = 1;
  Identity identity;
  std::vector<KeyEntry> keys;           // newest first; the first is the active one
  std::vector<DataKeyEntry> data_keys;  // by id; the last is the active one
  std::vector<Proof> proofs;            // by target
  std::optional<RecoveryEntry> recovery;
  absl::Time recovered_at = absl::InfinitePast();  // when a recovery key was used last; InfinitePast: never
  absl::Time accepted_at = absl::InfinitePast();   // when the store was last, as it was put back; likewise
};

// All of the file that is authenticated: everything before the checksum.
std::string EncodeBody(const Contents& contents);

// The whole file.
std::string WithTrailer(std::string body, const std::array<uint8_t, kMacSize>& mac);

// A file taken apart: `body` and `mac` point into what was given to Decode().
struct Decoded {
  Contents contents;
  std::string_view body;
  std::string_view mac;
};

// Checks everything but the MAC. kCorrupt for what no version writes, kFailedPrecondition for what a newer
// one may have written.
StatusOr<Decoded> Decode(std::string_view file);

// The associated data of a data key's wrap: its id and the identity.
std::string DataKeyBinding(DataKeyId id, const Identity& identity);

// kInvalidArgument unless the ids are 1 to 255 bytes of printable ASCII without blanks.
Status CheckIdentity(const Identity& identity);

}  // namespace keyhold::keyring
