// Random operations of several processes on a mounted store, held against a model, across remounts and kills
// of the process that serves the mount.
//   mount_random HELPER [ROUNDS [SEED]]
// Each process works on files of its own. After a clean end everything is as in its model. After a kill what
// was fsynced is there, every other byte is one that was written there since, and names are as the calls that
// returned left them.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bitset>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "tests/mount/place.h"

namespace {

using keyhold::testing::Place;

constexpr int kProcesses = 3;
constexpr int kFiles = 3;
constexpr size_t kSize = 64 << 10;

struct FileModel {
  bool there = false;    // under its name
  bool touched = false;  // its name was about to change when the mount was killed
  size_t size = 0;
  std::array<uint8_t, kSize> now{};
  std::array<std::bitset<256>, kSize> may{};  // what each byte may be after a kill
  size_t least = 0, most = 0;                 // and what the size may be
};

// In memory that the parent and one worker share, so that it outlives a worker that is cut off.
struct Model {
  uint64_t operations = 0;
  uint64_t synced = 0;
  FileModel files[kFiles];
};

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "mount_random: %s (%s)\n", what.c_str(), std::strerror(errno));
  std::_Exit(1);
}

class Worker {
 public:
  Worker(const std::string& dir, Model* model, uint64_t seed) : dir_(dir), model_(*model), random_(seed) {}

  // Until `operations` are done or the mount is gone. False when it is gone.
  bool Work(int operations) {
    for (int i = 0; i < operations; ++i) {
      if (!Step()) return false;
      ++model_.operations;
    }
    return true;
  }

  void Check(bool killed) {
    for (int i = 0; i < kFiles; ++i) CheckFile(i, killed);
  }

 private:
  std::string Path(int i) const { return dir_ + "/file" + std::to_string(i); }
  size_t Pick(size_t below) { return random_() % below; }
  // A call that failed because the mount was killed ends the work; another failure is an error.
  bool Gone(const char* what) {
    if (errno == ENOTCONN || errno == ECONNABORTED || errno == EIO) return true;
    Fail(what);
  }

  // Whole, or false with errno. A kill may cut a write short; then the next one says what happened.
  bool WriteWhole(int fd, const std::string& text, size_t from) {
    const ssize_t written = pwrite(fd, text.data(), text.size(), static_cast<off_t>(from));
    if (written == static_cast<ssize_t>(text.size())) return true;
    if (written >= 0 &&
        pwrite(fd, text.data() + written, text.size() - written, static_cast<off_t>(from + written)) >= 0) {
      Fail("a write was cut short");
    }
    return false;
  }

  bool Step() {
    const int i = static_cast<int>(Pick(kFiles));
    FileModel& file = model_.files[i];
    if (!file.there) return Make(i);
    switch (Pick(12)) {
      case 0:
        return Sync(i);
      case 1:
        return Truncate(i);
      case 2:
        return Punch(i);
      case 3:
        return Map(i);
      case 4:
        return Pick(4) != 0 || Remove(i);
      case 5:
        return Replace(i);
      case 6:
      case 7:
        return Read(i);
      default:
        return Write(i);
    }
  }

  struct Opened {
    explicit Opened(const std::string& path, int flags) : fd(open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
    ~Opened() {
      if (fd >= 0) close(fd);
    }
    int fd;
  };

  bool Make(int i) {
    FileModel& file = model_.files[i];
    file.touched = true;
    const Opened opened(Path(i), O_CREAT | O_EXCL | O_RDWR);
    if (opened.fd < 0) return !Gone("create");
    file = {};
    file.there = true;
    return true;
  }

  bool Remove(int i) {
    model_.files[i].touched = true;
    if (unlink(Path(i).c_str()) != 0) return !Gone("unlink");
    model_.files[i] = {};
    return true;
  }

  // Another file, fsynced, takes its place.
  bool Replace(int i) {
    const std::string fresh = Path(i) + ".new";
    const size_t size = 1 + Pick(kSize);
    const auto value = static_cast<uint8_t>(1 + Pick(255));
    {
      const Opened opened(fresh, O_CREAT | O_TRUNC | O_RDWR);
      if (opened.fd < 0) return !Gone("create");
      const std::string text(size, static_cast<char>(value));
      if (!WriteWhole(opened.fd, text, 0)) return !Gone("write");
      if (fsync(opened.fd) != 0) return !Gone("fsync");
    }
    FileModel& file = model_.files[i];
    file.touched = true;
    if (rename(fresh.c_str(), Path(i).c_str()) != 0) return !Gone("rename");
    file = {};
    file.there = true;
    file.size = size;
    std::fill_n(file.now.begin(), size, value);
    Settle(&file);
    return true;
  }

  static void Settle(FileModel* file) {
    for (size_t at = 0; at < kSize; ++at) {
      file->may[at].reset();
      file->may[at].set(file->now[at]);
    }
    file->least = file->most = file->size;
  }

  // [from, to) may be `value` from now on.
  static void Begin(FileModel* file, size_t from, size_t to, uint8_t value) {
    for (size_t at = from; at < to; ++at) file->may[at].set(value);
  }

  void Grow(FileModel* file, size_t to) {
    for (size_t at = file->size; at < kSize; ++at) file->may[at].set(0);
    file->most = std::max(file->most, to);
  }

  bool Write(int i) {
    FileModel& file = model_.files[i];
    const size_t from = Pick(kSize - 1);
    const size_t size = 1 + Pick(std::min<size_t>(kSize - from, Pick(3) == 0 ? 30'000 : 3'000));
    const auto value = static_cast<uint8_t>(1 + Pick(255));
    const bool durable = Pick(6) == 0;
    const Opened opened(Path(i), O_RDWR | (durable ? O_DSYNC : 0));
    if (opened.fd < 0) return !Gone("open");
    Grow(&file, from + size);
    Begin(&file, from, from + size, value);
    const std::string text(size, static_cast<char>(value));
    if (!WriteWhole(opened.fd, text, from)) return !Gone("write");
    std::fill_n(file.now.begin() + static_cast<ptrdiff_t>(from), size, value);
    file.size = std::max(file.size, from + size);
    if (!durable) return true;
    for (size_t at = from; at < from + size; ++at) {
      file.may[at].reset();
      file.may[at].set(value);
    }
    file.least = std::max(file.least, from + size);
    return true;
  }

  bool Map(int i) {
    FileModel& file = model_.files[i];
    if (file.size == 0) return true;
    const Opened opened(Path(i), O_RDWR);
    if (opened.fd < 0) return !Gone("open");
    const size_t from = Pick(file.size);
    const size_t to = from + 1 + Pick(file.size - from);
    const auto value = static_cast<uint8_t>(1 + Pick(255));
    // A mapping of a mount that was killed ends its user with SIGBUS. MAP_POPULATE would not: Linux 6.18 was
    // seen to try for ever.
    void* map = mmap(nullptr, file.size, PROT_READ | PROT_WRITE, MAP_SHARED, opened.fd, 0);
    if (map == MAP_FAILED) return !Gone("mmap");
    Begin(&file, from, to, value);
    std::memset(static_cast<char*>(map) + from, value, to - from);
    std::fill(file.now.begin() + static_cast<ptrdiff_t>(from), file.now.begin() + static_cast<ptrdiff_t>(to),
              value);
    munmap(map, file.size);
    return true;
  }

  bool Punch(int i) {
    FileModel& file = model_.files[i];
    const size_t from = Pick(kSize - 1);
    const size_t size = 1 + Pick(kSize - from);
    const Opened opened(Path(i), O_RDWR);
    if (opened.fd < 0) return !Gone("open");
    Begin(&file, from, std::min(from + size, file.size), 0);
    if (fallocate(opened.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                  static_cast<off_t>(size)) != 0) {
      return !Gone("punch");
    }
    for (size_t at = from; at < std::min(from + size, file.size); ++at) file.now[at] = 0;
    return true;
  }

  bool Truncate(int i) {
    FileModel& file = model_.files[i];
    const size_t size = Pick(kSize);
    Grow(&file, size);
    Begin(&file, std::min(size, file.size), kSize, 0);
    file.least = std::min(file.least, size);
    if (truncate(Path(i).c_str(), static_cast<off_t>(size)) != 0) return !Gone("truncate");
    std::fill(file.now.begin() + static_cast<ptrdiff_t>(std::min(size, file.size)), file.now.end(), 0);
    file.size = size;
    return true;
  }

  bool Sync(int i) {
    const Opened opened(Path(i), O_RDWR);
    if (opened.fd < 0) return !Gone("open");
    if ((Pick(2) == 0 ? fsync(opened.fd) : fdatasync(opened.fd)) != 0) return !Gone("fsync");
    Settle(&model_.files[i]);
    ++model_.synced;
    return true;
  }

  bool Read(int i) {
    const FileModel& file = model_.files[i];
    const Opened opened(Path(i), O_RDONLY);
    if (opened.fd < 0) return !Gone("open");
    const size_t from = Pick(kSize);
    std::array<uint8_t, 5'000> out;
    const ssize_t got = pread(opened.fd, out.data(), out.size(), static_cast<off_t>(from));
    if (got < 0) return !Gone("read");
    const size_t expected = from >= file.size ? 0 : std::min(out.size(), file.size - from);
    if (static_cast<size_t>(got) != expected ||
        std::memcmp(out.data(), &file.now[from % kSize], expected) != 0) {
      Fail("a read of " + Path(i) + " does not fit the model");
    }
    return true;
  }

  void CheckFile(int i, bool killed) {
    FileModel& file = model_.files[i];
    const Opened opened(Path(i), O_RDWR);
    if (opened.fd < 0 && errno != ENOENT) Fail("opening " + Path(i));
    const bool there = opened.fd >= 0;
    if (!file.touched || !killed) {
      if (there != file.there) Fail(Path(i) + " should " + (file.there ? "" : "not ") + "be there");
    }
    if (!there) {
      file = {};
      return;
    }
    struct stat st;
    auto content = std::make_unique<std::array<uint8_t, kSize>>();
    content->fill(0);
    if (fstat(opened.fd, &st) != 0 || pread(opened.fd, content->data(), kSize, 0) != st.st_size) {
      Fail("reading " + Path(i));
    }
    const auto size = static_cast<size_t>(st.st_size);
    const bool judged = !killed || !file.touched;
    if (judged && killed && (size < file.least || size > file.most)) Fail("the size of " + Path(i));
    if (judged && !killed && size != file.size) Fail("the size of " + Path(i));
    for (size_t at = 0; judged && at < size; ++at) {
      const uint8_t byte = (*content)[at];
      if (killed ? !file.may[at].test(byte) : byte != file.now[at]) {
        Fail("byte " + std::to_string(at) + " of " + Path(i) + " is " + std::to_string(byte));
      }
    }
    // From here on this is what there is.
    file.there = true;
    file.touched = false;
    file.size = size;
    file.now = *content;
    if (fsync(opened.fd) != 0) Fail("fsync");
    Settle(&file);
  }

  const std::string dir_;
  Model& model_;
  std::mt19937_64 random_;
};

// One round: all processes work; at its end the mount ends cleanly, or is killed under them.
void Round(Place& place, Model** models, uint64_t seed, bool kill) {
  std::array<pid_t, kProcesses> workers;
  for (int p = 0; p < kProcesses; ++p) {
    workers[p] = fork();
    if (workers[p] == 0) {
      Worker worker(place.dir() + "/" + std::to_string(p), models[p], seed * 1000 + p);
      const bool whole = worker.Work(kill ? 1 << 30 : 400);
      std::_Exit(whole || kill ? 0 : 1);
    }
  }
  if (kill) {
    usleep(100'000 + seed * 7919 % 400'000);
    place.Kill();
  }
  for (const pid_t worker : workers) {
    int status = 1;
    waitpid(worker, &status, 0);
    const bool bus = WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;  // in a mapping, killed under it
    if (status != 0 && !(kill && bus)) std::exit(1);
  }
  kill ? place.KillAndRemount() : place.Remount();
  for (int p = 0; p < kProcesses; ++p) {
    Worker(place.dir() + "/" + std::to_string(p), models[p], seed).Check(kill);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 12;
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  keyhold::testing::EnterOwnNamespace();
  Place place(argv[1], false);
  Model* models[kProcesses];
  for (int p = 0; p < kProcesses; ++p) {
    if (mkdir((place.dir() + "/" + std::to_string(p)).c_str(), 0755) != 0) Fail("mkdir");
    void* shared = mmap(nullptr, sizeof(Model), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) Fail("mmap");
    models[p] = new (shared) Model;
  }
  int kills = 0;
  for (int round = 0; round < rounds; ++round) {
    const bool kill = round % 2 == 1;
    kills += kill ? 1 : 0;
    Round(place, models, seed + round, kill);
  }
  uint64_t operations = 0, synced = 0;
  for (const Model* model : models) {
    operations += model->operations;
    synced += model->synced;
  }
  std::printf("%d rounds, %d kills, %llu operations, %llu of them syncs: all as in the model\n", rounds,
              kills, static_cast<unsigned long long>(operations), static_cast<unsigned long long>(synced));
  return 0;
}
