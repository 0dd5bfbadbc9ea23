#include "tests/mount/place.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace keyhold::testing {
namespace {

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(errno));
  std::abort();
}

pid_t Spawn(const std::vector<std::string>& program, int output) {
  std::vector<char*> argv;
  for (const std::string& word : program) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) Die("fork");
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (output >= 0) dup2(output, STDOUT_FILENO);
  execvp(argv[0], argv.data());
  _exit(127);
}

int Await(pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) Die("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int RunProgram(const std::vector<std::string>& program) { return Await(Spawn(program, -1)); }

void EnterOwnNamespace() {
  if (unshare(CLONE_NEWNS) != 0) Die("a mount namespace of one's own (the tests run as root)");
  if (mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) Die("making the mounts private");
}

Place::Place(const std::string& helper, bool small, std::vector<std::string> helper_flags)
    : helper_(helper), small_(small), flags_(std::move(helper_flags)) {
  char path[] = "/var/tmp/keyhold-mount-XXXXXX";
  if (mkdtemp(path) == nullptr) Die(path);
  base_ = path;
  chmod(path, 0755);
  std::string below = base_;
  if (small_) {
    below = base_ + "/small";
    mkdir(below.c_str(), 0755);
    const std::string image = base_ + "/image";
    if (RunProgram({"truncate", "-s", "16M", image}) != 0 ||
        RunProgram({"mkfs.ext4", "-q", "-m", "0", image}) != 0 ||
        RunProgram({"mount", "-o", "loop", image, below}) != 0) {
      Die("a small file system");
    }
  }
  store_ = below + "/store";
  dir_ = helper_.empty() ? below + "/plain" : base_ + "/mnt";
  mkdir(store_.c_str(), 0755);
  mkdir(dir_.c_str(), 0755);
  Mount();
}

Place::~Place() {
  Unmount();
  if (small_) umount2((base_ + "/small").c_str(), 0);
  std::error_code ignored;
  std::filesystem::remove_all(base_, ignored);
}

void Place::Mount() {
  if (!mounted()) return;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) Die("pipe");
  std::vector<std::string> program = {helper_, store_, dir_};
  program.insert(program.end(), flags_.begin(), flags_.end());
  pid_ = Spawn(program, ends[1]);
  close(ends[1]);
  char line[16] = {};
  const ssize_t size = read(ends[0], line, sizeof line - 1);
  close(ends[0]);
  if (size < 5 || std::string(line).rfind("ready", 0) != 0) Die("the mount did not become ready");
}

void Place::Unmount() {
  if (pid_ < 0) return;
  if (umount2(dir_.c_str(), 0) != 0) Die("unmounting: is a file still open there?");
  if (const int code = Await(pid_); code != 0) std::fprintf(stderr, "the mount ended with %d\n", code);
  pid_ = -1;
}

void Place::Remount() {
  Unmount();
  Mount();
}

void Place::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  Await(pid_);
  pid_ = -1;
}

void Place::KillAndRemount() {
  if (!mounted()) return;
  Kill();
  umount2(dir_.c_str(), MNT_DETACH);
  Mount();
}

}  // namespace keyhold::testing
