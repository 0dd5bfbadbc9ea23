#include "store/names.h"

#include <limits.h>

#include <cerrno>

#include "absl/strings/escaping.h"
#include "crypto/hash.h"
#include "store/bytes.h"

namespace keyhold::store {
namespace {

constexpr size_t kPadTo = 16;
constexpr std::string_view kDigestPrefix = "L.";
constexpr std::string_view kSidePrefix = "N.";

std::string DigestOf(std::string_view sealed) {
  const crypto::Sha256Digest digest = crypto::Sha256(crypto::AsBytes(sealed));
  return ToName(crypto::AsText(digest));
}

crypto::SecretBytes SmallKey(const keyring::DataKey& key, std::string_view purpose) {
  return crypto::Hkdf(key.Expose(), crypto::AsBytes("keyhold " + std::string(purpose) + " key v1"), 32);
}

}  // namespace

std::string ToName(std::string_view bytes) {
  std::string text = absl::WebSafeBase64Escape(absl::string_view(bytes.data(), bytes.size()));
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

std::optional<std::string> FromName(std::string_view text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(absl::string_view(text.data(), text.size()), &bytes)) return std::nullopt;
  // Abseil passes over blanks, padding and stray bits: a name has one form.
  return ToName(bytes) == text ? std::optional(bytes) : std::nullopt;
}

StatusOr<Names> Names::Of(const Context& context, const Identity& directory) {
  KEYHOLD_ASSIGN_OR_RETURN(const keyring::DataKey data_key, context.keys.Find(directory.key));
  std::string info = "keyhold names key v1";
  info.append(crypto::AsText(directory.id));
  return Names(crypto::Hkdf(data_key.Expose(), crypto::AsBytes(info), crypto::kSivKeySize), directory.id);
}

StatusOr<SealedName> Names::Seal(std::string_view name) const {
  if (name.size() > kLongestName) return ErrnoError(ENAMETOOLONG, "a name has at most 255 bytes");
  if (name.empty()) return ErrnoError(EINVAL, "a name must not be empty");
  std::string padded(name);
  padded.resize((name.size() + kPadTo - 1) / kPadTo * kPadTo);
  const std::string sealed = siv_.Seal(directory_, crypto::AsBytes(padded));
  SealedName result;
  result.entry = ToName(sealed);
  if (result.entry.size() <= NAME_MAX) return result;
  const std::string digest = DigestOf(sealed);
  result.entry = std::string(kDigestPrefix) + digest;
  result.side = std::string(kSidePrefix) + digest;
  result.content = sealed;
  return result;
}

std::optional<std::string> Names::Unseal(std::string_view sealed) const {
  auto padded = siv_.Open(directory_, crypto::AsBytes(sealed));
  if (!padded.ok()) return std::nullopt;
  padded->resize(padded->find_last_not_of('\0') + 1);
  return *std::move(padded);
}

std::optional<std::string> Names::Open(std::string_view entry) const {
  const auto sealed = FromName(entry);
  return sealed.has_value() ? Unseal(*sealed) : std::nullopt;
}

std::optional<std::string> Names::SideOf(std::string_view entry) {
  if (entry.substr(0, kDigestPrefix.size()) != kDigestPrefix) return std::nullopt;
  return std::string(kSidePrefix) + std::string(entry.substr(kDigestPrefix.size()));
}

std::optional<std::string> Names::OpenContent(std::string_view entry, std::string_view content) const {
  if (std::string(kDigestPrefix) + DigestOf(content) != entry) return std::nullopt;
  return Unseal(content);
}

StatusOr<std::string> SealSmall(const Context& context, std::string_view purpose, std::string_view place,
                                std::string_view plaintext) {
  KEYHOLD_ASSIGN_OR_RETURN(const DataKeyId key, context.keys.KeyToSeal(1));
  KEYHOLD_ASSIGN_OR_RETURN(const keyring::DataKey data_key, context.keys.Find(key));
  std::string sealed(sizeof key, '\0');
  Save<uint32_t>(reinterpret_cast<uint8_t*>(sealed.data()), key);
  return sealed + crypto::SealBox(SmallKey(data_key, purpose).Expose(), context.random,
                                  crypto::AsBytes(place), crypto::AsBytes(plaintext));
}

StatusOr<std::string> OpenSmall(const Context& context, std::string_view purpose, std::string_view place,
                                std::string_view sealed) {
  DataKeyId key = 0;
  if (sealed.size() < sizeof key) return Error(Cause::kCorrupt, "a sealed value is too short");
  key = Load<uint32_t>(crypto::AsBytes(sealed).data());
  const auto data_key = context.keys.Find(key);
  if (!data_key.ok())
    return Error(Cause::kCorrupt, "a sealed value is under a data key that is not in the key ring");
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes plaintext,
                           crypto::OpenBox(SmallKey(*data_key, purpose).Expose(), crypto::AsBytes(place),
                                           crypto::AsBytes(sealed.substr(sizeof key))));
  return std::string(plaintext.ExposeText());
}

}  // namespace keyhold::store
