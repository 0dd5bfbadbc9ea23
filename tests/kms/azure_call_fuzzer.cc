// What Azure, or who stands in for it, may answer to any of our calls: never a crash, never a lock for an
// answer that says nothing, and no token for a host that is not the vault's. The first byte chooses the
// action that is answered so.
#include "tests/kms/fake_azure.h"
#include "tests/kms/fuzz_clouds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold;           // NOLINT
  using namespace keyhold::testing;  // NOLINT
  constexpr const char* kActions[] = {"token", "challenge", "get", "wrapkey", "unwrapkey", "deleted"};
  if (size == 0 || !crypto::InitSecretMemory().ok()) return 0;
  const std::string called = kActions[data[0] % std::size(kActions)];
  FuzzAnswer answer(data + 1, size - 1);
  answer.of_state = called == "get" || called == "deleted";
  FakeAzure azure;
  azure.On(called, [&](const auto&) { return answer.Response(); });
  FuzzProvider provider(
      {{"AZURE_TENANT_ID", FakeAzure::kTenant}, {"AZURE_CLIENT_ID", "c"}, {"AZURE_CLIENT_SECRET", "s"}},
      azure);
  UseKey(*provider.Open(kms::KeyType::kAzureKeyVault, FakeAzure::kKey, ""), answer);
  for (const FakeAzure::Seen& seen : azure.seen()) {
    if (seen.host != FakeAzure::kHost && seen.host != "login.microsoftonline.com") std::abort();
  }
  return 0;
}
