// One small workload of files in a directory; prints one number: MiB/s for sequential ones, else
// operations/s.
//   file_bench WORKLOAD DIR SECONDS MIB
// The file that read and random workloads use is made when it is missing; the workload "prepare" does only
// that.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr size_t kMiB = 1 << 20;
constexpr size_t kPage = 8192;  // of PostgreSQL

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

template <typename T>
T Must(T result, const char* what) {
  if (result >= 0) return result;
  std::fprintf(stderr, "file_bench: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

struct Job {
  std::string dir;
  double seconds;
  size_t mib;
  std::string Path(const char* name) const { return dir + "/" + name; }
  std::string Data() const { return Path("data"); }
  size_t size() const { return mib * kMiB; }
};

std::vector<char> Noise(size_t size) {
  std::vector<char> bytes(size);
  std::mt19937_64 random(1);
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

double SequentialWrite(const Job& job) {
  const std::vector<char> block = Noise(kMiB);
  const std::string path = job.Path("sequential");
  unlink(path.c_str());
  const Clock::time_point start = Clock::now();
  const int fd = Must(open(path.c_str(), O_RDWR | O_CREAT, 0600), "open");
  for (size_t i = 0; i < job.mib; ++i) Must(write(fd, block.data(), kMiB), "write");
  Must(fsync(fd), "fsync");
  const double took = Since(start);
  close(fd);
  unlink(path.c_str());
  return static_cast<double>(job.mib) / took;
}

void Prepare(const Job& job) {
  struct stat st;
  if (stat(job.Data().c_str(), &st) == 0 && static_cast<size_t>(st.st_size) == job.size()) return;
  const std::vector<char> block = Noise(kMiB);
  const int fd = Must(open(job.Data().c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600), "open");
  for (size_t i = 0; i < job.mib; ++i) Must(write(fd, block.data(), kMiB), "write");
  Must(fsync(fd), "fsync");
  close(fd);
}

double SequentialRead(const Job& job) {
  std::vector<char> block(kMiB);
  const int fd = Must(open(job.Data().c_str(), O_RDONLY), "open");
  const Clock::time_point start = Clock::now();
  size_t total = 0;
  while (const ssize_t got = Must(read(fd, block.data(), kMiB), "read")) total += static_cast<size_t>(got);
  const double took = Since(start);
  close(fd);
  if (total != job.size()) std::exit(1);
  return static_cast<double>(total) / kMiB / took;
}

// Calls `operation` with the offset of a random page until the time is over.
double RandomPages(const Job& job, const std::function<void(off_t)>& operation) {
  std::mt19937_64 random(std::random_device{}());
  const size_t pages = job.size() / kPage;
  const Clock::time_point start = Clock::now();
  size_t count = 0;
  while (Since(start) < job.seconds) {
    for (int i = 0; i < 8; ++i, ++count) operation(static_cast<off_t>(random() % pages * kPage));
  }
  return static_cast<double>(count) / Since(start);
}

double RandomRead(const Job& job) {
  std::vector<char> page(kPage);
  const int fd = Must(open(job.Data().c_str(), O_RDONLY), "open");
  const double rate = RandomPages(job, [&](off_t at) { Must(pread(fd, page.data(), kPage, at), "pread"); });
  close(fd);
  return rate;
}

double RandomWrite(const Job& job, int flags, bool sync) {
  const std::vector<char> page = Noise(kPage);
  const int fd = Must(open(job.Data().c_str(), O_RDWR | flags), "open");
  const double rate = RandomPages(job, [&](off_t at) {
    Must(pwrite(fd, page.data(), kPage, at), "pwrite");
    if (sync) Must(fdatasync(fd), "fdatasync");
  });
  close(fd);
  return rate;
}

double MapRead(const Job& job) {
  const int fd = Must(open(job.Data().c_str(), O_RDONLY), "open");
  void* map = mmap(nullptr, job.size(), PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) Must(-1, "mmap");
  std::vector<char> page(kPage);
  const double rate = RandomPages(
      job, [&](off_t at) { std::memcpy(page.data(), static_cast<const char*>(map) + at, kPage); });
  munmap(map, job.size());
  close(fd);
  return rate;
}

// 64 pages changed through the map, then one msync of all.
double MapWrite(const Job& job) {
  const std::vector<char> page = Noise(kPage);
  const int fd = Must(open(job.Data().c_str(), O_RDWR), "open");
  void* map = mmap(nullptr, job.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) Must(-1, "mmap");
  int dirty = 0;
  const double rate = RandomPages(job, [&](off_t at) {
    std::memcpy(static_cast<char*>(map) + at, page.data(), kPage);
    if (++dirty % 64 == 0) Must(msync(map, job.size(), MS_SYNC), "msync");
  });
  munmap(map, job.size());
  close(fd);
  return rate;
}

// Create, write 8 KiB, (fsync,) rename, unlink.
double SmallFiles(const Job& job, bool sync) {
  const std::vector<char> page = Noise(kPage);
  const std::string fresh = job.Path("small.new");
  const std::string placed = job.Path("small");
  const Clock::time_point start = Clock::now();
  size_t count = 0;
  for (; Since(start) < job.seconds; ++count) {
    const int fd = Must(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600), "create");
    Must(write(fd, page.data(), kPage), "write");
    if (sync) Must(fsync(fd), "fsync");
    close(fd);
    Must(rename(fresh.c_str(), placed.c_str()), "rename");
    Must(unlink(placed.c_str()), "unlink");
  }
  return static_cast<double>(count) / Since(start);
}

const std::map<std::string, std::function<double(const Job&)>> kWorkloads = {
    {"prepare", [](const Job&) { return 0.0; }},
    {"sequential-write", SequentialWrite},
    {"sequential-read", SequentialRead},
    {"random-read", RandomRead},
    {"random-write-fdatasync", [](const Job& job) { return RandomWrite(job, 0, true); }},
    {"random-write-dsync", [](const Job& job) { return RandomWrite(job, O_DSYNC, false); }},
    {"map-read", MapRead},
    {"map-write", MapWrite},
    {"small-files", [](const Job& job) { return SmallFiles(job, false); }},
    {"small-files-fsync", [](const Job& job) { return SmallFiles(job, true); }},
};

}  // namespace

int main(int argc, char** argv) {
  const auto workload = argc == 5 ? kWorkloads.find(argv[1]) : kWorkloads.end();
  if (workload == kWorkloads.end()) {
    std::fprintf(stderr, "usage: file_bench WORKLOAD DIR SECONDS MIB\n");
    return 2;
  }
  const Job job{argv[2], std::atof(argv[3]), static_cast<size_t>(std::atoi(argv[4]))};
  Prepare(job);
  std::printf("%.3f\n", workload->second(job));
  return 0;
}
