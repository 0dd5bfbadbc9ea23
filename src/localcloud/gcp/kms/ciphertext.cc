#include "localcloud/gcp/kms/ciphertext.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr size_t kHeaderSize = 5;

void AppendUint32(std::string& out, size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

std::string Header(uint32_t number) {
  std::string out(1, static_cast<char>(kCiphertextFormat));
  AppendUint32(out, number);
  return out;
}

// The name's size before it, so that no name and data look like others.
std::string AssociatedData(std::string_view header, std::string_view name, crypto::Bytes aad) {
  std::string out(header);
  AppendUint32(out, name.size());
  out.append(name);
  out.append(crypto::AsText(aad));
  return out;
}

}  // namespace

std::string SealCiphertext(std::string_view name, uint32_t number, crypto::Bytes material, crypto::Bytes aad,
                           crypto::Random& random, crypto::Bytes plaintext) {
  const std::string header = Header(number);
  const std::string data = AssociatedData(header, name, aad);
  return header + crypto::SealBox(material, random, crypto::AsBytes(data), plaintext);
}

StatusOr<uint32_t> VersionIn(std::string_view blob) {
  if (blob.size() < kHeaderSize + crypto::kBoxOverhead ||
      static_cast<uint8_t>(blob[0]) != kCiphertextFormat) {
    return Error(Cause::kCorrupt, "not a ciphertext of the local cloud's Cloud KMS");
  }
  uint32_t number = 0;
  for (size_t i = 1; i < kHeaderSize; ++i) number = number << 8 | static_cast<uint8_t>(blob[i]);
  return number;
}

StatusOr<crypto::SecretBytes> OpenCiphertext(std::string_view name, std::string_view blob, crypto::Bytes aad,
                                             crypto::Bytes material) {
  KEYHOLD_RETURN_IF_ERROR(VersionIn(blob).status());
  const std::string data = AssociatedData(blob.substr(0, kHeaderSize), name, aad);
  return crypto::OpenBox(material, crypto::AsBytes(data), crypto::AsBytes(blob.substr(kHeaderSize)));
}

}  // namespace keyhold::localcloud::gcp
