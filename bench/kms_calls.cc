// A KMS's wrap or unwrap over a kept connection, or the bare round trip to its host, again and again.
//
//   kms_calls wrap|unwrap KEY_SPEC SECONDS     credentials, proxy and CA: as a node's, by variables
//   kms_calls round-trip HOST SECONDS
//
// Prints the median in milliseconds.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/posix.h"
#include "kms/http.h"
#include "kms/key_spec.h"
#include "kms/provider.h"
#include "spdlog/spdlog.h"

extern char** environ;

namespace {

using namespace keyhold;

constexpr absl::Duration kTimeout = absl::Seconds(10);

// The first call opens the connection and gets a token; it does not count.
template <typename Call>
StatusOr<double> MedianMilliseconds(absl::Duration lasts, Call call) {
  KEYHOLD_RETURN_IF_ERROR(call());
  std::vector<double> took;
  const absl::Time end = absl::Now() + lasts;
  do {
    const absl::Time start = absl::Now();
    KEYHOLD_RETURN_IF_ERROR(call());
    took.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
  } while (absl::Now() < end);
  std::nth_element(took.begin(), took.begin() + took.size() / 2, took.end());
  return took[took.size() / 2];
}

StatusOr<double> RoundTrip(const std::string& host, absl::Duration lasts) {
  kms::Environment variables = ReadEnvironment(environ);
  KEYHOLD_ASSIGN_OR_RETURN(const auto transport,
                           kms::NewHttpTransport({.https_proxy = variables["HTTPS_PROXY"],
                                                  .ca_file = variables["AWS_CA_BUNDLE"]}));
  return MedianMilliseconds(lasts, [&] {
    kms::HttpRequest request;
    request.method = "GET";
    request.host = host;
    return transport->Send(request).status();
  });
}

StatusOr<double> KeyCall(bool unwrap, const std::string& spec_text, absl::Duration lasts) {
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec, kms::ParseKeySpec(spec_text));
  KEYHOLD_ASSIGN_OR_RETURN(const auto provider,
                           kms::NewProvider({ReadEnvironment(environ), "", "bench", SystemPosix(),
                                             SystemClock(), crypto::SystemRandom(), kms::SystemSleeper()}));
  KEYHOLD_ASSIGN_OR_RETURN(const auto key, provider->Open(spec));
  const kms::Context context = {{"keyhold:cluster", "bench"}};
  const crypto::SecretBytes secret = crypto::SystemRandom().Secret(32);
  KEYHOLD_ASSIGN_OR_RETURN(const kms::Wrapped wrapped, key->Wrap(secret.Expose(), context, kTimeout));
  return MedianMilliseconds(lasts, [&] {
    return unwrap ? key->Unwrap(crypto::AsBytes(wrapped.bytes), context, kTimeout).status()
                  : key->Wrap(secret.Expose(), context, kTimeout).status();
  });
}

StatusOr<double> Measure(const std::string& what, const std::string& subject, absl::Duration lasts) {
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  KEYHOLD_RETURN_IF_ERROR(kms::InitTransport());
  return what == "round-trip" ? RoundTrip(subject, lasts) : KeyCall(what == "unwrap", subject, lasts);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  double seconds = 0;
  if (argc != 4 || (what != "wrap" && what != "unwrap" && what != "round-trip") ||
      !absl::SimpleAtod(argv[3], &seconds)) {
    std::fprintf(stderr,
                 "usage: kms_calls wrap|unwrap KEY_SPEC SECONDS | kms_calls round-trip HOST SECONDS\n");
    return 2;
  }
  spdlog::set_level(spdlog::level::warn);
  const auto median = Measure(what, argv[2], absl::Seconds(seconds));
  if (median.ok()) {
    std::printf("%.4f\n", *median);
  } else {
    std::fprintf(stderr, "Error: %s\n", std::string(median.status().message()).c_str());
  }
  return median.ok() ? 0 : 1;
}
