#include <dirent.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <map>

#include "tests/mount/random_jobs.h"

namespace keyhold::testing {
namespace {

using Kind = NamesModel::Kind;
using Operation = NamesModel::Operation;

constexpr int kDeepest = 3;
constexpr char kAttribute[] = "user.number";

// One whole file, durable, takes the name: what was killed before is not to be seen.
int Put(const std::string& root, const Operation& operation) {
  const std::string fresh = root + ".fresh";
  const std::string text = std::to_string(operation.number);
  const int fd = open(fresh.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
  if (fd < 0) return -1;
  const bool written =
      pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  errno = error;
  return written ? rename(fresh.c_str(), (root + operation.from).c_str()) : -1;
}

int DoOne(const std::string& root, const Operation& operation) {
  const std::string from = root + operation.from;
  const std::string to = root + operation.to;
  const std::string text = std::to_string(operation.number);
  constexpr unsigned kFlags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
  switch (operation.kind) {
    case Kind::kPut:
      return Put(root, operation);
    case Kind::kMakeDirectory:
      return mkdir(from.c_str(), 0755);
    case Kind::kRemoveDirectory:
      return rmdir(from.c_str());
    case Kind::kUnlink:
      return unlink(from.c_str());
    case Kind::kRename:
      return renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), kFlags[operation.number % 5]);
    case Kind::kLink:
      return link(from.c_str(), to.c_str());
    case Kind::kSymlink:
      return symlink(text.c_str(), from.c_str());
    case Kind::kMode:
      return fchmodat(AT_FDCWD, from.c_str(), 0400 | operation.number % 0400, 0);
    case Kind::kAttribute:
      return lsetxattr(from.c_str(), kAttribute, text.data(), text.size(), 0);
  }
  return -1;
}

// errno, 0 when it was done.
int Do(const std::string& root, const Operation& operation) {
  return DoOne(root, operation) == 0 ? 0 : errno;
}

std::string ContentOf(const std::string& path) {
  char text[64] = {};
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) Fail("reading " + path);
  close(fd);
  return text;
}

std::string TargetOf(const std::string& path) {
  char text[PATH_MAX] = {};
  if (readlink(path.c_str(), text, sizeof text - 1) < 0) Fail("reading the link " + path);
  return text;
}

// What there is below a directory, a line for each name.
class Description {
 public:
  explicit Description(const std::string& root) : root_(root) { Walk(""); }
  const std::map<std::string, std::string>& lines() const { return lines_; }

 private:
  void Walk(const std::string& below) {
    DIR* directory = opendir((root_ + below).c_str());
    if (directory == nullptr) Fail("listing " + root_ + below);
    std::vector<std::string> names;
    while (const dirent* entry = readdir(directory)) names.emplace_back(entry->d_name);
    closedir(directory);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      if (name != "." && name != "..") Describe(below + "/" + name);
    }
  }

  void Describe(const std::string& name) {
    const std::string path = root_ + name;
    struct stat st;
    if (lstat(path.c_str(), &st) != 0) Fail("looking at " + path);
    std::string line = std::to_string(st.st_mode);
    char value[64] = {};
    if (!S_ISLNK(st.st_mode) && lgetxattr(path.c_str(), kAttribute, value, sizeof value - 1) >= 0) {
      line += std::string(" attribute ") + value;
    }
    if (S_ISLNK(st.st_mode)) line += " target " + TargetOf(path);
    if (S_ISREG(st.st_mode)) {
      const std::string& first = first_.try_emplace(st.st_ino, name).first->second;
      line += " links " + std::to_string(st.st_nlink) + " as " + first + " content " + ContentOf(path);
    }
    lines_[name] = line;
    if (S_ISDIR(st.st_mode)) Walk(name);
  }

  const std::string root_;
  std::map<ino_t, std::string> first_;  // the first name of each file
  std::map<std::string, std::string> lines_;
};

class NamesJob final : public Job {
 public:
  NamesJob(const std::string& dir, const std::string& shadow, NamesModel& model, uint64_t seed)
      : Job(dir, seed), root_(dir + "/names"), shadow_(shadow + "/names"), model_(model) {}

  bool Step() override {
    model_.last = Choose();
    model_.pending = true;
    const int found = Do(root_, model_.last);
    if ((found == ENOTCONN || found == ECONNABORTED || found == EIO)) {
      errno = found;
      return !Gone(NameOf(model_.last));
    }
    const int expected = Do(shadow_, model_.last);
    if (found != expected) {
      errno = found;
      Fail(NameOf(model_.last) + " should have been answered with " + std::strerror(expected));
    }
    model_.pending = false;
    return true;
  }

  // What was under way when the mount was killed may be done.
  void Check(bool killed) override {
    for (const std::string& root : {root_, shadow_}) {
      if (mkdir(root.c_str(), 0755) != 0 && errno != EEXIST) Fail("making " + root);
    }
    const auto found = Description(root_).lines();
    const std::string under_way = killed && model_.pending ? ", while " + NameOf(model_.last) : "";
    if (killed && model_.pending && found != Description(shadow_).lines()) Do(shadow_, model_.last);
    model_.pending = false;
    const auto expected = Description(shadow_).lines();
    if (found == expected) return;
    for (const auto& [name, line] : expected) {
      const auto there = found.find(name);
      if (there == found.end()) Fail(root_ + name + " is not there: " + line + under_way);
      if (there->second != line) {
        Fail(root_ + name + " is " + there->second + ", and should be " + line + under_way);
      }
    }
    Fail(root_ + " has more than it should" + under_way);
  }

 private:
  // Few names, so that they meet; some are longer than what a sealed one has room for.
  std::string PickPath() {
    std::string path;
    for (size_t depth = 1 + Pick(kDeepest); depth > 0; --depth) {
      const size_t name = Pick(5);
      path += "/" + std::string(name == 0 ? 200 : 1, static_cast<char>('a' + name));
    }
    return path;
  }

  Operation Choose() {
    constexpr Kind kKinds[] = {
        Kind::kPut,    Kind::kPut,     Kind::kPut,    Kind::kMakeDirectory, Kind::kMakeDirectory,
        Kind::kUnlink, Kind::kRename,  Kind::kRename, Kind::kRename,        Kind::kRemoveDirectory,
        Kind::kLink,   Kind::kSymlink, Kind::kMode,   Kind::kAttribute};
    Operation operation;
    operation.kind = kKinds[Pick(std::size(kKinds))];
    operation.number = static_cast<unsigned>(Pick(1'000'000));
    PickPath().copy(operation.from, sizeof operation.from - 1);
    PickPath().copy(operation.to, sizeof operation.to - 1);
    return operation;
  }

  static std::string NameOf(const Operation& operation) {
    return "operation " + std::to_string(static_cast<int>(operation.kind)) + " on " + operation.from +
           " and " + operation.to + " with " + std::to_string(operation.number);
  }

  const std::string root_, shadow_;
  NamesModel& model_;
};

}  // namespace

std::unique_ptr<Job> NewNamesJob(const std::string& dir, const std::string& shadow, NamesModel& model,
                                 uint64_t seed) {
  return std::make_unique<NamesJob>(dir, shadow, model, seed);
}

}  // namespace keyhold::testing
