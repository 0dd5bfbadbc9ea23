// How names stand on the disk: sealed with AES-256-SIV under a key of their directory's own, so that the same
// name in two directories looks different, and padded, so that lengths show in steps of 16. Format:
// docs/formats/store.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "crypto/aead.h"
#include "store/identity.h"

namespace keyhold::store {

inline constexpr size_t kLongestName = 255;

// A sealed name as a directory entry. Where it does not fit into one, `entry` is a digest of it and the
// sealed name itself stands in the side file `side`.
struct SealedName {
  std::string entry;
  std::string side;     // empty: none needed
  std::string content;  // of the side file
};

// The names of one directory. Safe to use from any thread.
class Names {
 public:
  // Errors as of DataKeySource::Find.
  static StatusOr<Names> Of(const Context& context, const Identity& directory);

  // errno ENAMETOOLONG over 255 bytes, EINVAL for an empty name.
  StatusOr<SealedName> Seal(std::string_view name) const;

  // The name of an entry that Seal() made; nothing for one that is not ours.
  std::optional<std::string> Open(std::string_view entry) const;

  // For an entry that is a digest: the name of its side file. Open it with OpenContent().
  static std::optional<std::string> SideOf(std::string_view entry);
  std::optional<std::string> OpenContent(std::string_view entry, std::string_view content) const;

 private:
  Names(const crypto::SecretBytes& key, const FileId& directory)
      : siv_(key.Expose()), directory_(directory) {}
  std::optional<std::string> Unseal(std::string_view sealed) const;

  crypto::Aes256Siv siv_;
  FileId directory_;
};

// Symbolic links' targets and extended attributes: sealed under the active data key for `purpose`, bound to
// `place`, the key's id in front. Errors as of DataKeySource::KeyToSeal and Find.
StatusOr<std::string> SealSmall(const Context& context, std::string_view purpose, std::string_view place,
                                std::string_view plaintext);
StatusOr<std::string> OpenSmall(const Context& context, std::string_view purpose, std::string_view place,
                                std::string_view sealed);

// base64url without padding, RFC 4648 section 5.
std::string ToName(std::string_view bytes);
std::optional<std::string> FromName(std::string_view text);

}  // namespace keyhold::store
