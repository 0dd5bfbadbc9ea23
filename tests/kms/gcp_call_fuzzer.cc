// What Google, or who stands in for it, may answer to any of our calls: never a crash, never a lock for an
// answer that says nothing. The first byte chooses the method that is answered so, and as whom we
// call.
#include "tests/kms/fake_gcp.h"
#include "tests/kms/fuzz_clouds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold;           // NOLINT
  using namespace keyhold::testing;  // NOLINT
  constexpr const char* kMethods[] = {":encrypt", ":decrypt", "/key", "/token", ":generateAccessToken"};
  if (size == 0 || !crypto::InitSecretMemory().ok()) return 0;
  const std::string called = kMethods[data[0] % std::size(kMethods)];
  FuzzAnswer answer(data + 1, size - 1);
  answer.of_state = called == "/key";
  FakeGcp gcp;
  gcp.On(called, [&](const auto&) { return answer.Response(); });
  FuzzProvider provider({}, gcp);
  const char* principal = data[0] < 128 ? "" : FakeGcp::kCustomer;
  UseKey(*provider.Open(kms::KeyType::kGcpCloudKms, FakeGcp::kKey, principal), answer);
  return 0;
}
