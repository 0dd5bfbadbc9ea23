// What survives: a restart, kill -9 at any instant, and what a start refuses.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {
namespace {

Json Sealed(const AwsClient& client, const std::string& key) {
  return client.Kms("Encrypt", {{"KeyId", key}, {"Plaintext", "eA=="}}).body["CiphertextBlob"];
}

TEST(Durability, ARestartGoesOnWithTheSameAccountsAndKeys) {
  TestCloud cloud;
  std::string key = cloud.NewKey();
  Json blob = Sealed(cloud.Customer(), key);
  ASSERT_TRUE(cloud.Customer().Kms("RotateKeyOnDemand", {{"KeyId", key}}).ok());
  std::string ca = ReadFile(cloud.File("ca.pem")), customer = ReadFile(cloud.File("customer.json"));
  cloud.Restart();
  EXPECT_EQ(ReadFile(cloud.File("ca.pem")), ca);
  EXPECT_EQ(ReadFile(cloud.File("customer.json")), customer);
  EXPECT_EQ(cloud.Customer().Kms("Decrypt", {{"CiphertextBlob", blob}}).body["Plaintext"], "eA==");
}

TEST(Durability, FilesHaveTheirModes) {
  TestCloud cloud;
  struct stat status;
  for (const auto& [name, mode] :
       {std::pair("", 0700u), std::pair("hsm.key", 0600u), std::pair("ca.key", 0600u),
        std::pair("ca.pem", 0644u), std::pair("customer.json", 0600u),
        std::pair("platform/aws-credentials", 0600u), std::pair("cloud.db", 0600u)}) {
    ASSERT_EQ(stat(cloud.File(name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, mode) << name;
  }
}

// In a child: serves `dir` until it is killed; the port goes to `out`.
[[noreturn]] void ServeUntilKilled(const std::string& dir, int out) {
  auto cloud = LocalCloud::Start({dir, "127.0.0.1:0"}, SystemClock(), crypto::SystemRandom());
  uint16_t port = cloud.ok() ? (*cloud)->port() : 0;
  if (write(out, &port, sizeof port) != sizeof port) _exit(1);
  while (true) pause();
}

TEST(Durability, KillNineLosesNoAcknowledgedChange) {
  TempDir dir;
  std::vector<std::string> acknowledged;
  for (int round = 0; round < 5; round++) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) ServeUntilKilled(dir.path(), ends[1]);
    close(ends[1]);
    uint16_t port = 0;
    ASSERT_EQ(read(ends[0], &port, sizeof port), static_cast<ssize_t>(sizeof port));
    close(ends[0]);
    Json file = Json::parse(ReadFile(dir.path() + "/customer.json"))["aws"];
    AwsClient client(port, dir.path() + "/ca.pem", {file["access_key_id"], file["secret_access_key"], ""},
                     SystemClock());
    for (const std::string& key : acknowledged) {
      EXPECT_EQ(client.Kms("DescribeKey", {{"KeyId", key}}).body["KeyMetadata"]["KeyState"], "Disabled")
          << key;
    }
    for (int i = 0; i < 4; i++) {
      Answer made = client.Kms("CreateKey", Json::object());
      ASSERT_TRUE(made.ok()) << made.text;
      std::string key = made.body["KeyMetadata"]["Arn"];
      ASSERT_TRUE(client.Kms("DisableKey", {{"KeyId", key}}).ok());
      acknowledged.push_back(key);
    }
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
  }
  EXPECT_EQ(acknowledged.size(), 20u);
}

Status StartOn(const std::string& dir) {
  return LocalCloud::Start({dir, "127.0.0.1:0"}, SystemClock(), crypto::SystemRandom()).status();
}

TEST(Durability, ASecondLocalCloudOnADirectoryIsRefused) {
  TestCloud cloud;
  EXPECT_EQ(CauseOf(StartOn(cloud.dir())), Cause::kFailedPrecondition);
}

TEST(Durability, DamageIsToldAndChangesNothing) {
  for (const char* name : {"hsm.key", "ca.pem", "ca.key", "cloud.db"}) {
    TestCloud cloud;
    cloud.Stop();
    std::filesystem::resize_file(cloud.File(name), 20);
    std::string before = ReadFile(cloud.File(name));
    EXPECT_EQ(CauseOf(StartOn(cloud.dir())), Cause::kCorrupt) << name;
    EXPECT_EQ(ReadFile(cloud.File(name)), before) << name;
  }
}

TEST(Durability, AnotherCloudsSealingKeyIsRefused) {
  TestCloud one, other;
  one.Stop();
  std::filesystem::copy_file(other.File("hsm.key"), one.File("hsm.key"),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(CauseOf(StartOn(one.dir())), Cause::kCorrupt);
}

}  // namespace
}  // namespace keyhold::localcloud
