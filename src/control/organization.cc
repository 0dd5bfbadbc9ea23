#include "control/organization.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "control/api_keys.h"

namespace keyhold::control {
namespace {

using crypto::SecretBytes;

constexpr size_t kAgentTokenSize = 43;
constexpr size_t kMaxFileSize = 256;

Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR) return ErrnoError(errno, "write");
    if (n > 0) text.remove_prefix(n);
  }
  return OkStatus();
}

Status SyncDirectory(const std::string& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, dir);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? OkStatus() : ErrnoError(error, dir);
}

Status WriteAndSync(int fd, const SecretBytes& text) {
  KEYHOLD_RETURN_IF_ERROR(WriteAll(fd, text.ExposeText()));
  KEYHOLD_RETURN_IF_ERROR(WriteAll(fd, "\n"));
  return fsync(fd) == 0 ? OkStatus() : ErrnoError(errno, "fsync");
}

// Whole or not at all, durable, 0600.
Status WriteSecretFile(const std::string& dir, const std::string& name, const SecretBytes& text) {
  const std::string path = dir + "/" + name;
  const std::string temporary = path + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoError(errno, temporary);
  const Status written = WriteAndSync(fd, text);
  close(fd);
  KEYHOLD_RETURN_IF_ERROR(Annotate(written, temporary));
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, path);
  return SyncDirectory(dir);
}

// kNotFound when there is none.
StatusOr<SecretBytes> ReadSecretFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return Error(Cause::kNotFound, path + " is missing");
  if (fd < 0) return ErrnoError(errno, path);
  std::array<uint8_t, kMaxFileSize> buffer;
  ssize_t size = read(fd, buffer.data(), buffer.size());
  const int error = errno;
  close(fd);
  if (size < 0) return ErrnoError(error, path);
  while (size > 0 && (buffer[size - 1] == '\n' || buffer[size - 1] == '\r')) --size;
  SecretBytes text = SecretBytes::CopyOf(crypto::Bytes(buffer.data(), size));
  crypto::Wipe(buffer);
  return text;
}

// The key that a start before this one wrote and did not live to record, or a new one.
StatusOr<SecretBytes> FirstApiKey(Core& core, const std::string& dir) {
  auto left = ReadSecretFile(dir + "/api-key");
  if (left.ok() && HasApiKeyForm(left->ExposeText())) return left;
  SecretBytes text = NewApiKeyText(core.random);
  KEYHOLD_RETURN_IF_ERROR(WriteSecretFile(dir, "api-key", text));
  return text;
}

Status CreateOrganization(Core& core, const std::string& dir) {
  KEYHOLD_ASSIGN_OR_RETURN(const SecretBytes key, FirstApiKey(core, dir));
  const absl::Time now = core.clock.Now();
  const SecretBytes label = RandomText(core.random, 5);
  return Change(core, [&](Tables& tables) {
    const std::string account = crypto::NewUuid(core.random);
    tables.organization.Insert({crypto::NewUuid(core.random), "Keyhold",
                                absl::StrCat("org-", std::string(label.ExposeText())), now});
    tables.organization.InsertServiceAccount({account, "admin", "made at the first start", "", now});
    tables.roles.Put({account, Role::kOrgAdmin, ""});
    tables.roles.Put({account, Role::kClusterAdmin, ""});
    tables.api_keys.Insert(ApiKeyOf(key.ExposeText(), account, "first", now));
    return OkStatus();
  });
}

Status EnsureAgentToken(Core& core, const std::string& dir) {
  const auto token = ReadAgentToken(dir);
  if (token.ok() || CauseOf(token.status()) != Cause::kNotFound) return token.status();
  return WriteSecretFile(dir, "agent-token", RandomText(core.random, kAgentTokenSize));
}

}  // namespace

Status Bootstrap(Core& core, const std::string& dir) {
  std::optional<Organization> organization;
  KEYHOLD_RETURN_IF_ERROR(core.store.Read([&](Tables& tables) {
    organization = tables.organization.Get();
    return OkStatus();
  }));
  if (!organization) KEYHOLD_RETURN_IF_ERROR(CreateOrganization(core, dir));
  return EnsureAgentToken(core, dir);
}

StatusOr<SecretBytes> ReadAgentToken(const std::string& dir) {
  KEYHOLD_ASSIGN_OR_RETURN(SecretBytes token, ReadSecretFile(dir + "/agent-token"));
  if (token.size() < kAgentTokenSize) {
    return Error(Cause::kCorrupt,
                 dir + "/agent-token is damaged; delete it and start again to have a new one made");
  }
  return token;
}

StatusOr<Organization> GetOrganization(Core& core) {
  std::optional<Organization> organization;
  KEYHOLD_RETURN_IF_ERROR(core.store.Read([&](Tables& tables) {
    organization = tables.organization.Get();
    return OkStatus();
  }));
  if (!organization) return Error(Cause::kInternal, "the server has no organization");
  return *std::move(organization);
}

}  // namespace keyhold::control
