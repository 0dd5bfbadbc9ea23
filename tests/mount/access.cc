// Who may do what, and who must wait: permissions as another user, modes, locks.
#include <sys/file.h>
#include <sys/wait.h>

#include "tests/mount/fixture.h"

namespace keyhold::testing {
namespace {

TEST_F(Posix, AnotherUserIsHeldToTheModes) {
  Put("private", "x");
  Put("readable", "x");
  ASSERT_SYS(chmod(In("private").c_str(), 0600));
  ASSERT_SYS(mkdir(In("closed").c_str(), 0700));
  Put("closed/f", "x");
  const auto opens = [&](const char* name, int flags) {
    return AsNobody([&] { return ErrnoOfCall(open(In(name).c_str(), flags)); });
  };
  EXPECT_EQ(opens("private", O_RDONLY), EACCES);
  EXPECT_EQ(opens("readable", O_RDONLY), 0);
  EXPECT_EQ(opens("readable", O_RDWR), EACCES);
  EXPECT_EQ(opens("closed/f", O_RDONLY), EACCES);
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(unlink(In("readable").c_str())); }), EACCES);
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(mkdir(In("new").c_str(), 0755)); }), EACCES);
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(chmod(In("readable").c_str(), 0777)); }), EPERM);
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(chown(In("readable").c_str(), kNobody, -1)); }), EPERM);
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(access(In("private").c_str(), R_OK)); }), EACCES);
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(truncate(In("readable").c_str(), 0)); }), EACCES);
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(utimensat(AT_FDCWD, In("readable").c_str(), nullptr, 0)); }),
            EACCES);
  ASSERT_SYS(chown(In("private").c_str(), kNobody, kNobody));
  EXPECT_EQ(opens("private", O_RDWR), 0);
  ThePlace()->Remount();
  EXPECT_EQ(Stat("private").st_uid, kNobody);
  EXPECT_EQ(Stat("private").st_mode & 07777, 0600U);
  EXPECT_EQ(opens("readable", O_RDWR), EACCES);
}

TEST_F(Posix, WhatAUserMakesIsTheirs) {
  ASSERT_SYS(chmod(dir_.c_str(), 0777));
  EXPECT_EQ(AsNobody([&] {
              umask(027);
              const int fd = open(In("f").c_str(), O_CREAT | O_RDWR, 0666);
              if (fd < 0 || mkdir(In("d").c_str(), 0777) != 0 || symlink("x", In("l").c_str()) != 0)
                return errno;
              return ErrnoOfCall(write(fd, "x", 1));
            }),
            0);
  for (const char* name : {"f", "d", "l"}) {
    EXPECT_EQ(Stat(name).st_uid, kNobody) << name;
    EXPECT_EQ(Stat(name).st_gid, kNobody) << name;
  }
  EXPECT_EQ(Stat("f").st_mode & 07777, 0640U);
  EXPECT_EQ(Stat("d").st_mode & 07777, 0750U);
}

// A file made read-only by who made it is still written through the descriptor that it was made with.
TEST_F(Posix, AModeThatForbidsWritingDoesNotCloseDescriptors) {
  ASSERT_SYS(chmod(dir_.c_str(), 0777));
  EXPECT_EQ(AsNobody([&] {
              const int fd = open(In("f").c_str(), O_CREAT | O_RDWR, 0400);
              if (fd < 0) return errno;
              if (write(fd, "written", 7) != 7) return errno;
              return ErrnoOfCall(fsync(fd));
            }),
            0);
  EXPECT_EQ(Get("f"), "written");
  ASSERT_SYS(chmod(In("f").c_str(), 0000));
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(open(In("f").c_str(), O_RDONLY)); }), EACCES);
}

TEST_F(Posix, StickyFoldersKeepTheirFiles) {
  ASSERT_SYS(chmod(dir_.c_str(), 01777));
  Put("mine", "x");
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(unlink(In("mine").c_str())); }), EPERM);
  EXPECT_EQ(AsNobody([&] { return ErrnoOfCall(rename(In("mine").c_str(), In("x").c_str())); }), EPERM);
  EXPECT_EQ(AsNobody([&] {
              if (mknod(In("theirs").c_str(), S_IFREG | 0600, 0) != 0) return errno;
              return ErrnoOfCall(unlink(In("theirs").c_str()));
            }),
            0);
}

TEST_F(Posix, GroupsAreInherited) {
  ASSERT_SYS(chown(dir_.c_str(), -1, 4'242));
  ASSERT_SYS(chmod(dir_.c_str(), 02777));
  Put("f", "x");
  ASSERT_SYS(mkdir(In("d").c_str(), 0755));
  EXPECT_EQ(Stat("f").st_gid, 4'242U);
  EXPECT_EQ(Stat("d").st_gid, 4'242U);
  EXPECT_EQ(Stat("d").st_mode & 07777, 02755U);
}

TEST_F(Posix, WritingTakesTheSetIdBitsAway) {
  Put("f", "x");
  const auto mode_after = [&](const std::function<int()>& work) {
    EXPECT_SYS(chown(In("f").c_str(), 0, 0));
    EXPECT_SYS(chmod(In("f").c_str(), 06777));
    EXPECT_EQ(AsNobody(work), 0);
    return Stat("f").st_mode & 07777;
  };
  EXPECT_EQ(mode_after([&] { return 0; }), 06777U);
  EXPECT_EQ(mode_after([&] {
              const int fd = open(In("f").c_str(), O_WRONLY);
              return ErrnoOfCall(write(fd, "y", 1));
            }),
            0777U);
  EXPECT_EQ(mode_after([&] { return ErrnoOfCall(truncate(In("f").c_str(), 0)); }), 0777U);
  ASSERT_SYS(chmod(In("f").c_str(), 06777));
  ASSERT_SYS(chown(In("f").c_str(), kNobody, kNobody));
  EXPECT_EQ(Stat("f").st_mode & 07777, 0777U);
}

int LockOf(int fd, int command, short type, off_t start, off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return fcntl(fd, command, &lock);
}

TEST_F(Posix, RecordLocksAreBetweenProcesses) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  ASSERT_SYS(LockOf(fd, F_SETLK, F_WRLCK, 100, 50));
  const auto other = [&](short type, off_t start, off_t length) {
    return InChild([&] {
      const int own = open(In("f").c_str(), O_RDWR);
      return ErrnoOfCall(LockOf(own, F_SETLK, type, start, length));
    });
  };
  EXPECT_EQ(other(F_WRLCK, 120, 1), EAGAIN);
  EXPECT_EQ(other(F_RDLCK, 120, 1), EAGAIN);
  EXPECT_EQ(other(F_WRLCK, 150, 10), 0);
  const pid_t parent = getpid();
  EXPECT_EQ(InChild([&] {
              const int own = open(In("f").c_str(), O_RDWR);
              struct flock lock {};
              lock.l_type = F_WRLCK;
              lock.l_whence = SEEK_SET;
              if (fcntl(own, F_GETLK, &lock) != 0) return errno;
              return lock.l_type == F_WRLCK && lock.l_pid == parent && lock.l_start == 100 ? 0 : 1;
            }),
            0);
  ASSERT_SYS(LockOf(fd, F_SETLK, F_RDLCK, 100, 50));
  EXPECT_EQ(other(F_RDLCK, 120, 1), 0);
  ASSERT_SYS(LockOf(fd, F_SETLK, F_UNLCK, 0, 0));
  EXPECT_EQ(other(F_WRLCK, 0, 0), 0);
}

TEST_F(Posix, RecordLocksGoWithTheirProcess) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  EXPECT_EQ(InChild([&] {
              const int own = open(In("f").c_str(), O_RDWR);
              return ErrnoOfCall(LockOf(own, F_SETLK, F_WRLCK, 0, 0));
            }),
            0);
  EXPECT_SYS(LockOf(fd, F_SETLK, F_WRLCK, 0, 0));
}

TEST_F(Posix, DescriptionLocksAreBetweenDescriptors) {
  const Fd one(In("f"), O_CREAT | O_RDWR);
  Fd two(In("f"), O_RDWR);
  ASSERT_SYS(LockOf(one, F_OFD_SETLK, F_WRLCK, 0, 10));
  EXPECT_ERRNO(LockOf(two, F_OFD_SETLK, F_WRLCK, 5, 10), EAGAIN);
  EXPECT_SYS(LockOf(two, F_OFD_SETLK, F_WRLCK, 10, 10));
  ASSERT_SYS(LockOf(one, F_OFD_SETLK, F_UNLCK, 0, 0));
  EXPECT_SYS(LockOf(two, F_OFD_SETLK, F_WRLCK, 5, 10));
  two.Close();
  EXPECT_SYS(LockOf(one, F_OFD_SETLK, F_WRLCK, 0, 0));
}

TEST_F(Posix, WholeFileLocks) {
  const Fd one(In("f"), O_CREAT | O_RDWR);
  Fd two(In("f"), O_RDONLY);
  ASSERT_SYS(flock(one, LOCK_EX));
  EXPECT_ERRNO(flock(two, LOCK_SH | LOCK_NB), EWOULDBLOCK);
  EXPECT_EQ(InChild([&] {
              const int own = open(In("f").c_str(), O_RDONLY);
              return ErrnoOfCall(flock(own, LOCK_EX | LOCK_NB));
            }),
            EWOULDBLOCK);
  ASSERT_SYS(flock(one, LOCK_SH));
  EXPECT_SYS(flock(two, LOCK_SH | LOCK_NB));
  EXPECT_ERRNO(flock(one, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  two.Close();
  EXPECT_SYS(flock(one, LOCK_EX | LOCK_NB));
}

TEST_F(Posix, AWaiterGetsTheLockWhenTheHolderEnds) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  int held[2], end[2];
  ASSERT_SYS(pipe(held));
  ASSERT_SYS(pipe(end));
  const pid_t holder = fork();
  if (holder == 0) {
    const int own = open(In("f").c_str(), O_RDWR);
    char byte = 'h';
    const bool good = LockOf(own, F_SETLK, F_WRLCK, 0, 0) == 0 && write(held[1], &byte, 1) == 1;
    _exit(good && read(end[0], &byte, 1) == 1 ? 0 : 1);
  }
  char byte;
  ASSERT_EQ(read(held[0], &byte, 1), 1);
  EXPECT_ERRNO(LockOf(fd, F_SETLK, F_WRLCK, 0, 0), EAGAIN);
  ASSERT_EQ(write(end[1], "e", 1), 1);
  EXPECT_SYS(LockOf(fd, F_SETLKW, F_WRLCK, 0, 0));
  int status = 1;
  EXPECT_EQ(waitpid(holder, &status, 0), holder);
  EXPECT_EQ(status, 0);
  for (const int descriptor : {held[0], held[1], end[0], end[1]}) close(descriptor);
}

}  // namespace
}  // namespace keyhold::testing
