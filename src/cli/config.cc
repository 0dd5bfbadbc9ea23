#include "cli/config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

constexpr char kCredentials[] = "/credentials.json";
constexpr char kProfiles[] = "/profiles.json";

Status Replace(const std::string& dir, const std::string& path, const std::string& content, mode_t mode) {
  std::error_code error;
  const bool existed = std::filesystem::exists(dir, error);
  std::filesystem::create_directories(dir, error);
  if (!existed) chmod(dir.c_str(), 0700);
  const std::string temporary = absl::StrCat(path, ".", getpid());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return ErrnoError(errno, temporary);
  const bool written = fchmod(fd, mode) == 0 &&
                       write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const int failure = errno;
  close(fd);
  if (!written) return ErrnoError(failure, temporary);
  return rename(temporary.c_str(), path.c_str()) == 0 ? OkStatus() : ErrnoError(errno, path);
}

// "default" of the file; null when there is no file.
StatusOr<json> DefaultOf(const std::string& path) {
  std::ifstream file(path);
  if (!file) return json();
  std::stringstream text;
  text << file.rdbuf();
  const json all = json::parse(text.str(), nullptr, false);
  if (!all.is_object() || !all.contains("default") || !all["default"].is_object()) {
    return Error(Cause::kCorrupt, absl::StrCat(path, " is damaged; `ccloud auth login` writes it anew"));
  }
  return all["default"];
}

}  // namespace

StatusOr<Endpoint> ReadLogin(const std::string& config_dir) {
  KEYHOLD_ASSIGN_OR_RETURN(const json credentials, DefaultOf(config_dir + kCredentials));
  KEYHOLD_ASSIGN_OR_RETURN(const json profile, DefaultOf(config_dir + kProfiles));
  const auto text = [](const json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  };
  return Endpoint{text(profile, "server"), text(credentials, "api_key")};
}

Status WriteLogin(const std::string& config_dir, const Endpoint& endpoint, const Organization& organization) {
  const json credentials = {{"default", {{"api_key", endpoint.api_key}}}};
  const json profiles = {{"default",
                          {{"server", endpoint.server},
                           {"organizationId", organization.id},
                           {"organizationLabel", organization.label},
                           {"organizationName", organization.name}}}};
  KEYHOLD_RETURN_IF_ERROR(Replace(config_dir, config_dir + kCredentials, credentials.dump(2) + "\n", 0600));
  return Replace(config_dir, config_dir + kProfiles, profiles.dump(2) + "\n", 0600);
}

StatusOr<bool> RemoveLogin(const std::string& config_dir) {
  bool removed = false;
  for (const char* name : {kCredentials, kProfiles}) {
    if (unlink((config_dir + name).c_str()) == 0) {
      removed = true;
    } else if (errno != ENOENT) {
      return ErrnoError(errno, config_dir + name);
    }
  }
  return removed;
}

StatusOr<std::string> KeepFile(const std::string& dir, const std::string& file, const std::string& content,
                               mode_t mode) {
  const std::string path = absl::StrCat(dir, "/", file);
  KEYHOLD_RETURN_IF_ERROR(Replace(dir, path, content, mode));
  return std::filesystem::absolute(path).string();
}

StatusOr<std::string> WriteCertificate(const std::string& dir, const std::string& file,
                                       const std::string& pem) {
  return KeepFile(dir, file, pem, 0644);
}

}  // namespace keyhold::cli
