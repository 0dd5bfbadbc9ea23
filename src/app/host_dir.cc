#include "app/host_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace keyhold::app {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFile = 1u << 20;

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

Status CheckVersion(const std::string& dir) {
  const StatusOr<std::string> version = ReadFile(dir + "/VERSION");
  if (!version.ok() && CauseOf(version.status()) == Cause::kNotFound) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(dir, ignored)) {
      if (entry.path().filename() == "LOCK") continue;
      return Error(
          Cause::kFailedPrecondition,
          absl::StrCat(dir,
                       " is not Keyhold's: it has files but no VERSION; name an empty or a new directory"));
    }
    return WriteFile(dir + "/VERSION", absl::StrCat(kDirVersion, "\n"), 0600);
  }
  KEYHOLD_RETURN_IF_ERROR(version.status());
  if (Trimmed(*version) == kDirVersion) return OkStatus();
  const bool readable = Trimmed(*version).rfind("keyhold ", 0) == 0;
  return Error(Cause::kFailedPrecondition,
               readable ? absl::StrCat(dir, " was written by another version of Keyhold (\"",
                                       Trimmed(*version).substr(0, 32), "\", this one writes \"", kDirVersion,
                                       "\"); use the keyhold that made it")
                        : absl::StrCat(dir, "/VERSION is damaged; it should read \"", kDirVersion, "\""));
}

std::string PidIn(const std::string& dir) {
  const StatusOr<std::string> pid = ReadFile(dir + "/LOCK");
  return pid.ok() ? Trimmed(*pid) : "unknown";
}

// Who else may write in a directory could put links where our files are to be, and we are root. A link that
// is there already counts as its target if it is ours, or root's.
Status CheckOurs(const std::string& path) {
  struct stat link {};
  struct stat target {};
  if (lstat(path.c_str(), &link) != 0 || stat(path.c_str(), &target) != 0) return ErrnoError(errno, path);
  const auto refused = [&](const std::string& why) {
    return Error(Cause::kFailedPrecondition, absl::StrCat(path, why));
  };
  if (!S_ISDIR(target.st_mode)) return refused(" is not a directory");
  const bool ours = target.st_uid == geteuid() && (link.st_uid == geteuid() || link.st_uid == 0);
  if (!ours) {
    return refused(absl::StrCat(" belongs to another user (uid ",
                                link.st_uid == geteuid() ? target.st_uid : link.st_uid,
                                "); name a directory of your own, or a new one"));
  }
  if ((target.st_mode & (S_IWGRP | S_IWOTH)) == 0) return OkStatus();
  return refused(absl::StrCat(
      " may be written to by other users; name a new one, or see what is in it and: chmod 700 ", path));
}

StatusOr<int> Lock(const std::string& dir) {
  const int fd = open((dir + "/LOCK").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoError(errno, dir + "/LOCK");
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  close(fd);
  return Error(Cause::kFailedPrecondition, absl::StrCat(dir, " is in use by keyhold start, pid ", PidIn(dir),
                                                        "; end it with: keyhold stop --dir ", dir));
}

Status MakeDirs(const std::string& dir) {
  for (const char* name : {"log", "server", "agent", "nodes"}) {
    const std::string path = absl::StrCat(dir, "/", name);
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, path);
    KEYHOLD_RETURN_IF_ERROR(CheckOurs(path));
  }
  return OkStatus();
}

}  // namespace

StatusOr<HostDir> HostDir::Open(const std::string& dir) {
  std::error_code error;
  const std::string path = fs::absolute(dir, error).lexically_normal().string();
  if (!fs::exists(path, error)) {
    fs::create_directories(fs::path(path).parent_path(), error);
    if (mkdir(path.c_str(), 0700) != 0) return ErrnoError(errno, path);
  }
  KEYHOLD_RETURN_IF_ERROR(CheckOurs(path));
  KEYHOLD_ASSIGN_OR_RETURN(const int lock, Lock(path));
  HostDir host(path, lock);
  KEYHOLD_RETURN_IF_ERROR(CheckVersion(path));
  if (chmod(path.c_str(), 0700) != 0) return ErrnoError(errno, path);
  KEYHOLD_RETURN_IF_ERROR(MakeDirs(path));
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(lock, 0) != 0 || pwrite(lock, pid.data(), pid.size(), 0) < 0)
    return ErrnoError(errno, path + "/LOCK");
  return host;
}

StatusOr<std::optional<int>> HostDir::Holder(const std::string& dir) {
  const int fd = open((dir + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Error(Cause::kNotFound, absl::StrCat(dir, " is no directory of Keyhold's: it has no LOCK"));
  }
  const bool is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
  close(fd);
  int pid = 0;
  if (is_free) return std::optional<int>();
  if (!absl::SimpleAtoi(PidIn(dir), &pid) || pid <= 1) {
    return Error(Cause::kCorrupt, absl::StrCat(dir, "/LOCK is held but names no process"));
  }
  return std::optional<int>(pid);
}

HostDir::HostDir(HostDir&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

HostDir::~HostDir() {
  if (lock_ >= 0) close(lock_);
}

StatusOr<std::map<std::string, std::string>> HostDir::Addresses() const {
  const StatusOr<std::string> text = ReadFile(Path("addresses.json"));
  if (!text.ok() && CauseOf(text.status()) == Cause::kNotFound) return std::map<std::string, std::string>();
  KEYHOLD_RETURN_IF_ERROR(text.status());
  std::map<std::string, std::string> addresses;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const bool valid =
      json.is_object() && std::all_of(json.begin(), json.end(), [](const auto& v) { return v.is_string(); });
  if (!valid) {
    return Error(Cause::kCorrupt,
                 absl::StrCat(Path("addresses.json"), " is damaged; remove it to have new ports chosen"));
  }
  for (const auto& [name, value] : json.items()) addresses[name] = value.get<std::string>();
  return addresses;
}

Status HostDir::SetAddresses(const std::map<std::string, std::string>& addresses) const {
  return WriteFile(Path("addresses.json"), nlohmann::json(addresses).dump(2) + "\n", 0600);
}

StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return Error(Cause::kNotFound, absl::StrCat(path, " is not there"));
  if (fd < 0) return ErrnoError(errno, path);
  std::string content(kMaxFile + 1, '\0');
  const ssize_t size = read(fd, content.data(), content.size());
  const int error = errno;
  close(fd);
  if (size < 0) return ErrnoError(error, path);
  if (static_cast<size_t>(size) > kMaxFile)
    return Error(Cause::kCorrupt, absl::StrCat(path, " is larger than 1 MiB"));
  content.resize(size);
  return content;
}

Status WriteFile(const std::string& path, const std::string& content, unsigned mode) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return ErrnoError(errno, temporary);
  const bool written = write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
                       fchmod(fd, mode) == 0 && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!written) return ErrnoError(error, temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, path);
  return OkStatus();
}

}  // namespace keyhold::app
