#include "tests/api/prism.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace keyhold::api {
namespace {

constexpr char kPackage[] = "@stoplight/prism-cli@5";
constexpr std::chrono::seconds kStartTimeout{60};

std::string TextOf(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

std::string CacheDirectory() {
  const std::string cache = TextOf("XDG_CACHE_HOME");
  if (!cache.empty()) return cache + "/keyhold/prism";
  const std::string home = TextOf("HOME");
  return (home.empty() ? "/tmp" : home + "/.cache") + "/keyhold/prism";
}

// With its output to `output`.
StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments, int output) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(output);
  if (error != 0) return ErrnoError(error, arguments[0]);
  return pid;
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

}  // namespace

StatusOr<std::string> FindPrism() {
  const std::string given = TextOf("KEYHOLD_PRISM");
  const std::string dir = given.empty() ? CacheDirectory() : given;
  const std::string program = dir + "/node_modules/.bin/prism";
  if (std::filesystem::exists(program)) return program;
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  const std::string log = dir + "/install.log";
  const auto npm = Spawn({"npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--silent", kPackage},
                         open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!npm.ok()) return Error(Cause::kUnavailable, "there is no npm to install Prism with");
  int status = 0;
  waitpid(*npm, &status, 0);
  if (status == 0 && std::filesystem::exists(program)) return program;
  return Error(Cause::kUnavailable,
               absl::StrCat("npm could not install Prism; ", dir, "/install.log says why"));
}

StatusOr<std::unique_ptr<Prism>> Prism::Start(const std::string& program, const std::string& document,
                                              int upstream) {
  const int port = FreePort();
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  const auto pid = Spawn({program, "proxy", document, absl::StrCat("http://127.0.0.1:", upstream), "--port",
                          absl::StrCat(port), "--host", "127.0.0.1"},
                         output[1]);
  if (!pid.ok()) {
    close(output[0]);
    return pid.status();
  }
  std::unique_ptr<Prism> prism(new Prism(*pid, output[0], port));
  const auto listening = prism->listening_.get_future();
  if (listening.wait_for(kStartTimeout) == std::future_status::ready) return prism;
  return Error(Cause::kUnavailable, "Prism does not start");
}

Prism::Prism(pid_t pid, int output, int port) : pid_(pid), port_(port) {
  reader_ = std::thread([this, output] {
    std::string seen;
    bool told = false;
    char buffer[4096];
    for (ssize_t n; (n = read(output, buffer, sizeof buffer)) > 0;) {
      if (!told) seen.append(buffer, n);
      if (!told && seen.find("listening on") != std::string::npos) {
        listening_.set_value();
        told = true;
      }
    }
    close(output);
  });
}

Prism::~Prism() {
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  reader_.join();
}

}  // namespace keyhold::api
