#include "localcloud/aws/kms/ciphertext.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr size_t kMaxKeyId = 64;

void AppendUint32(std::string& out, size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

uint32_t ReadUint32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; i++) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

std::string EncodeHeader(const CiphertextHeader& header) {
  std::string out;
  out.push_back(static_cast<char>(kCiphertextVersion));
  out.push_back(static_cast<char>(header.key_id.size()));
  out.append(header.key_id);
  AppendUint32(out, header.material);
  return out;
}

// Every string with its size before it, in the order of the names, so that no two contexts look alike.
std::string AssociatedData(std::string_view header, const EncryptionContext& context) {
  std::string out(header);
  for (const auto& [name, value] : context) {
    AppendUint32(out, name.size());
    out.append(name);
    AppendUint32(out, value.size());
    out.append(value);
  }
  return out;
}

size_t HeaderSize(std::string_view blob) { return 2 + static_cast<uint8_t>(blob[1]) + 4; }

}  // namespace

std::string SealCiphertext(const CiphertextHeader& header, const EncryptionContext& context,
                           crypto::Bytes material_key, crypto::Random& random, crypto::Bytes plaintext) {
  std::string encoded = EncodeHeader(header);
  std::string data = AssociatedData(encoded, context);
  return encoded + crypto::SealBox(material_key, random, crypto::AsBytes(data), plaintext);
}

StatusOr<CiphertextHeader> ReadCiphertextHeader(std::string_view blob) {
  Status bad = Error(Cause::kCorrupt, "not a ciphertext blob of the local cloud");
  if (blob.size() < 2 || static_cast<uint8_t>(blob[0]) != kCiphertextVersion) return bad;
  size_t id_size = static_cast<uint8_t>(blob[1]);
  if (id_size < 1 || id_size > kMaxKeyId || blob.size() < HeaderSize(blob) + crypto::kBoxOverhead) return bad;
  return CiphertextHeader{std::string(blob.substr(2, id_size)), ReadUint32(blob.substr(2 + id_size, 4))};
}

StatusOr<crypto::SecretBytes> OpenCiphertext(std::string_view blob, const EncryptionContext& context,
                                             crypto::Bytes material_key) {
  KEYHOLD_RETURN_IF_ERROR(ReadCiphertextHeader(blob).status());
  size_t size = HeaderSize(blob);
  std::string data = AssociatedData(blob.substr(0, size), context);
  return crypto::OpenBox(material_key, crypto::AsBytes(data), crypto::AsBytes(blob.substr(size)));
}

}  // namespace keyhold::localcloud::aws
