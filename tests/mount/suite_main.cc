// The POSIX suite: the same tests, with the same expectations, on a plain directory and on a mounted store.
//   posix_suite                            a plain directory below /var/tmp
//   posix_suite HELPER [HELPER FLAGS...]   a store, mounted by HELPER
#include <dirent.h>
#include <grp.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/mount/fixture.h"

namespace keyhold::testing {

Given& TheGiven() {
  static Given given;
  return given;
}

Place*& ThePlace() {
  static Place* place = nullptr;
  return place;
}

void Posix::SetUp() {
  dir_ = ThePlace()->dir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  ASSERT_SYS(mkdir(dir_.c_str(), 0755));
}

void Posix::Put(const std::string& name, const std::string& content) const {
  std::ofstream(In(name), std::ios::binary | std::ios::trunc) << content;
}

std::string Posix::Get(const std::string& name) const {
  std::ifstream in(In(name), std::ios::binary);
  EXPECT_TRUE(in) << name;
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

struct stat Posix::Stat(const std::string& name) const {
  struct stat st {};
  EXPECT_SYS(lstat(In(name).c_str(), &st));
  return st;
}

std::vector<std::string> Posix::Names(const std::string& folder) const {
  std::vector<std::string> names;
  DIR* directory = opendir(In(folder).c_str());
  EXPECT_NE(directory, nullptr);
  while (const dirent* entry = readdir(directory)) names.push_back(entry->d_name);
  closedir(directory);
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  std::sort(names.begin(), names.end());
  return names;
}

int InChild(const std::function<int()>& work) {
  const pid_t pid = fork();
  if (pid == 0) _exit(work());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int AsNobody(const std::function<int()>& work) {
  return InChild([&] {
    if (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0) return 255;
    return work();
  });
}

}  // namespace keyhold::testing

int main(int argc, char** argv) {
  using namespace keyhold::testing;
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1) TheGiven() = {argv[1], {argv + 2, argv + argc}};
  umask(022);
  EnterOwnNamespace();
  Place place(TheGiven().helper, false, TheGiven().helper_flags);
  ThePlace() = &place;
  return RUN_ALL_TESTS();
}
