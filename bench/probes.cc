// What the probes of many nodes cost one machine and its KMS: as many key watches in this process, each with
// a wrap of its own, at the interval of a node, over one kept transport.
//
//   keyhold_probes KEY_SPEC WATCHES SECONDS INTERVAL_MS     credentials, proxy and CA: as a node's, by
//   variables
//
// Prints one JSON object.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "base/environment.h"
#include "base/posix.h"
#include "kms/key_spec.h"
#include "kms/provider.h"
#include "node/key_watch.h"

extern char** environ;

namespace {

using namespace keyhold;
using nlohmann::json;

constexpr absl::Duration kBudget = absl::Milliseconds(1200);  // of a node's probe
constexpr absl::Duration kSlice = absl::Milliseconds(100);

struct Sample {
  absl::Duration at;  // since the start
  absl::Duration took;
  bool ok;
};

double Share() {
  std::array<uint8_t, 2> bytes;
  crypto::SystemRandom().Fill(bytes);
  return (256.0 * bytes[0] + bytes[1]) / 65536.0;
}

class Watch {
 public:
  Watch(kms::KmsProvider& provider, const kms::KeySpec& spec, int number)
      : kms_(*provider.Open(spec)), context_({{"keyhold:cluster", std::to_string(number)}}) {}

  Status Wrap() {
    const crypto::SecretBytes secret = crypto::SystemRandom().Secret(32);
    KEYHOLD_ASSIGN_OR_RETURN(wrapped_, kms_->Wrap(secret.Expose(), context_, absl::Seconds(30)));
    return OkStatus();
  }

  // As a node does: the first probe anywhere in the interval, the others jittered by a twentieth.
  void Run(absl::Time start, absl::Time end, const node::ProbeTiming& timing) {
    node::KeyWatch watch;
    absl::Time next = start + timing.interval * Share();
    while (next < end) {
      absl::SleepFor(next - absl::Now());
      const absl::Time asked = absl::Now();
      const Status status = kms_->Unwrap(crypto::AsBytes(wrapped_.bytes), context_, kBudget).status();
      const absl::Time now = absl::Now();
      samples.push_back({asked - start, now - asked, status.ok()});
      next = now + watch.Judge(status, now, timing).next * (0.95 + 0.1 * Share());
    }
  }

  std::vector<Sample> samples;

 private:
  std::unique_ptr<kms::Kms> kms_;
  kms::Context context_;
  kms::Wrapped wrapped_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

json Report(std::vector<Watch>& watches, absl::Duration lasted, double cpu) {
  std::vector<double> took;
  std::map<int64_t, int> slices;
  int failed = 0;
  for (const Watch& watch : watches) {
    for (const Sample& sample : watch.samples) {
      took.push_back(absl::ToDoubleMilliseconds(sample.took));
      failed += sample.ok ? 0 : 1;
      ++slices[sample.at / kSlice];
    }
  }
  std::sort(took.begin(), took.end());
  int most = 0;
  for (const auto& [slice, count] : slices) most = std::max(most, count);
  const double probes = static_cast<double>(took.size());
  const double seconds = absl::ToDoubleSeconds(lasted);
  return {{"watches", watches.size()},
          {"seconds", seconds},
          {"probes", took.size()},
          {"failed", failed},
          {"probes_per_watch_and_hour", probes / static_cast<double>(watches.size()) / seconds * 3600},
          {"cpu_ms_per_probe", 1000 * cpu / probes},
          {"cores", cpu / seconds},
          {"resident_mib", static_cast<double>(ResidentBytes()) / (1 << 20)},
          {"in_100_ms_mean", probes / (seconds * 10)},
          {"in_100_ms_most", most},
          {"took_ms_p50", took[took.size() / 2]},
          {"took_ms_p99", took[took.size() * 99 / 100]}};
}

Status Measure(const std::string& spec_text, int count, absl::Duration lasts, absl::Duration interval) {
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  KEYHOLD_RETURN_IF_ERROR(kms::InitTransport());
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec, kms::ParseKeySpec(spec_text));
  KEYHOLD_ASSIGN_OR_RETURN(const auto provider,
                           kms::NewProvider({ReadEnvironment(environ), "", "bench", SystemPosix(),
                                             SystemClock(), crypto::SystemRandom(), kms::SystemSleeper()}));
  std::vector<Watch> watches;
  for (int i = 0; i < count; ++i) watches.emplace_back(*provider, spec, i);
  for (Watch& watch : watches) KEYHOLD_RETURN_IF_ERROR(watch.Wrap());
  const double before = CpuSeconds();
  const absl::Time start = absl::Now();
  std::vector<std::jthread> threads;
  for (Watch& watch : watches)
    threads.emplace_back([&] { watch.Run(start, start + lasts, {interval, absl::Minutes(15)}); });
  threads.clear();
  std::printf("%s\n", Report(watches, lasts, CpuSeconds() - before).dump(2).c_str());
  return OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  int count = 0, seconds = 0, interval = 0;
  if (argc != 5 || !absl::SimpleAtoi(argv[2], &count) || !absl::SimpleAtoi(argv[3], &seconds) ||
      !absl::SimpleAtoi(argv[4], &interval) || count < 1 || seconds < 1 || interval < 1) {
    std::fprintf(stderr, "usage: keyhold_probes KEY_SPEC WATCHES SECONDS INTERVAL_MS\n");
    return 2;
  }
  const Status status = Measure(argv[1], count, absl::Seconds(seconds), absl::Milliseconds(interval));
  if (!status.ok()) std::fprintf(stderr, "Error: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
