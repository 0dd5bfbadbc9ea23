// Extended attributes: names sealed under a key of the inode's own, values bound to inode and name.
#include <sys/xattr.h>

#include <cerrno>

#include "store/tree.h"

namespace keyhold::store {
namespace {

constexpr std::string_view kNamespace = "user.";
constexpr std::string_view kBackingPrefix = "user.k.";
constexpr size_t kLargestValue = 60 << 10;

// Names of attributes and of entries must not be each other's: a directory has both, under one key.
constexpr char kAttributeMark = '\x01';

}  // namespace

StatusOr<Identity> Tree::IdentityOf(Inode* inode, int fd) {
  if (S_ISREG(inode->type)) {
    KEYHOLD_RETURN_IF_ERROR(FileOf(inode, fd).status());
    return ReadIdentity(context_, fd, InodeKind::kFile);
  }
  if (!S_ISDIR(inode->type)) return ErrnoError(EPERM, "only files and directories have extended attributes");
  KEYHOLD_RETURN_IF_ERROR(NamesOf(inode, fd).status());
  return ReadIdentity(context_, fd, InodeKind::kDirectory);
}

StatusOr<std::string> Tree::BackingAttribute(Inode* inode, int fd, const std::string& name) {
  if (name.compare(0, kNamespace.size(), kNamespace) != 0) {
    return ErrnoError(EOPNOTSUPP, "only extended attributes below user. are offered");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const Identity identity, IdentityOf(inode, fd));
  KEYHOLD_ASSIGN_OR_RETURN(const Names names, Names::Of(context_, identity));
  KEYHOLD_ASSIGN_OR_RETURN(const SealedName sealed,
                           names.Seal(kAttributeMark + name.substr(kNamespace.size())));
  const std::string backing = std::string(kBackingPrefix) + sealed.entry;
  if (!sealed.side.empty() || backing.size() > XATTR_NAME_MAX) {
    return ErrnoError(ERANGE, "an extended attribute's name has at most 150 bytes");
  }
  return backing;
}

StatusOr<std::string> Tree::GetAttribute(Inode* inode, const std::string& name) {
  const std::shared_lock gate(gate_);
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string backing, BackingAttribute(inode, lease->get(), name));
  std::string sealed(XATTR_SIZE_MAX, '\0');
  const ssize_t size = context_.posix.FGetXAttr(lease->get(), backing.c_str(), sealed.data(), sealed.size());
  if (size < 0) return ErrnoError(static_cast<int>(-size), "reading an extended attribute");
  sealed.resize(static_cast<size_t>(size));
  auto value = OpenSmall(context_, "attribute", backing, sealed);
  if (!value.ok()) return Count(inode, value.status());
  return value;
}

Status Tree::SetAttribute(Inode* inode, const std::string& name, const std::string& value, int flags) {
  if (value.size() > kLargestValue) return ErrnoError(E2BIG, "an extended attribute has at most 60 KiB");
  const std::shared_lock gate(gate_);
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string backing, BackingAttribute(inode, lease->get(), name));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string sealed, SealSmall(context_, "attribute", backing, value));
  const int result =
      context_.posix.FSetXAttr(lease->get(), backing.c_str(), sealed.data(), sealed.size(), flags);
  return result == 0 ? OkStatus() : ErrnoError(-result, "writing an extended attribute");
}

StatusOr<std::vector<std::string>> Tree::ListAttributes(Inode* inode) {
  const std::shared_lock gate(gate_);
  std::vector<std::string> all;
  if (!S_ISREG(inode->type) && !S_ISDIR(inode->type)) return all;
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  KEYHOLD_ASSIGN_OR_RETURN(const Identity identity, IdentityOf(inode, lease->get()));
  KEYHOLD_ASSIGN_OR_RETURN(const Names names, Names::Of(context_, identity));
  std::string list(XATTR_LIST_MAX, '\0');
  const ssize_t size = context_.posix.FListXAttr(lease->get(), list.data(), list.size());
  if (size < 0) return ErrnoError(static_cast<int>(-size), "listing extended attributes");
  for (const char* at = list.data(); at < list.data() + size; at += std::string_view(at).size() + 1) {
    const std::string_view backing = at;
    if (backing.substr(0, kBackingPrefix.size()) != kBackingPrefix) continue;
    const auto name = names.Open(backing.substr(kBackingPrefix.size()));
    if (name.has_value() && name->front() == kAttributeMark)
      all.push_back(std::string(kNamespace) + name->substr(1));
  }
  return all;
}

Status Tree::RemoveAttribute(Inode* inode, const std::string& name) {
  const std::shared_lock gate(gate_);
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string backing, BackingAttribute(inode, lease->get(), name));
  const int result = context_.posix.FRemoveXAttr(lease->get(), backing.c_str());
  return result == 0 ? OkStatus() : ErrnoError(-result, "removing an extended attribute");
}

}  // namespace keyhold::store
