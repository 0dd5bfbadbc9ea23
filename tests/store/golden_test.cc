// The format as files: the latest version is written to the byte, and each one opens; what is damaged is
// refused, by its cause and with its place in the log. tests/golden/v1/store/ holds a store from before there
// were registers, v2/store/ one with (their extended attributes in `attributes`, a line each: path, name,
// value in hex), tests/broken/store/ sectors, identities and registers that authenticate and still must be
// refused. No switch writes them anew: what a version wrote must stay readable as it is.
#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "store/reencrypt.h"
#include "tests/base/fake_clock.h"
#include "tests/base/fixed_random.h"
#include "tests/store/tree_fixture.h"
#include "tests/support/source_dir.h"

namespace keyhold::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

const std::string kLongName(255, 'n');

std::string Path(const std::string& name) { return testing::SourceDir() + "/tests/" + name; }

std::string Text(size_t size, char first) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(first + i / kPayloadSize);
  return text;
}

testing::BackingTree ReadGolden(const std::string& store = "v1/store") {
  testing::BackingTree tree = testing::ReadBacking(Path("golden/" + store));
  std::stringstream lines(tree.extract("attributes").mapped().content);
  std::string path, name, value;
  for (auto& [ignored, backing] : tree) backing.attributes.clear();
  while (lines >> path >> name >> value) {
    tree[path].attributes[name] = absl::HexStringToBytes(value);
  }
  return tree;
}

class GoldenStore : public testing::TreeFixture {
 protected:
  // What tests/golden/v2/sealed holds. In v2/store nobody had synced but the first file.
  void MakeGolden() {
    testing::FixedRandom random;
    testing::FakeClock clock;
    WriteCounter counter(clock);
    const Context fixed{SystemPosix(), random, keys_, counter};
    OpenTree(fixed);
    SyncAndSeal(Make(tree_->root(), "empty", ""));
    Inode* blocks = Make(tree_->root(), "blocks", Text(3 * kPayloadSize + 100, 'a'));
    SyncAndSeal(blocks);
    clock.Advance(absl::Hours(1));
    keys_.Add();
    ASSERT_TRUE(
        tree_->Write(blocks, StartOf(1), crypto::AsBytes(Text(kPayloadSize, 'x')), Durability::kLazy).ok());
    SyncAndSeal(blocks);
    Inode* hole = Make(tree_->root(), "hole", "");
    ASSERT_TRUE(tree_->Write(hole, StartOf(2), crypto::AsBytes("behind a hole"), Durability::kLazy).ok());
    ASSERT_TRUE(tree_->SetAttribute(hole, "user.colour", "blue", 0).ok());
    SyncAndSeal(hole);
    ASSERT_TRUE(tree_->MakeSymlink(tree_->root(), "link", "../a/target", kMe).ok());
    const auto folder = tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe);
    ASSERT_TRUE(folder.ok()) << folder.status();
    SyncAndSeal(Make(folder->inode, kLongName, "of a long name"));
    tree_.reset();
  }
  void PutGolden(const std::string& store = "v1/store") {
    ASSERT_NO_FATAL_FAILURE(testing::WriteBacking(ReadGolden(store), store_.path()));
    keys_.Add();
  }
  std::string BackingOf(const std::string& name) {
    const auto identity = ReadIdentity(context_, OpenBelow("root", O_RDONLY), InodeKind::kDirectory);
    return "root/" + Names::Of(context_, *identity)->Seal(name)->entry;
  }
  int OpenBelow(const std::string& path, int flags) {
    descriptors_.push_back(std::make_unique<Descriptor>(
        SystemPosix(), open((store_.path() + "/" + path).c_str(), flags | O_CLOEXEC)));
    return descriptors_.back()->get();
  }

  std::vector<std::unique_ptr<Descriptor>> descriptors_;
};

TEST_F(GoldenStore, Version2IsWrittenToTheByte) {
  ASSERT_NO_FATAL_FAILURE(MakeGolden());
  const testing::BackingTree written = testing::ReadBacking(store_.path());
  const testing::BackingTree golden = ReadGolden("v2/sealed");
  for (const auto& [path, backing] : golden) {
    ASSERT_TRUE(written.contains(path)) << path;
    EXPECT_EQ(written.at(path).type, backing.type) << path;
    EXPECT_EQ(written.at(path).attributes, backing.attributes) << path;
    EXPECT_TRUE(written.at(path).content == backing.content) << path;
  }
  EXPECT_EQ(written.size(), golden.size());
}

class EveryStore : public GoldenStore, public ::testing::WithParamInterface<const char*> {};

TEST_P(EveryStore, Opens) {
  ASSERT_NO_FATAL_FAILURE(PutGolden(GetParam()));
  for (int opening = 0; opening < 2; ++opening) {
    OpenTree();
    Inode* root = tree_->root();
    EXPECT_THAT(NamesIn(root), UnorderedElementsAre("empty", "blocks", "hole", "link", "folder"));
    EXPECT_EQ(*ReadAll(Find(root, "empty")), "");
    std::string blocks = Text(3 * kPayloadSize + 100, 'a');
    blocks.replace(kPayloadSize, kPayloadSize, Text(kPayloadSize, 'x'));
    EXPECT_EQ(*ReadAll(Find(root, "blocks")), blocks);
    Inode* hole = Find(root, "hole");
    EXPECT_EQ(*ReadAll(hole), std::string(2 * kPayloadSize, '\0') + "behind a hole");
    EXPECT_THAT(*tree_->ListAttributes(hole), ElementsAre("user.colour"));
    EXPECT_EQ(*tree_->GetAttribute(hole, "user.colour"), "blue");
    EXPECT_EQ(*tree_->ReadLink(Find(root, "link")), "../a/target");
    Inode* folder = Find(root, "folder");
    EXPECT_THAT(NamesIn(folder), ElementsAre(kLongName));
    EXPECT_EQ(*ReadAll(Find(folder, kLongName)), "of a long name");
    EXPECT_EQ(tree_->corrupt_count(), 0U);
    EXPECT_TRUE(tree_->Close().ok());
    EXPECT_NE(tree_->generation(), 0U) << "it has a register from now on";
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, EveryStore, ::testing::Values("v1/store", "v2/store", "v2/sealed"));

// A store from before there were registers: what it had is known from the first time that it was seen.
TEST_F(GoldenStore, Version1GainsARegister) {
  ASSERT_NO_FATAL_FAILURE(PutGolden());
  OpenTree();
  EXPECT_EQ(tree_->generation(), 0U);
  const testing::Backing empty = ReadGolden().at(BackingOf("empty"));
  const testing::Backing hole = ReadGolden().at(BackingOf("hole"));
  Inode* file = Find(tree_->root(), "hole");
  ASSERT_TRUE(tree_->Write(file, 0, crypto::AsBytes("new"), Durability::kLazy).ok());
  SyncAndSeal(file);
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "empty").ok());
  EXPECT_EQ(TakeCensus(*tree_, true)->damaged, 0U);
  const std::string empty_path = BackingOf("empty");
  const std::string hole_path = BackingOf("hole");
  tree_.reset();
  std::filesystem::remove(store_.path() + "/" + hole_path);
  ASSERT_NO_FATAL_FAILURE(testing::WriteBacking({{empty_path, empty}, {hole_path, hole}}, store_.path()));
  OpenTree();
  EXPECT_EQ(CauseOf(tree_->Lookup(tree_->root(), "empty").status()), Cause::kCorrupt);
  EXPECT_EQ(CauseOf(tree_->Lookup(tree_->root(), "hole").status()), Cause::kCorrupt);
  EXPECT_TRUE(ReadAll(Find(tree_->root(), "blocks")).ok());
}

// The golden file `blocks`, its identity and its sectors, in a file of its own.
class BrokenFile : public GoldenStore {
 protected:
  void SetUp() override {
    GoldenStore::SetUp();
    ASSERT_NO_FATAL_FAILURE(PutGolden());
    golden_ = ReadGolden().at(BackingOf("blocks"));
    identity_ = golden_.attributes.at(kIdentityAttribute);
    Put(golden_.content);
    PutIdentity(identity_);
    ASSERT_TRUE(ReadWhole().ok()) << ReadWhole();
  }
  void Put(const std::string& content) {
    ASSERT_EQ(ftruncate(backing_.fd(), 0), 0);
    PutAt(0, content);
  }
  void PutAt(uint64_t offset, const std::string& bytes) {
    ASSERT_EQ(pwrite(backing_.fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset)), bytes.size());
  }
  void PutIdentity(const std::string& bytes) {
    ASSERT_EQ(fsetxattr(backing_.fd(), kIdentityAttribute, bytes.data(), bytes.size(), 0), 0);
  }
  Status ReadWhole() {
    KEYHOLD_ASSIGN_OR_RETURN(const auto file, File::Open(context_, backing_.fd()));
    std::vector<uint8_t> out(file->size());
    return file->Read(backing_.fd(), 0, out).status();
  }
  std::string SectorOf(uint64_t block) { return golden_.content.substr(DataSectorAt(block), kSectorSize); }

  testing::TempFile backing_;
  testing::Backing golden_;
  std::string identity_;
};

TEST_F(BrokenFile, EveryChangedByteIsRefused) {
  for (size_t at = 0; at < golden_.content.size(); ++at) {
    const char good = golden_.content[at];
    PutAt(at, std::string(1, static_cast<char>(good ^ (1 << (at % 8)))));
    ASSERT_EQ(ReadWhole().ok() ? Cause::kInternal : CauseOf(ReadWhole()), Cause::kCorrupt) << "byte " << at;
    PutAt(at, std::string(1, good));
  }
  EXPECT_TRUE(ReadWhole().ok());
}

TEST_F(BrokenFile, EveryChangedByteOfTheIdentityIsRefused) {
  for (size_t at = 0; at < identity_.size(); ++at) {
    std::string bad = identity_;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    PutIdentity(bad);
    ASSERT_EQ(ReadWhole().ok() ? Cause::kInternal : CauseOf(ReadWhole()), Cause::kCorrupt) << "byte " << at;
  }
}

TEST_F(BrokenFile, CutAnywhereItIsRefused) {
  for (size_t size = 0; size < golden_.content.size(); size += 64) {
    ASSERT_EQ(ftruncate(backing_.fd(), static_cast<off_t>(size)), 0);
    ASSERT_EQ(ReadWhole().ok() ? Cause::kInternal : CauseOf(ReadWhole()), Cause::kCorrupt) << size;
    Put(golden_.content);
  }
}

TEST_F(BrokenFile, SectorsDoNotFitElsewhere) {
  const size_t sectors = golden_.content.size() / kSectorSize;
  for (size_t from = 0; from < sectors; ++from) {
    for (size_t to = 0; to < sectors; ++to) {
      if (from == to) continue;
      PutAt(to * kSectorSize, golden_.content.substr(from * kSectorSize, kSectorSize));
      EXPECT_EQ(CauseOf(ReadWhole()), Cause::kCorrupt) << from << " to " << to;
      Put(golden_.content);
    }
  }
}

struct Case {
  const char* name;  // below tests/broken/store; *.identity, else a sector in the place of block 1
  const char* message;
};

class AuthenticAndWrong : public BrokenFile, public ::testing::WithParamInterface<Case> {};

TEST_P(AuthenticAndWrong, IsRefused) {
  const std::string name = GetParam().name;
  const std::string bytes = testing::ReadFile(Path("broken/store/" + name));
  if (name.ends_with(".identity")) {
    ASSERT_EQ(bytes.size(), identity_.size());
    PutIdentity(bytes);
  } else {
    ASSERT_EQ(bytes.size(), kSectorSize);
    PutAt(DataSectorAt(1), bytes);
  }
  const Status status = ReadWhole();
  EXPECT_EQ(CauseOf(status), Cause::kCorrupt);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Broken, AuthenticAndWrong,
    ::testing::Values(Case{"older_copy.sector", "block 1 was replaced by an older copy of itself"},
                      Case{"of_another_file.sector", "block 1 does not authenticate"},
                      Case{"unknown_flags.sector", "block 1 is of an unknown form"},
                      Case{"reserved_bytes.sector", "block 1 is of an unknown form"},
                      Case{"too_long.sector", "block 1 is of an unknown form"},
                      Case{"data_key_zero.sector", "block 1 is of an unknown form"},
                      Case{"data_key_unknown.sector",
                           "block 1 is under a data key that is not in the key ring"},
                      Case{"map_as_data.sector", "block 1 does not authenticate"},
                      Case{"newer_version.identity", "its identity is of an unknown form"},
                      Case{"unknown_flags.identity", "its identity is of an unknown form"},
                      Case{"of_a_directory.identity", "its identity does not authenticate"},
                      Case{"data_key_unknown.identity", "its identity: "},
                      Case{"longer_than_the_file.identity", "the file was cut short"}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

// A register as a file of its own: its identity, and what it holds.
class BrokenRegister : public GoldenStore, public ::testing::WithParamInterface<Case> {};

TEST_P(BrokenRegister, IsRefused) {
  ASSERT_NO_FATAL_FAILURE(PutGolden("v2/store"));
  const std::string bytes = testing::ReadFile(Path(std::string("broken/store/") + GetParam().name));
  constexpr size_t kIdentitySize = 56;
  ASSERT_GT(bytes.size(), kIdentitySize);
  const testing::Backing broken{
      'f', bytes.substr(kIdentitySize), {{kIdentityAttribute, bytes.substr(0, kIdentitySize)}}};
  ASSERT_NO_FATAL_FAILURE(testing::WriteBacking({{"register", broken}}, store_.path()));
  const Status status = Tree::Open(context_, store_.fd(), 16).status();
  EXPECT_EQ(CauseOf(status), Cause::kCorrupt);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Broken, BrokenRegister,
    ::testing::Values(Case{"newer_version.register", "the store's register: it is of an unknown form"},
                      Case{"unknown_flags.register", "the store's register: it is of an unknown form"},
                      Case{"out_of_order.register", "the store's register: it is damaged"},
                      Case{"line_of_zeroes.register", "the store's register: it is damaged"},
                      Case{"map_without_file.register", "the store's register: it is damaged"},
                      Case{"fewer_lines.register", "the store's register: it is damaged"},
                      Case{"no_head.register", "the store's register: it is damaged"}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

// What the store's user and operator see.
class BrokenStore : public GoldenStore {
 protected:
  void SetUp() override {
    GoldenStore::SetUp();
    ASSERT_NO_FATAL_FAILURE(PutGolden());
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_)));
  }
  void TearDown() override { spdlog::set_default_logger(before_); }
  std::string LogLine(ino_t inode, const std::string& what) {
    return "store: backing inode " + std::to_string(inode) + ": " + what;
  }

  std::stringstream log_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST_F(BrokenStore, ADamagedBlockIsNamedInTheLogAndCounted) {
  const int fd = OpenBelow(BackingOf("blocks"), O_RDWR);
  ASSERT_EQ(pwrite(fd, "?", 1, static_cast<off_t>(DataSectorAt(2)) + 77), 1);
  OpenTree();
  Inode* blocks = Find(tree_->root(), "blocks");
  EXPECT_EQ(CauseOf(ReadAll(blocks).status()), Cause::kCorrupt);
  EXPECT_EQ(tree_->corrupt_count(), 1U);
  EXPECT_THAT(log_.str(), HasSubstr(LogLine(blocks->key.number, "block 2 does not authenticate")));
  // The rest of the file and other files go on.
  std::array<uint8_t, 10> some;
  EXPECT_TRUE(tree_->Read(blocks, StartOf(1), some).ok());
  EXPECT_TRUE(ReadAll(Find(tree_->root(), "hole")).ok());
}

TEST_F(BrokenStore, AnIdentityOnAnotherFileIsRefused) {
  const testing::BackingTree golden = ReadGolden();
  const std::string& foreign = golden.at(BackingOf("hole")).attributes.at(kIdentityAttribute);
  const int fd = OpenBelow(BackingOf("blocks"), O_RDWR);
  ASSERT_EQ(fsetxattr(fd, kIdentityAttribute, foreign.data(), foreign.size(), 0), 0);
  OpenTree();
  EXPECT_EQ(CauseOf(tree_->Lookup(tree_->root(), "blocks").status()), Cause::kCorrupt);
  EXPECT_THAT(log_.str(), HasSubstr("does not authenticate"));
}

TEST_F(BrokenStore, AChangedLinkOrAttributeIsRefused) {
  const std::string link = store_.path() + "/" + BackingOf("link");
  std::string target = std::filesystem::read_symlink(link).string();
  target[20] = target[20] == 'A' ? 'B' : 'A';
  std::filesystem::remove(link);
  std::filesystem::create_symlink(target, link);
  const std::string hole = store_.path() + "/" + BackingOf("hole");
  for (auto& [name, value] : testing::AttributesOf(hole)) {
    if (name == kIdentityAttribute) continue;
    std::string bad = value;
    bad.back() = static_cast<char>(bad.back() ^ 1);
    ASSERT_EQ(lsetxattr(hole.c_str(), name.c_str(), bad.data(), bad.size(), 0), 0);
  }
  OpenTree();
  EXPECT_EQ(CauseOf(tree_->Lookup(tree_->root(), "link").status()), Cause::kCorrupt);
  EXPECT_EQ(CauseOf(tree_->GetAttribute(Find(tree_->root(), "hole"), "user.colour").status()),
            Cause::kCorrupt);
  EXPECT_EQ(tree_->corrupt_count(), 2U);
}

// A name that was changed, or stands in another directory, is no name.
TEST_F(BrokenStore, NamesThatAreNotTheDirectorysOwnAreNotListed) {
  const std::string root = store_.path() + "/root";
  const std::string empty = store_.path() + "/" + BackingOf("empty");
  std::string changed = empty;
  changed[root.size() + 5] = changed[root.size() + 5] == 'A' ? 'B' : 'A';
  std::filesystem::rename(empty, changed);
  const std::string folder = store_.path() + "/" + BackingOf("folder");
  const std::string hole = store_.path() + "/" + BackingOf("hole");
  std::filesystem::rename(hole, folder + hole.substr(root.size()));
  OpenTree();
  EXPECT_THAT(NamesIn(tree_->root()), UnorderedElementsAre("blocks", "link", "folder"));
  EXPECT_THAT(NamesIn(Find(tree_->root(), "folder")), ElementsAre(kLongName));
  EXPECT_EQ(ErrnoOf(tree_->Lookup(tree_->root(), "empty").status()), ENOENT);
}

// One entry for a name: no other spelling of it, and none for no name at all.
TEST_F(BrokenStore, EntriesThatOnlyLookSealedAreNotListed) {
  const std::string entry = store_.path() + "/" + BackingOf("empty");
  const std::string root = store_.path() + "/root/";
  for (const std::string& other :
       {entry + "=", entry + "\n", root + std::string(22, 'A'), root + std::string(21, 'A')}) {
    std::filesystem::create_hard_link(entry, other);
  }
  OpenTree();
  EXPECT_THAT(NamesIn(tree_->root()), UnorderedElementsAre("blocks", "empty", "hole", "link", "folder"));
}

}  // namespace
}  // namespace keyhold::store
