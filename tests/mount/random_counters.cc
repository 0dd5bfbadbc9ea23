#include <sys/file.h>

#include "tests/mount/random_jobs.h"

namespace keyhold::testing {
namespace {

class CountersJob final : public Job {
 public:
  CountersJob(const std::string& dir, CountersModel& model, uint64_t seed) : Job(dir, seed), model_(model) {}

  bool Step() override {
    const auto i = Pick(CountersModel::kFiles);
    const Opened opened(Path(i), O_RDWR | O_CREAT);
    if (opened.fd < 0) return !Gone("opening " + Path(i));
    if (!Lock(i, opened.fd)) return !Gone("locking " + Path(i));
    uint64_t value = 0;
    if (ReadWhole(opened.fd, &value, sizeof value, 0) < 0) return !Gone("reading " + Path(i));
    if (value != model_.value[i]) Fail("the number in " + Path(i) + " is another process's from before");
    ++value;
    if (!WriteWhole(opened.fd, &value, sizeof value, 0)) return !Gone("writing " + Path(i));
    model_.value[i] = value;
    if (Pick(8) != 0) return true;
    if (fsync(opened.fd) != 0) return !Gone("fsync of " + Path(i));
    model_.synced[i] = value;
    return true;
  }

  void Check(bool killed) override {
    for (size_t i = 0; i < CountersModel::kFiles; ++i) {
      const Opened opened(Path(i), O_RDWR | O_CREAT);
      uint64_t value = 0;
      if (opened.fd < 0 || pread(opened.fd, &value, sizeof value, 0) < 0) Fail("reading " + Path(i));
      // One may have been written and its count lost.
      const bool fits =
          killed ? value >= model_.synced[i] && value <= model_.value[i] + 1 : value == model_.value[i];
      if (!fits) Fail("the number in " + Path(i) + " is " + std::to_string(value));
      if (fsync(opened.fd) != 0) Fail("fsync of " + Path(i));
      model_.value[i] = model_.synced[i] = value;
    }
  }

 private:
  std::string Path(size_t i) const { return dir_ + "/counter" + std::to_string(i); }

  // Held until the file is closed.
  static bool Lock(size_t i, int fd) {
    if (i == 0) return flock(fd, LOCK_EX) == 0;
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_len = sizeof(uint64_t);
    return fcntl(fd, F_SETLKW, &range) == 0;
  }

  CountersModel& model_;
};

}  // namespace

std::unique_ptr<Job> NewCountersJob(const std::string& dir, CountersModel& model, uint64_t seed) {
  return std::make_unique<CountersJob>(dir, model, seed);
}

}  // namespace keyhold::testing
