// Random operations of several processes on a mounted store, held against models (random_jobs.h), across
// remounts and kills of the process that serves the mount.
//   mount_random HELPER [ROUNDS|TIME [SEED [HELPER FLAGS...]]]
// TIME, as 90m, goes on for that long, with rounds of up to some seconds. For files that are larger than
// memory, run it in a cgroup of little memory.
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/mount/place.h"
#include "tests/mount/random_jobs.h"

namespace keyhold::testing {
namespace {

constexpr int kProcesses = 3;
constexpr int kJobs = 4;

struct Model {
  uint64_t operations[kJobs] = {};
  BytesModel bytes;
  BlocksModel blocks;
  NamesModel names;
};

struct Shared {
  CountersModel counters;
  Model models[kProcesses];
};

class Worker {
 public:
  Worker(const std::string& dir, const std::string& shadow, Shared& shared, int process, uint64_t seed)
      : model_(shared.models[process]), random_(seed) {
    const std::string mine = "/" + std::to_string(process);
    jobs_[0] = NewBytesJob(dir + mine, model_.bytes, random_());
    jobs_[1] = NewBlocksJob(dir + mine, model_.blocks, random_());
    jobs_[2] = NewNamesJob(dir + mine, shadow + mine, model_.names, random_());
    jobs_[3] = NewCountersJob(dir, shared.counters, random_());
  }

  // Until `operations` are done or the mount is gone. False when it is gone.
  bool Work(int operations) {
    for (int i = 0; i < operations; ++i) {
      const size_t job = random_() % 10;
      const size_t chosen = job < 4 ? 0 : job < 6 ? 1 : job < 9 ? 2 : 3;
      if (!jobs_[chosen]->Step()) return false;
      ++model_.operations[chosen];
    }
    return true;
  }

  void Check(bool killed) {
    for (const auto& job : jobs_) job->Check(killed);
  }

 private:
  Model& model_;
  std::mt19937_64 random_;
  std::unique_ptr<Job> jobs_[kJobs];
};

class Soak {
 public:
  Soak(Place& place, const std::string& shadow, Shared& shared, uint64_t seed, bool timed)
      : place_(place), shadow_(shadow), shared_(shared), random_(seed), timed_(timed) {
    for (int p = 0; p < kProcesses; ++p) {
      for (const std::string& dir : {place_.dir(), shadow_}) {
        if (mkdir((dir + "/" + std::to_string(p)).c_str(), 0755) != 0) Fail("mkdir");
      }
      WorkerOf(p).Check(false);
    }
  }

  // All processes work; at its end the mount ends cleanly, or is killed under them.
  void Round(bool kill) {
    pid_t workers[kProcesses];
    const uint64_t seed = random_();
    for (int p = 0; p < kProcesses; ++p) {
      workers[p] = fork();
      if (workers[p] == 0) {
        random_.seed(seed + static_cast<uint64_t>(p));
        const bool whole = WorkerOf(p).Work(kill ? 1 << 30 : 400);
        std::_Exit(whole || kill ? 0 : 1);
      }
    }
    if (kill) {
      usleep(PickMicroseconds());
      place_.Kill();
    }
    for (const pid_t worker : workers) Await(worker, kill);
    kill ? place_.KillAndRemount() : place_.Remount();
    for (int p = 0; p < kProcesses; ++p) WorkerOf(p).Check(kill);
  }

 private:
  Worker WorkerOf(int process) { return {place_.dir(), shadow_, shared_, process, random_()}; }

  unsigned PickMicroseconds() {
    const uint64_t longest = timed_ && random_() % 8 == 0 ? 20'000'000 : 500'000;
    return static_cast<unsigned>(100'000 + random_() % longest);
  }

  static void Await(pid_t worker, bool kill) {
    int status = 1;
    waitpid(worker, &status, 0);
    const bool bus = WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;  // in a mapping, killed under it
    if (status != 0 && !(kill && bus)) std::exit(1);
  }

  Place& place_;
  const std::string shadow_;
  Shared& shared_;
  std::mt19937_64 random_;
  const bool timed_;
};

void Print(const Shared& shared, int rounds, int kills) {
  unsigned long long sums[kJobs] = {};
  for (const Model& model : shared.models) {
    for (int job = 0; job < kJobs; ++job) sums[job] += model.operations[job];
  }
  std::printf(
      "%d rounds, %d kills, %llu operations: %llu on bytes, %llu on blocks, %llu on names, %llu on counters: "
      "all as in the model\n",
      rounds, kills, sums[0] + sums[1] + sums[2] + sums[3], sums[0], sums[1], sums[2], sums[3]);
  std::fflush(stdout);
}

}  // namespace
}  // namespace keyhold::testing

int main(int argc, char** argv) {
  using namespace keyhold::testing;
  if (argc < 2) return 2;
  absl::Duration time;
  const bool timed = argc > 2 && absl::ParseDuration(argv[2], &time);
  const int rounds = timed ? INT_MAX : argc > 2 ? std::atoi(argv[2]) : 12;
  const absl::Time end = timed ? absl::Now() + time : absl::InfiniteFuture();
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  EnterOwnNamespace();
  Place place(argv[1], false, {argv + std::min(argc, 4), argv + argc});
  char shadow[] = "/var/tmp/keyhold-shadow-XXXXXX";
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mkdtemp(shadow) == nullptr) Fail("making the models");
  auto* shared = new (memory) Shared;
  Soak soak(place, shadow, *shared, seed, timed);
  int round = 0;
  for (; round < rounds && absl::Now() < end; ++round) {
    soak.Round(round % 2 == 1);
    if (timed && round % 100 == 99) Print(*shared, round + 1, (round + 1) / 2);
  }
  Print(*shared, round, round / 2);
  std::filesystem::remove_all(shadow);
  return 0;
}
