// Where a file system test works: a plain directory, or a store that a process of its own has mounted. Lives
// in a mount namespace of the test's, and goes with it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace keyhold::testing {

class Place {
 public:
  // `helper`: the program that mounts (tests/store/mount_main.cc), empty for a plain directory. `small`: on a
  // file system of 16 MiB. Aborts with a message where it cannot be made.
  Place(const std::string& helper, bool small, std::vector<std::string> helper_flags = {});
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  const std::string& dir() const { return dir_; }
  bool mounted() const { return !helper_.empty(); }

  // Unmounts and mounts again; of a plain directory nothing.
  void Remount();
  // Kills the process that serves the mount, at once, and mounts again.
  void KillAndRemount();
  void Kill();

 private:
  void Mount();
  void Unmount();

  const std::string helper_;
  const bool small_;
  const std::vector<std::string> flags_;
  std::string base_;   // with all of it
  std::string store_;  // ciphertext
  std::string dir_;
  pid_t pid_ = -1;
};

// To be called once, first: a mount namespace of this process's own.
void EnterOwnNamespace();

// Runs `program`; its exit code.
int RunProgram(const std::vector<std::string>& program);

}  // namespace keyhold::testing
