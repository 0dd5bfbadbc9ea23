#include "kms/azure/wrap_record.h"

#include <algorithm>
#include <cstring>

#include "crypto/hash.h"
#include "kms/text.h"

namespace keyhold::kms::azure {
namespace {

// RSA of 2048 to 4096 bits.
constexpr size_t kMinCiphertext = 256;
constexpr size_t kMaxCiphertext = 512;

// Every name and value is ended by a zero, which neither can hold: no two contexts give the same text.
crypto::Sha256Digest Digest(const Context& context) {
  std::string text = "keyhold azure wrap v1";
  for (const auto& [name, value] : context) text.append(1, '\0').append(name).append(1, '\0').append(value);
  return crypto::Sha256(crypto::AsBytes(text));
}

bool IsVersion(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Status Corrupt(std::string_view why) {
  return Error(Cause::kKmsCorrupt, StrCat({"this wrapped key is not one of Azure Key Vault's: ", why}));
}

}  // namespace

crypto::SecretBytes MakePlaintext(crypto::Bytes secret, const Context& context) {
  crypto::SecretBytes plaintext(1 + kDigestSize + secret.size());
  uint8_t* out = plaintext.ExposeMutable().data();
  *out++ = kRecordFormat;
  const crypto::Sha256Digest digest = Digest(context);
  out = std::copy(digest.begin(), digest.end(), out);
  std::copy(secret.begin(), secret.end(), out);
  return plaintext;
}

StatusOr<crypto::SecretBytes> OpenPlaintext(crypto::Bytes plaintext, const Context& context) {
  if (plaintext.size() <= 1 + kDigestSize || plaintext.size() > kMaxPlaintextSize ||
      plaintext[0] != kRecordFormat) {
    return Error(Cause::kKmsCorrupt, "what Azure unwrapped is not what Keyhold wraps");
  }
  const crypto::Sha256Digest digest = Digest(context);
  if (!crypto::ConstantTimeEqual(plaintext.subspan(1, kDigestSize), digest)) {
    return Error(Cause::kKmsCorrupt, "this wrapped key belongs to another cluster, region or store");
  }
  return crypto::SecretBytes::CopyOf(plaintext.subspan(1 + kDigestSize));
}

std::string EncodeRecord(const WrapRecord& record) {
  std::string out;
  out.push_back(static_cast<char>(kRecordFormat));
  out.push_back(static_cast<char>(kRsaOaep256));
  return out + record.version + record.ciphertext;
}

StatusOr<WrapRecord> DecodeRecord(crypto::Bytes record) {
  const std::string_view text = crypto::AsText(record);
  if (text.size() < kRecordHeaderSize + kMinCiphertext || text.size() > kRecordHeaderSize + kMaxCiphertext) {
    return Corrupt("its size");
  }
  if (record[0] != kRecordFormat || record[1] != kRsaOaep256) return Corrupt("its format");
  const std::string_view version = text.substr(2, kVersionSize);
  if (!IsVersion(version)) return Corrupt("its key version");
  return WrapRecord{std::string(version), std::string(text.substr(kRecordHeaderSize))};
}

}  // namespace keyhold::kms::azure
