#include "kms/platform_key.h"

#include "tests/kms/fixture.h"

namespace keyhold::kms {
namespace {

class PlatformKey : public Kmss {
 protected:
  StatusOr<std::unique_ptr<Kms>> OpenKey(IfMissing if_missing) {
    return OpenPlatformKey(SystemPosix(), path_, crypto::SystemRandom(), if_missing);
  }
  const std::string path_ = dir_.File("platform.key");
};

TEST_F(PlatformKey, IsMadeOnceAndPrivate) {
  const auto first = OpenKey(IfMissing::kCreate);
  ASSERT_TRUE(first.ok()) << first.status();
  struct stat found;
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600U);
  EXPECT_EQ(found.st_size, 32);
  const std::string content = testing::ReadFile(path_);
  const auto wrapped = (*first)->Wrap(crypto::AsBytes(secret_), context_, kBudget);
  const auto second = OpenKey(IfMissing::kCreate);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(testing::ReadFile(path_), content);
  EXPECT_EQ((*second)->Unwrap(crypto::AsBytes(wrapped->bytes), context_, kBudget)->ExposeText(), secret_);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1)
      << "no scratch file is left";
}

TEST_F(PlatformKey, MissingIsSaid) {
  const auto key = OpenKey(IfMissing::kFail);
  EXPECT_EQ(CauseOf(key.status()), Cause::kFailedPrecondition);
  EXPECT_THAT(std::string(key.status().message()), ::testing::HasSubstr("missing"));
}

TEST_F(PlatformKey, MustHave32Bytes) {
  for (const size_t size : {0, 31, 33, 1000}) {
    testing::WriteFile(path_, std::string(size, 'k'));
    ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
    EXPECT_EQ(CauseOf(OpenKey(IfMissing::kCreate).status()), Cause::kCorrupt) << size;
  }
}

TEST_F(PlatformKey, ReadableByOthersIsRefused) {
  ASSERT_TRUE(OpenKey(IfMissing::kCreate).ok());
  ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
  EXPECT_EQ(CauseOf(OpenKey(IfMissing::kFail).status()), Cause::kFailedPrecondition);
}

TEST_F(PlatformKey, LinksAreRefused) {
  testing::WriteFile(dir_.File("real"), std::string(32, 'k'));
  ASSERT_EQ(chmod(dir_.File("real").c_str(), 0600), 0);
  std::filesystem::create_symlink(dir_.File("real"), path_);
  EXPECT_EQ(CauseOf(OpenKey(IfMissing::kFail).status()), Cause::kFailedPrecondition);
}

TEST_F(PlatformKey, DirectoryThatIsNotThereIsAnIoError) {
  const auto key =
      OpenPlatformKey(SystemPosix(), dir_.File("no/key"), crypto::SystemRandom(), IfMissing::kCreate);
  EXPECT_EQ(CauseOf(key.status()), Cause::kIo);
}

}  // namespace
}  // namespace keyhold::kms
