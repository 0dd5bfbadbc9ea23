// Content: times, holes, direct and synchronous I/O, space, mappings.
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cstring>
#include <memory>

#include "tests/mount/fixture.h"

namespace keyhold::testing {
namespace {

constexpr size_t kMiB = 1 << 20;

std::string ReadAt(int fd, off_t offset, size_t size) {
  std::string out(size, '?');
  const ssize_t got = pread(fd, out.data(), size, offset);
  EXPECT_SYS(got);
  out.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return out;
}

void WriteAt(int fd, off_t offset, const std::string& text) {
  ASSERT_EQ(pwrite(fd, text.data(), text.size(), offset), static_cast<ssize_t>(text.size()))
      << strerror(errno);
}

TEST_F(Posix, TimesHaveNanosecondsAndStay) {
  Put("f", "x");
  const timespec times[2] = {{1'600'000'000, 123'456'789}, {1'700'000'000, 987'654'321}};
  ASSERT_SYS(utimensat(AT_FDCWD, In("f").c_str(), times, 0));
  ThePlace()->Remount();
  EXPECT_EQ(Stat("f").st_atim.tv_nsec, 123'456'789);
  EXPECT_EQ(Stat("f").st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(Stat("f").st_mtim.tv_nsec, 987'654'321);
  const timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  ASSERT_SYS(utimensat(AT_FDCWD, In("f").c_str(), omit, 0));
  EXPECT_EQ(Stat("f").st_atim.tv_nsec, 123'456'789);
  EXPECT_GT(Stat("f").st_mtim.tv_sec, 1'700'000'000);
}

TEST_F(Posix, WritingMovesTheTimes) {
  Put("f", "x");
  const timespec old[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  ASSERT_SYS(utimensat(AT_FDCWD, In("f").c_str(), old, 0));
  const timespec changed = Stat("f").st_ctim;
  {
    const Fd fd(In("f"), O_WRONLY);
    WriteAt(fd, 0, "y");
  }
  EXPECT_GT(Stat("f").st_mtim.tv_sec, 1'600'000'000);
  ASSERT_SYS(utimensat(AT_FDCWD, In("f").c_str(), old, 0));
  ASSERT_SYS(truncate(In("f").c_str(), 100));
  EXPECT_GT(Stat("f").st_mtim.tv_sec, 1'600'000'000);
  const timespec later = Stat("f").st_ctim;
  EXPECT_TRUE(later.tv_sec > changed.tv_sec ||
              (later.tv_sec == changed.tv_sec && later.tv_nsec > changed.tv_nsec));
  ThePlace()->Remount();
  EXPECT_GT(Stat("f").st_mtim.tv_sec, 1'600'000'000);
}

// A time set through a descriptor after a write that the kernel still holds back is the file's time.
TEST_F(Posix, ATimeSetAfterAWriteStays) {
  const timespec old[2] = {{1'600'000'000, 5}, {1'600'000'000, 7}};
  {
    const Fd fd(In("f"), O_CREAT | O_RDWR);
    WriteAt(fd, 0, std::string(kMiB, 'x'));
    ASSERT_SYS(futimens(fd, old));
  }
  EXPECT_EQ(Stat("f").st_mtim.tv_sec, 1'600'000'000);
  ThePlace()->Remount();
  EXPECT_EQ(Stat("f").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(Stat("f").st_mtim.tv_nsec, 7);
}

TEST_F(Posix, AFolderMovesWithItsEntries) {
  ASSERT_SYS(mkdir(In("d").c_str(), 0755));
  const timespec old[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  ASSERT_SYS(utimensat(AT_FDCWD, In("d").c_str(), old, 0));
  Put("d/f", "x");
  EXPECT_GT(Stat("d").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(Stat("d").st_nlink, 2U);
  ASSERT_SYS(mkdir(In("d/e").c_str(), 0755));
  EXPECT_EQ(Stat("d").st_nlink, 3U);
  ASSERT_SYS(utimensat(AT_FDCWD, In("d").c_str(), old, 0));
  ASSERT_SYS(unlink(In("d/f").c_str()));
  EXPECT_GT(Stat("d").st_mtim.tv_sec, 1'600'000'000);
}

TEST_F(Posix, HolesAreFoundAndReadAsZeroes) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  WriteAt(fd, 4 * kMiB, "data");
  // Before anything is written back.
  const off_t data = lseek(fd, 0, SEEK_DATA);
  EXPECT_GT(data, static_cast<off_t>(4 * kMiB - 8192));
  EXPECT_LE(data, static_cast<off_t>(4 * kMiB));
  ASSERT_SYS(fsync(fd));
  EXPECT_GT(lseek(fd, 0, SEEK_DATA), static_cast<off_t>(4 * kMiB - 8192));
  EXPECT_EQ(lseek(fd, 0, SEEK_HOLE), 0);
  EXPECT_EQ(lseek(fd, 4 * kMiB, SEEK_DATA), static_cast<off_t>(4 * kMiB));
  EXPECT_EQ(lseek(fd, 4 * kMiB, SEEK_HOLE), static_cast<off_t>(4 * kMiB + 4));
  EXPECT_ERRNO(lseek(fd, 4 * kMiB + 4, SEEK_DATA), ENXIO);
  EXPECT_EQ(ReadAt(fd, kMiB, 100), std::string(100, '\0'));
  EXPECT_LT(Stat("f").st_blocks, 1024);
}

TEST_F(Posix, DataThatIsNotWrittenBackIsNoHole) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  ASSERT_SYS(ftruncate(fd, 8 * kMiB));
  WriteAt(fd, 2 * kMiB, std::string(100'000, 'd'));
  const off_t data = lseek(fd, 0, SEEK_DATA);
  EXPECT_GE(data, static_cast<off_t>(0));
  EXPECT_LE(data, static_cast<off_t>(2 * kMiB));
  const off_t hole = lseek(fd, 2 * kMiB, SEEK_HOLE);
  EXPECT_GE(hole, static_cast<off_t>(2 * kMiB + 100'000));
}

TEST_F(Posix, ASparseCopyIsTheSame) {
  {
    const Fd fd(In("f"), O_CREAT | O_RDWR);
    WriteAt(fd, 5 * kMiB, "middle");
    WriteAt(fd, 9 * kMiB, "end");
  }
  ASSERT_EQ(RunProgram({"cp", "--sparse=always", In("f"), In("g")}), 0);
  ASSERT_EQ(RunProgram({"cp", "--sparse=auto", In("g"), In("h")}), 0);
  ASSERT_EQ(RunProgram({"cmp", In("f"), In("g")}), 0);
  ASSERT_EQ(RunProgram({"cmp", In("f"), In("h")}), 0);
  ThePlace()->Remount();
  ASSERT_EQ(RunProgram({"cmp", In("f"), In("h")}), 0);
  EXPECT_LT(Stat("h").st_blocks, 4096);
}

TEST_F(Posix, BeyondATebibyte) {
  constexpr off_t kFar = off_t{3} << 40;
  {
    const Fd fd(In("f"), O_CREAT | O_RDWR);
    WriteAt(fd, kFar, "far");
    WriteAt(fd, 0, "near");
  }
  ThePlace()->Remount();
  EXPECT_EQ(Stat("f").st_size, kFar + 3);
  const Fd fd(In("f"), O_RDWR);
  EXPECT_EQ(ReadAt(fd, kFar, 10), "far");
  EXPECT_EQ(ReadAt(fd, kFar - 10, 10), std::string(10, '\0'));
  EXPECT_EQ(ReadAt(fd, 0, 4), "near");
  EXPECT_LT(Stat("f").st_blocks, 1024);
  ASSERT_SYS(ftruncate(fd, 4));
  EXPECT_EQ(Get("f"), "near");
}

TEST_F(Posix, DirectAndCachedAgree) {
  const std::unique_ptr<void, decltype(&free)> memory(aligned_alloc(4096, 65536), free);
  auto* buffer = static_cast<char*>(memory.get());
  std::memset(buffer, 'd', 65536);
  const Fd direct(In("f"), O_CREAT | O_RDWR | O_DIRECT);
  ASSERT_EQ(pwrite(direct, buffer, 65536, 0), 65536);
  const Fd cached(In("f"), O_RDWR);
  EXPECT_EQ(ReadAt(cached, 0, 65536), std::string(65536, 'd'));
  WriteAt(cached, 4096, std::string(4096, 'c'));
  ASSERT_EQ(pread(direct, buffer, 65536, 0), 65536);
  EXPECT_EQ(std::string(buffer + 4096, 4096), std::string(4096, 'c'));
  std::memset(buffer, 'e', 65536);
  ASSERT_EQ(pwrite(direct, buffer, 8192, 4096), 8192);
  EXPECT_EQ(ReadAt(cached, 0, 16384),
            std::string(4096, 'd') + std::string(8192, 'e') + std::string(4096, 'd'));
}

TEST_F(Posix, SynchronousWritesAreSeenByOthersAndStay) {
  for (const int flag : {O_SYNC, O_DSYNC}) {
    const Fd fd(In("f"), O_CREAT | O_RDWR | flag);
    const Fd other(In("f"), O_RDWR);
    WriteAt(other, 0, std::string(10'000, 'o'));
    WriteAt(fd, 5'000, "synchronous");
    EXPECT_EQ(ReadAt(other, 4'999, 13), "osynchronouso");
    WriteAt(other, 5'000, "S");
    EXPECT_EQ(ReadAt(fd, 5'000, 11), "Synchronous");
    EXPECT_EQ(lseek(fd, 0, SEEK_END), 10'000);
  }
  ThePlace()->KillAndRemount();
  EXPECT_EQ(Get("f").substr(5'001, 10), "ynchronous");
}

TEST_F(Posix, AppendsToASynchronousFileGrowIt) {
  const Fd fd(In("f"), O_CREAT | O_WRONLY | O_DSYNC | O_APPEND);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(write(fd, std::string(333, 'a').data(), 333), 333);
  EXPECT_EQ(Stat("f").st_size, 50 * 333);
  EXPECT_EQ(Get("f"), std::string(50L * 333, 'a'));
}

TEST_F(Posix, FallocateGrowsPunchesAndZeroes) {
  Fd fd(In("f"), O_CREAT | O_RDWR);
  WriteAt(fd, 0, std::string(100'000, 'x'));
  ASSERT_SYS(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 400'000));
  EXPECT_EQ(Stat("f").st_size, 100'000);
  EXPECT_GE(Stat("f").st_blocks * 512, 400'000);
  ASSERT_SYS(fallocate(fd, 0, 0, 200'000));
  EXPECT_EQ(Stat("f").st_size, 200'000);
  ASSERT_SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10'000, 50'000));
  ASSERT_SYS(fallocate(fd, FALLOC_FL_ZERO_RANGE, 80'000, 5'000));
  ASSERT_SYS(fallocate(fd, FALLOC_FL_ZERO_RANGE, 199'000, 2'000));
  EXPECT_EQ(Stat("f").st_size, 201'000);
  std::string expected(201'000, '\0');
  std::fill_n(expected.begin(), 100'000, 'x');
  std::fill_n(expected.begin() + 10'000, 50'000, '\0');
  std::fill_n(expected.begin() + 80'000, 5'000, '\0');
  EXPECT_TRUE(ReadAt(fd, 0, 300'000) == expected);
  fd.Close();
  ThePlace()->Remount();
  EXPECT_TRUE(Get("f") == expected);
}

TEST_F(Posix, FallocateRefusesWhatItMust) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  EXPECT_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
  EXPECT_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
  EXPECT_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
  const Fd readable(In("f"), O_RDONLY);
  EXPECT_ERRNO(fallocate(readable, 0, 0, 10), EBADF);
}

TEST_F(Posix, TruncatingCutsAndGrowsWithZeroes) {
  Put("f", std::string(50'000, 'x'));
  ASSERT_SYS(truncate(In("f").c_str(), 20'000));
  ASSERT_SYS(truncate(In("f").c_str(), 40'000));
  EXPECT_TRUE(Get("f") == std::string(20'000, 'x') + std::string(20'000, '\0'));
  EXPECT_ERRNO(truncate(In("f").c_str(), -1), EINVAL);
  EXPECT_ERRNO(truncate(dir_.c_str(), 0), EISDIR);
  const Fd readable(In("f"), O_RDONLY);
  EXPECT_ERRNO(ftruncate(readable, 0), EINVAL);
  const Fd emptied(In("f"), O_WRONLY | O_TRUNC);
  EXPECT_EQ(Stat("f").st_size, 0);
}

TEST_F(Posix, SharedMappingsAreTheFile) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  ASSERT_SYS(ftruncate(fd, 100'000));
  void* map = mmap(nullptr, 100'000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ASSERT_NE(map, MAP_FAILED) << strerror(errno);
  auto* bytes = static_cast<char*>(map);
  EXPECT_EQ(InChild([&] {
              std::memset(bytes + 50'000, 'c', 1000);
              return 0;
            }),
            0);
  EXPECT_EQ(ReadAt(fd, 50'000, 1000), std::string(1000, 'c'));
  WriteAt(fd, 7, "written");
  EXPECT_EQ(std::string(bytes + 7, 7), "written");
  ASSERT_SYS(msync(map, 100'000, MS_SYNC));
  ASSERT_SYS(munmap(map, 100'000));
  ThePlace()->KillAndRemount();
  EXPECT_EQ(Get("f").substr(49'999, 1002), '\0' + std::string(1000, 'c') + '\0');
}

TEST_F(Posix, PrivateMappingsAreNot) {
  Put("f", std::string(10'000, 'x'));
  const Fd fd(In("f"), O_RDONLY);
  void* map = mmap(nullptr, 10'000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  ASSERT_NE(map, MAP_FAILED);
  std::memset(map, 'p', 10'000);
  EXPECT_EQ(Get("f"), std::string(10'000, 'x'));
  EXPECT_EQ(mmap(nullptr, 10'000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
  ASSERT_SYS(munmap(map, 10'000));
}

TEST_F(Posix, AMappingOutlivesTheNameAndTheDescriptor) {
  void* map = MAP_FAILED;
  {
    const Fd fd(In("f"), O_CREAT | O_RDWR);
    WriteAt(fd, 0, std::string(10'000, 'm'));
    map = mmap(nullptr, 10'000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT_NE(map, MAP_FAILED);
    ASSERT_SYS(unlink(In("f").c_str()));
  }
  std::memset(map, 'n', 5'000);
  EXPECT_EQ(static_cast<char*>(map)[9'999], 'm');
  ASSERT_SYS(msync(map, 10'000, MS_SYNC));
  ASSERT_SYS(munmap(map, 10'000));
}

TEST_F(Posix, ProgramsRun) {
  ASSERT_EQ(RunProgram({"cp", "/bin/true", In("true")}), 0);
  EXPECT_EQ(RunProgram({In("true")}), 0);
  ThePlace()->Remount();
  EXPECT_EQ(RunProgram({In("true")}), 0);
}

TEST_F(Posix, OpenUnlinkedFilesLiveOn) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  WriteAt(fd, 0, "before");
  ASSERT_SYS(unlink(In("f").c_str()));
  struct stat st;
  ASSERT_SYS(fstat(fd, &st));
  EXPECT_EQ(st.st_nlink, 0U);
  WriteAt(fd, 6, std::string(100'000, 'a'));
  ASSERT_SYS(fsync(fd));
  EXPECT_EQ(ReadAt(fd, 0, 8), "beforeaa");
  ASSERT_SYS(ftruncate(fd, 3));
  ASSERT_SYS(fchmod(fd, 0600));
  EXPECT_EQ(ReadAt(fd, 0, 8), "bef");
  EXPECT_ERRNO(open(In("f").c_str(), O_RDONLY), ENOENT);
  Put("f", "another");
  EXPECT_EQ(ReadAt(fd, 0, 8), "bef");
}

TEST_F(Posix, FilesThatWereReplacedLiveOn) {
  Put("old", "old content");
  Put("new", "new content");
  const Fd fd(In("old"), O_RDWR);
  ASSERT_SYS(rename(In("new").c_str(), In("old").c_str()));
  EXPECT_EQ(ReadAt(fd, 0, 20), "old content");
  WriteAt(fd, 0, "OLD");
  EXPECT_EQ(Get("old"), "new content");
  EXPECT_EQ(ReadAt(fd, 0, 20), "OLD content");
}

TEST_F(Posix, AppendsOfSeveralProcessesDoNotMix) {
  constexpr int kProcesses = 4;
  constexpr int kRecords = 500;
  Put("log", "");
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t pid = fork();
    if (pid == 0) {
      const int fd = open(In("log").c_str(), O_WRONLY | O_APPEND);
      const std::string record(97, static_cast<char>('a' + process));
      for (int i = 0; i < kRecords; ++i) {
        if (write(fd, record.data(), record.size()) != static_cast<ssize_t>(record.size())) _exit(1);
      }
      _exit(0);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 1;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  const std::string log = Get("log");
  ASSERT_EQ(log.size(), 97UL * kProcesses * kRecords);
  for (size_t at = 0; at < log.size(); at += 97) {
    ASSERT_EQ(log.substr(at, 97), std::string(97, log[at])) << at;
  }
}

TEST_F(Posix, VectorsAndCopiesInTheKernel) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  std::string one(5'000, '1'), two(7'000, '2');
  const iovec parts[2] = {{one.data(), one.size()}, {two.data(), two.size()}};
  ASSERT_EQ(pwritev(fd, parts, 2, 100), 12'000);
  const Fd copy(In("g"), O_CREAT | O_RDWR);
  loff_t from = 100, to = 0;
  ASSERT_EQ(copy_file_range(fd, &from, copy, &to, 12'000, 0), 12'000) << strerror(errno);
  EXPECT_EQ(Get("g"), one + two);
  const Fd sent(In("h"), O_CREAT | O_RDWR);
  off_t offset = 100;
  ASSERT_EQ(sendfile(sent, fd, &offset, 12'000), 12'000);
  EXPECT_EQ(Get("h"), one + two);
}

TEST_F(Posix, SyncsOfEveryKindSucceed) {
  const Fd fd(In("f"), O_CREAT | O_RDWR);
  WriteAt(fd, 0, "x");
  EXPECT_SYS(fsync(fd));
  EXPECT_SYS(fdatasync(fd));
  EXPECT_SYS(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
  EXPECT_SYS(syncfs(fd));
  const Fd folder(dir_, O_RDONLY | O_DIRECTORY);
  EXPECT_SYS(fsync(folder));
  EXPECT_SYS(fdatasync(folder));
}

TEST_F(Posix, TheFileSystemTellsItsSpace) {
  struct statvfs space;
  ASSERT_SYS(statvfs(dir_.c_str(), &space));
  EXPECT_EQ(space.f_namemax, 255U);
  EXPECT_GE(space.f_bsize, 512U);
  EXPECT_GT(space.f_blocks, 0U);
  EXPECT_LE(space.f_bavail, space.f_bfree);
  EXPECT_LE(space.f_bfree, space.f_blocks);
  EXPECT_GT(space.f_files, 0U);
}

// On a file system of 16 MiB.
class FullDisk : public ::testing::Test {
 protected:
  // Writes until there is no room; what was taken.
  off_t Fill(int fd) {
    const std::string chunk(64 << 10, 'f');
    off_t written = 0;
    while (true) {
      const ssize_t size = write(fd, chunk.data(), chunk.size());
      if (size < 0) break;
      written += size;
      if (fsync(fd) != 0) break;
    }
    EXPECT_EQ(errno, ENOSPC);
    return written;
  }

  Place small_{TheGiven().helper, true, TheGiven().helper_flags};
  std::string file_ = small_.dir() + "/big";
};

TEST_F(FullDisk, IsSaidAndHarmsNothing) {
  const std::string kept = small_.dir() + "/kept";
  {
    const Fd fd(kept, O_CREAT | O_WRONLY);
    WriteAt(fd, 0, std::string(100'000, 'k'));
    ASSERT_SYS(fsync(fd));
  }
  struct statvfs before, full, after;
  int waited = 0;
  ASSERT_SYS(statvfs(small_.dir().c_str(), &before));
  {
    const Fd fd(file_, O_CREAT | O_RDWR);
    EXPECT_GT(Fill(fd), static_cast<off_t>(8 * kMiB));
    ASSERT_SYS(statvfs(small_.dir().c_str(), &full));
    EXPECT_LT(full.f_bavail * full.f_frsize, before.f_bavail * before.f_frsize / 4);
    EXPECT_ERRNO(fallocate(fd, 0, 0, 32 * kMiB), ENOSPC);
  }
  {
    const Fd fd(kept, O_RDWR);
    EXPECT_EQ(ReadAt(fd, 0, 200'000), std::string(100'000, 'k'));
    WriteAt(fd, 1'000, std::string(10'000, 'K'));
    EXPECT_SYS(fsync(fd));
  }
  ASSERT_SYS(unlink(file_.c_str()));
  // A mount learns from the kernel a moment later that nobody has the file any more.
  do {
    usleep(10'000);
    ASSERT_SYS(statvfs(small_.dir().c_str(), &after));
  } while (after.f_bavail < before.f_bavail / 2 && waited++ < 500);
  EXPECT_GT(after.f_bavail * after.f_frsize, before.f_bavail * before.f_frsize / 2);
  small_.Remount();
  {
    const Fd fd(kept, O_RDWR);
    EXPECT_EQ(ReadAt(fd, 0, 200'000),
              std::string(1'000, 'k') + std::string(10'000, 'K') + std::string(89'000, 'k'));
  }
  const Fd fd(file_, O_CREAT | O_RDWR);
  WriteAt(fd, 0, std::string(4 * kMiB, 'n'));
  EXPECT_SYS(fsync(fd));
}

TEST_F(FullDisk, NewEntriesFailOrStandWhole) {
  Fd fd(file_, O_CREAT | O_RDWR);
  Fill(fd);
  fd.Close();
  int made = 0;
  for (int i = 0; i < 3'000; ++i) {
    const std::string name = small_.dir() + "/" + std::string(200, 'n') + std::to_string(i);
    const int entry = open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (entry < 0) {
      EXPECT_EQ(errno, ENOSPC);
      EXPECT_ERRNO(access(name.c_str(), F_OK), ENOENT);
      break;
    }
    close(entry);
    ++made;
  }
  EXPECT_LT(made, 3'000);
  small_.Remount();
  for (int i = 0; i < made; ++i) {
    const std::string name = small_.dir() + "/" + std::string(200, 'n') + std::to_string(i);
    ASSERT_SYS(access(name.c_str(), F_OK));
  }
}

}  // namespace
}  // namespace keyhold::testing
