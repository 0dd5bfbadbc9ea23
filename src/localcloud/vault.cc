#include "localcloud/vault.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace keyhold::localcloud {

std::string Vault::Seal(std::string_view label, crypto::Bytes secret) const {
  return absl::Base64Escape(crypto::SealBox(key_.Expose(), random_, crypto::AsBytes(label), secret));
}

StatusOr<crypto::SecretBytes> Vault::Open(std::string_view label, std::string_view sealed) const {
  std::string box;
  if (!absl::Base64Unescape(absl::string_view(sealed.data(), sealed.size()), &box)) {
    return Error(Cause::kCorrupt, "a sealed value is not base64");
  }
  return crypto::OpenBox(key_.Expose(), crypto::AsBytes(label), crypto::AsBytes(box));
}

}  // namespace keyhold::localcloud
