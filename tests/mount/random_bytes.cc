#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "tests/mount/random_jobs.h"

namespace keyhold::testing {
namespace {

constexpr int kFiles = BytesModel::kFiles;
constexpr size_t kSize = BytesModel::kSize;

class BytesJob final : public Job {
 public:
  using File = BytesModel::File;
  BytesJob(const std::string& dir, BytesModel& model, uint64_t seed) : Job(dir, seed), model_(model) {}

  bool Step() override {
    const int i = static_cast<int>(Pick(kFiles));
    File& file = model_.files[i];
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
        return Pick(4) != 0 || (Pick(2) == 0 ? Remove(i) : UseUnlinked(i));
      case 5:
        return Replace(i);
      case 6:
      case 7:
        return Read(i);
      default:
        return Write(i);
    }
  }

  void Check(bool killed) override {
    for (int i = 0; i < kFiles; ++i) CheckFile(i, killed);
  }

 private:
  std::string Path(int i) const { return dir_ + "/file" + std::to_string(i); }

  bool Make(int i) {
    File& file = model_.files[i];
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

  // Written, synced and read after its name is gone.
  bool UseUnlinked(int i) {
    const Opened opened(Path(i), O_RDWR);
    if (opened.fd < 0) return !Gone("open");
    if (!Remove(i)) return false;
    const std::string text(1 + Pick(kSize), static_cast<char>(1 + Pick(255)));
    if (!WriteWhole(opened.fd, text.data(), text.size(), 0)) return !Gone("write");
    if (fsync(opened.fd) != 0) return !Gone("fsync");
    posix_fadvise(opened.fd, 0, 0, POSIX_FADV_DONTNEED);
    std::string back(text.size(), '\0');
    if (ReadWhole(opened.fd, back.data(), back.size(), 0) < 0) return !Gone("read");
    if (back != text) Fail("a file without a name has lost what was written");
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
      if (!WriteWhole(opened.fd, text.data(), text.size(), 0)) return !Gone("write");
      if (fsync(opened.fd) != 0) return !Gone("fsync");
    }
    File& file = model_.files[i];
    file.touched = true;
    if (rename(fresh.c_str(), Path(i).c_str()) != 0) return !Gone("rename");
    file = {};
    file.there = true;
    file.size = size;
    std::fill_n(file.now.begin(), size, value);
    Settle(&file);
    return true;
  }

  static void Settle(File* file) {
    for (size_t at = 0; at < kSize; ++at) {
      file->may[at].reset();
      file->may[at].set(file->now[at]);
    }
    file->least = file->most = file->size;
  }

  // [from, to) may be `value` from now on.
  static void Begin(File* file, size_t from, size_t to, uint8_t value) {
    for (size_t at = from; at < to; ++at) file->may[at].set(value);
  }

  void Grow(File* file, size_t to) {
    for (size_t at = file->size; at < kSize; ++at) file->may[at].set(0);
    file->most = std::max(file->most, to);
  }

  bool Write(int i) {
    File& file = model_.files[i];
    const size_t from = Pick(kSize - 1);
    const size_t size = 1 + Pick(std::min<size_t>(kSize - from, Pick(3) == 0 ? 30'000 : 3'000));
    const auto value = static_cast<uint8_t>(1 + Pick(255));
    const bool durable = Pick(6) == 0;
    const Opened opened(Path(i), O_RDWR | (durable ? O_DSYNC : 0));
    if (opened.fd < 0) return !Gone("open");
    Grow(&file, from + size);
    Begin(&file, from, from + size, value);
    const std::string text(size, static_cast<char>(value));
    if (!WriteWhole(opened.fd, text.data(), text.size(), from)) return !Gone("write");
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
    File& file = model_.files[i];
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
    File& file = model_.files[i];
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
    File& file = model_.files[i];
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
    return true;
  }

  bool Read(int i) {
    const File& file = model_.files[i];
    const Opened opened(Path(i), O_RDONLY);
    if (opened.fd < 0) return !Gone("open");
    const size_t from = Pick(kSize);
    std::array<uint8_t, 5'000> out;
    const ssize_t got = ReadWhole(opened.fd, out.data(), out.size(), from);
    if (got < 0) return !Gone("read");
    const size_t expected = from >= file.size ? 0 : std::min(out.size(), file.size - from);
    if (static_cast<size_t>(got) != expected ||
        std::memcmp(out.data(), &file.now[from % kSize], expected) != 0) {
      Fail("a read of " + Path(i) + " does not fit the model");
    }
    return true;
  }

  void CheckFile(int i, bool killed) {
    File& file = model_.files[i];
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

  BytesModel& model_;
};

}  // namespace

std::unique_ptr<Job> NewBytesJob(const std::string& dir, BytesModel& model, uint64_t seed) {
  return std::make_unique<BytesJob>(dir, model, seed);
}

}  // namespace keyhold::testing
