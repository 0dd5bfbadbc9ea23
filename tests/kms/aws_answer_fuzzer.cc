// What AWS, or who stands in for it, may answer to any of our calls: never a crash, never a lock for an
// answer that says nothing. The first byte chooses the action that is answered so, and as
// whom we call.
#include "kms/aws/sts.h"
#include "tests/kms/fake_aws.h"
#include "tests/kms/fuzz_clouds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold;           // NOLINT
  using namespace keyhold::testing;  // NOLINT
  constexpr const char* kActions[] = {"Encrypt",    "Decrypt",           "DescribeKey",
                                      "AssumeRole", "GetCallerIdentity", "GenerateDataKey"};
  if (size == 0 || !crypto::InitSecretMemory().ok()) return 0;
  const char* action = kActions[data[0] % std::size(kActions)];
  const FuzzAnswer answer(data + 1, size - 1);
  FakeAws aws;
  aws.On(action, [&](const auto&) { return answer.Response(); });
  FuzzProvider provider({{"AWS_ACCESS_KEY_ID", "AKIA"}, {"AWS_SECRET_ACCESS_KEY", "secret"}}, aws);
  const char* principal = data[0] < 128 ? "" : FakeAws::kRole;
  UseKey(*provider.Open(kms::KeyType::kAwsKms, FakeAws::kKey, principal), answer);
  const auto text = kms::aws::XmlText(crypto::AsText(answer.body), "Arn");
  if (text.ok() && text->size() > answer.body.size()) std::abort();
  return 0;
}
