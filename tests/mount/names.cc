// Names and directories: encodings, renames, links, listings while they change, extended attributes.
#include <dirent.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <cstring>
#include <map>
#include <set>

#include "tests/mount/fixture.h"

namespace keyhold::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(Posix, NamesOfAnyBytesAndOf255) {
  std::set<std::string> names = {"a",         "...", " ",   "-", "ünïcödé", "\xff\xfe\x80",
                                 "new\nline", "L.x", "N.x", "\\"};
  for (int byte = 1; byte < 256; ++byte) {
    if (byte != '/' && byte != '.') names.insert(std::string(1, static_cast<char>(byte)));
  }
  for (const size_t length : {15, 16, 17, 160, 175, 176, 177, 254, 255}) {
    names.insert(std::string(length, 'l'));
    names.insert(std::string(length, '\xc3'));
  }
  for (const std::string& name : names) {
    Put(name, name);
    ASSERT_EQ(Get(name), name);
  }
  ThePlace()->Remount();
  EXPECT_THAT(Names(), ::testing::ElementsAreArray(names));
  for (const std::string& name : names) EXPECT_EQ(Get(name), name);
  for (const std::string& name : names) EXPECT_SYS(unlink(In(name).c_str()));
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_SYS(rmdir(dir_.c_str()));
}

TEST_F(Posix, NamesThatAreTooLong) {
  const std::string name(256, 'x');
  EXPECT_ERRNO(open(In(name).c_str(), O_CREAT | O_RDWR, 0644), ENAMETOOLONG);
  EXPECT_ERRNO(mkdir(In(name).c_str(), 0755), ENAMETOOLONG);
  Put("f", "x");
  EXPECT_ERRNO(rename(In("f").c_str(), In(name).c_str()), ENAMETOOLONG);
  EXPECT_ERRNO(access(In(name).c_str(), F_OK), ENAMETOOLONG);
  EXPECT_EQ(Get("f"), "x");
}

TEST_F(Posix, LongNamesAreRenamedAndReplaced) {
  const std::string a(255, 'a'), b(240, 'b');
  Put(a, "a");
  Put(b, "b");
  ASSERT_SYS(rename(In(a).c_str(), In(b).c_str()));
  EXPECT_THAT(Names(), ElementsAre(b));
  ASSERT_SYS(rename(In(b).c_str(), In("short").c_str()));
  ASSERT_SYS(rename(In("short").c_str(), In(a).c_str()));
  ASSERT_SYS(mkdir(In(b).c_str(), 0755));
  ASSERT_SYS(rename(In(a).c_str(), In(b + "/" + a).c_str()));
  EXPECT_THAT(Names(), ElementsAre(b));
  EXPECT_EQ(Get(b + "/" + a), "a");
  EXPECT_ERRNO(rmdir(In(b).c_str()), ENOTEMPTY);
  ASSERT_SYS(unlink(In(b + "/" + a).c_str()));
  ASSERT_SYS(rmdir(In(b).c_str()));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(Posix, OpenFlagsMeanWhatTheySay) {
  Put("f", "x");
  ASSERT_SYS(symlink("f", In("link").c_str()));
  EXPECT_ERRNO(open(In("f").c_str(), O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
  EXPECT_ERRNO(open(In("link").c_str(), O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
  EXPECT_ERRNO(open(In("link").c_str(), O_RDONLY | O_NOFOLLOW), ELOOP);
  EXPECT_ERRNO(open(In("f").c_str(), O_RDONLY | O_DIRECTORY), ENOTDIR);
  EXPECT_ERRNO(open(dir_.c_str(), O_WRONLY), EISDIR);
  EXPECT_ERRNO(open(In("f/x").c_str(), O_RDONLY), ENOTDIR);
  EXPECT_ERRNO(open(In("absent").c_str(), O_RDONLY), ENOENT);
  EXPECT_ERRNO(open(In("absent/x").c_str(), O_CREAT | O_RDWR, 0644), ENOENT);
  const Fd path(In("f"), O_PATH);
  EXPECT_ERRNO(read(path, nullptr, 0), EBADF);
  const Fd writable(In("f"), O_WRONLY);
  char byte;
  EXPECT_ERRNO(read(writable, &byte, 1), EBADF);
}

TEST_F(Posix, ANameThatWasLookedForInVainCanBeMade) {
  EXPECT_ERRNO(access(In("f").c_str(), F_OK), ENOENT);
  Put("f", "x");
  EXPECT_SYS(access(In("f").c_str(), F_OK));
  ASSERT_SYS(unlink(In("f").c_str()));
  EXPECT_ERRNO(access(In("f").c_str(), F_OK), ENOENT);
  ASSERT_SYS(mkdir(In("f").c_str(), 0755));
  EXPECT_TRUE(S_ISDIR(Stat("f").st_mode));
}

TEST_F(Posix, RenamesObeyTheirKinds) {
  Put("f", "f");
  ASSERT_SYS(mkdir(In("d").c_str(), 0755));
  ASSERT_SYS(mkdir(In("e").c_str(), 0755));
  Put("e/x", "x");
  EXPECT_ERRNO(rename(In("f").c_str(), In("d").c_str()), EISDIR);
  EXPECT_ERRNO(rename(In("d").c_str(), In("f").c_str()), ENOTDIR);
  EXPECT_ERRNO(rename(In("d").c_str(), In("e").c_str()), ENOTEMPTY);
  EXPECT_ERRNO(rename(In("e").c_str(), In("e/below").c_str()), EINVAL);
  EXPECT_ERRNO(rename(In("absent").c_str(), In("f").c_str()), ENOENT);
  ASSERT_SYS(rename(In("e").c_str(), In("d").c_str()));
  EXPECT_EQ(Get("d/x"), "x");
  ASSERT_SYS(rename(In("f").c_str(), In("f").c_str()));
  EXPECT_THAT(Names(), ElementsAre("d", "f"));
  EXPECT_ERRNO(rmdir(In("d").c_str()), ENOTEMPTY);
  EXPECT_ERRNO(rmdir(In("f").c_str()), ENOTDIR);
  EXPECT_ERRNO(unlink(In("d").c_str()), EISDIR);
}

TEST_F(Posix, RenameFlags) {
  Put("a", "a");
  Put("b", "b");
  ASSERT_SYS(mkdir(In("d").c_str(), 0755));
  Put("d/x", "x");
  const auto renamed = [&](const char* from, const char* to, unsigned flags) {
    return renameat2(AT_FDCWD, In(from).c_str(), AT_FDCWD, In(to).c_str(), flags);
  };
  EXPECT_ERRNO(renamed("a", "b", RENAME_NOREPLACE), EEXIST);
  ASSERT_SYS(renamed("a", "c", RENAME_NOREPLACE));
  ASSERT_SYS(renamed("b", "c", RENAME_EXCHANGE));
  EXPECT_EQ(Get("b"), "a");
  EXPECT_EQ(Get("c"), "b");
  ASSERT_SYS(renamed("b", "d", RENAME_EXCHANGE));
  EXPECT_EQ(Get("d"), "a");
  EXPECT_EQ(Get("b/x"), "x");
  EXPECT_ERRNO(renamed("b", "absent", RENAME_EXCHANGE), ENOENT);
  EXPECT_ERRNO(renamed("b", "c", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
  ThePlace()->Remount();
  EXPECT_EQ(Get("b/x"), "x");
  EXPECT_EQ(Get("d"), "a");
}

TEST_F(Posix, HardLinksAreOneFile) {
  Put("a", "content");
  ASSERT_SYS(link(In("a").c_str(), In("b").c_str()));
  EXPECT_EQ(Stat("a").st_nlink, 2U);
  EXPECT_EQ(Stat("a").st_ino, Stat("b").st_ino);
  {
    const Fd fd(In("b"), O_WRONLY | O_APPEND);
    ASSERT_EQ(write(fd, "!", 1), 1);
  }
  EXPECT_EQ(Get("a"), "content!");
  ASSERT_SYS(chmod(In("a").c_str(), 0600));
  EXPECT_EQ(Stat("b").st_mode & 07777, 0600U);
  ThePlace()->Remount();
  EXPECT_EQ(Stat("a").st_ino, Stat("b").st_ino);
  ASSERT_SYS(unlink(In("a").c_str()));
  EXPECT_EQ(Stat("b").st_nlink, 1U);
  EXPECT_EQ(Get("b"), "content!");
  EXPECT_ERRNO(link(In("b").c_str(), In("b").c_str()), EEXIST);
  ASSERT_SYS(mkdir(In("d").c_str(), 0755));
  EXPECT_ERRNO(link(In("d").c_str(), In("e").c_str()), EPERM);
  ASSERT_SYS(link(In("b").c_str(), In("c").c_str()));
  ASSERT_SYS(rename(In("b").c_str(), In("c").c_str()));  // of one file: nothing happens
  EXPECT_THAT(Names(), ElementsAre("b", "c", "d"));
}

TEST_F(Posix, SymbolicLinks) {
  const std::string target(1'000, 't');
  ASSERT_SYS(symlink(target.c_str(), In("long").c_str()));
  ASSERT_SYS(symlink("absent", In("dangling").c_str()));
  ASSERT_SYS(symlink("loop", In("loop").c_str()));
  EXPECT_EQ(Stat("long").st_size, 1'000);
  EXPECT_EQ(Stat("long").st_mode, S_IFLNK | 0777U);
  char buffer[2'000];
  EXPECT_EQ(readlink(In("long").c_str(), buffer, sizeof buffer), 1'000);
  EXPECT_EQ(readlink(In("long").c_str(), buffer, 10), 10);
  EXPECT_ERRNO(open(In("dangling").c_str(), O_RDONLY), ENOENT);
  EXPECT_ERRNO(open(In("loop").c_str(), O_RDONLY), ELOOP);
  EXPECT_ERRNO(symlink("x", In("loop").c_str()), EEXIST);
  ASSERT_SYS(lchown(In("long").c_str(), kNobody, kNobody));
  const timespec times[2] = {{1'600'000'000, 1}, {1'600'000'000, 2}};
  ASSERT_SYS(utimensat(AT_FDCWD, In("long").c_str(), times, AT_SYMLINK_NOFOLLOW));
  ThePlace()->Remount();
  EXPECT_EQ(Stat("long").st_uid, kNobody);
  EXPECT_EQ(Stat("long").st_mtim.tv_nsec, 2);
  EXPECT_EQ(readlink(In("long").c_str(), buffer, sizeof buffer), 1'000);
  EXPECT_EQ(std::string(buffer, 1'000), target);
  Put("absent", "there now");
  EXPECT_EQ(Get("dangling"), "there now");
  EXPECT_ERRNO(readlink(In("absent").c_str(), buffer, sizeof buffer), EINVAL);
}

TEST_F(Posix, SpecialFiles) {
  ASSERT_SYS(mkfifo(In("fifo").c_str(), 0600));
  ASSERT_SYS(mknod(In("null").c_str(), S_IFCHR | 0666, makedev(1, 3)));
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{AF_UNIX, {}};
  std::strncpy(address.sun_path, In("socket").c_str(), sizeof address.sun_path - 1);
  ASSERT_SYS(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address));
  ASSERT_SYS(listen(listener, 1));
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_SYS(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address));
  close(client);
  close(listener);
  EXPECT_TRUE(S_ISFIFO(Stat("fifo").st_mode));
  EXPECT_TRUE(S_ISSOCK(Stat("socket").st_mode));
  EXPECT_TRUE(S_ISCHR(Stat("null").st_mode));
  EXPECT_EQ(Stat("null").st_rdev, makedev(1, 3));
  const Fd reader(In("fifo"), O_RDONLY | O_NONBLOCK);
  const Fd writer(In("fifo"), O_WRONLY);
  EXPECT_EQ(write(writer, "through", 7), 7);
  char buffer[10];
  EXPECT_EQ(read(reader, buffer, 10), 7);
  ASSERT_SYS(rename(In("fifo").c_str(), In("pipe").c_str()));
  ASSERT_SYS(unlink(In("pipe").c_str()));
}

TEST_F(Posix, AListingWhileItChangesHasWhatStays) {
  constexpr int kEntries = 3'000;
  for (int i = 0; i < kEntries; ++i) Put("stay" + std::to_string(i), "");
  for (int i = 0; i < kEntries; ++i) Put("go" + std::to_string(i), "");
  DIR* directory = opendir(dir_.c_str());
  ASSERT_NE(directory, nullptr);
  std::map<std::string, int> seen;
  int steps = 0;
  while (const dirent* entry = readdir(directory)) {
    ++seen[entry->d_name];
    if (steps < kEntries) {
      EXPECT_SYS(unlink(In("go" + std::to_string(steps)).c_str()));
      Put("come" + std::to_string(steps), "");
    }
    ++steps;
  }
  for (int i = 0; i < kEntries; ++i) EXPECT_EQ(seen["stay" + std::to_string(i)], 1) << i;
  for (const auto& [name, times] : seen) EXPECT_EQ(times, 1) << name;
  rewinddir(directory);
  std::set<std::string> again;
  while (const dirent* entry = readdir(directory)) again.insert(entry->d_name);
  closedir(directory);
  EXPECT_EQ(again.size(), 2UL * kEntries + 2);
  EXPECT_FALSE(again.contains("go0"));
  EXPECT_TRUE(again.contains("come0"));
}

TEST_F(Posix, AListingGoesOnFromAPlace) {
  for (int i = 0; i < 500; ++i) Put(std::to_string(i), "");
  DIR* directory = opendir(dir_.c_str());
  std::vector<std::pair<long, std::string>> all;
  while (true) {
    const long place = telldir(directory);
    const dirent* entry = readdir(directory);
    if (entry == nullptr) break;
    all.emplace_back(place, entry->d_name);
  }
  ASSERT_EQ(all.size(), 502U);
  for (const size_t i : {400UL, 3UL, 250UL, 0UL, 501UL}) {
    seekdir(directory, all[i].first);
    EXPECT_EQ(readdir(directory)->d_name, all[i].second);
  }
  closedir(directory);
}

TEST_F(Posix, ListingsTellKindAndNumber) {
  Put("file", "");
  ASSERT_SYS(mkdir(In("folder").c_str(), 0755));
  ASSERT_SYS(symlink("x", In("link").c_str()));
  DIR* directory = opendir(dir_.c_str());
  std::map<std::string, int> kinds;
  while (const dirent* entry = readdir(directory)) {
    kinds[entry->d_name] = entry->d_type;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") {
      EXPECT_EQ(entry->d_ino, Stat(name).st_ino);
    }
  }
  closedir(directory);
  EXPECT_EQ(kinds["file"], DT_REG);
  EXPECT_EQ(kinds["folder"], DT_DIR);
  EXPECT_EQ(kinds["link"], DT_LNK);
}

TEST_F(Posix, ARemovedFolderIsEmptyAndTakesNothing) {
  ASSERT_SYS(mkdir(In("d").c_str(), 0755));
  const Fd folder(In("d"), O_RDONLY | O_DIRECTORY);
  ASSERT_SYS(rmdir(In("d").c_str()));
  EXPECT_ERRNO(openat(folder, "f", O_CREAT | O_RDWR, 0644), ENOENT);
  EXPECT_ERRNO(mkdirat(folder, "g", 0755), ENOENT);
  struct stat st;
  EXPECT_SYS(fstat(folder, &st));
}

TEST_F(Posix, ExtendedAttributes) {
  Put("f", "x");
  ASSERT_SYS(mkdir(In("d").c_str(), 0755));
  for (const char* name : {"f", "d"}) {
    const std::string path = In(name);
    const std::string value(2'000, '\0');
    ASSERT_SYS(setxattr(path.c_str(), "user.binary", value.data(), value.size(), 0));
    ASSERT_SYS(setxattr(path.c_str(), "user.colour", "blue", 4, XATTR_CREATE));
    EXPECT_ERRNO(setxattr(path.c_str(), "user.colour", "red", 3, XATTR_CREATE), EEXIST);
    EXPECT_ERRNO(setxattr(path.c_str(), "user.absent", "red", 3, XATTR_REPLACE), ENODATA);
    ASSERT_SYS(setxattr(path.c_str(), "user.colour", "red", 3, XATTR_REPLACE));
    ASSERT_SYS(setxattr(path.c_str(), "user.empty", "", 0, 0));
    ThePlace()->Remount();
    char buffer[4'000];
    EXPECT_EQ(getxattr(path.c_str(), "user.binary", nullptr, 0), 2'000);
    EXPECT_EQ(getxattr(path.c_str(), "user.binary", buffer, sizeof buffer), 2'000);
    EXPECT_EQ(std::string(buffer, 2'000), value);
    EXPECT_EQ(getxattr(path.c_str(), "user.colour", buffer, sizeof buffer), 3);
    EXPECT_EQ(getxattr(path.c_str(), "user.empty", buffer, sizeof buffer), 0);
    EXPECT_ERRNO(getxattr(path.c_str(), "user.colour", buffer, 2), ERANGE);
    EXPECT_ERRNO(getxattr(path.c_str(), "user.absent", buffer, 2), ENODATA);
    const ssize_t size = listxattr(path.c_str(), buffer, sizeof buffer);
    ASSERT_SYS(size);
    std::set<std::string> names;
    for (const char* at = buffer; at < buffer + size; at += std::strlen(at) + 1) names.insert(at);
    EXPECT_EQ(names, (std::set<std::string>{"user.binary", "user.colour", "user.empty"}));
    EXPECT_ERRNO(listxattr(path.c_str(), buffer, 5), ERANGE);
    ASSERT_SYS(removexattr(path.c_str(), "user.colour"));
    EXPECT_ERRNO(removexattr(path.c_str(), "user.colour"), ENODATA);
    EXPECT_ERRNO(getxattr(path.c_str(), "user.colour", buffer, 10), ENODATA);
  }
}

TEST_F(Posix, ManyEntries) {
  constexpr int kEntries = 20'000;
  for (int i = 0; i < kEntries; ++i) ASSERT_SYS(mknod(In(std::to_string(i)).c_str(), S_IFREG | 0644, 0));
  EXPECT_EQ(Names().size(), static_cast<size_t>(kEntries));
  ThePlace()->Remount();
  EXPECT_EQ(Names().size(), static_cast<size_t>(kEntries));
  for (int i = 0; i < kEntries; ++i) ASSERT_SYS(unlink(In(std::to_string(i)).c_str()));
  EXPECT_SYS(rmdir(dir_.c_str()));
}

}  // namespace
}  // namespace keyhold::testing
