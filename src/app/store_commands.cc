#include "app/store_commands.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "app/store_session.h"
#include "store/lock.h"
#include "store/reencrypt.h"
#include "store/tree.h"

namespace keyhold::app {
namespace {

using nlohmann::json;

constexpr size_t kOpenDescriptors = 256;
constexpr size_t kReadAtOnce = 1 << 20;

// A store of which this process has the lock.
struct OpenStore {
  OpenStore() = default;
  OpenStore(OpenStore&&) = default;
  OpenStore& operator=(OpenStore&&) = delete;
  ~OpenStore() {
    tree.reset();
    if (lock != nullptr) session->Settle();
  }

  std::unique_ptr<StoreSession> session;
  std::unique_ptr<store::Descriptor> lock;
  std::unique_ptr<store::Tree> tree;
};

StatusOr<OpenStore> Open(const StoreCommandOptions& options, Missing missing) {
  OpenStore opened;
  KEYHOLD_ASSIGN_OR_RETURN(opened.session,
                           StoreSession::Open(options.dir, options.key_spec, options.environment, missing));
  KEYHOLD_ASSIGN_OR_RETURN(opened.lock, store::LockStore(SystemPosix(), opened.session->dir()));
  KEYHOLD_ASSIGN_OR_RETURN(
      opened.tree, store::Tree::Open(opened.session->context(), opened.session->dir(), kOpenDescriptors));
  return opened;
}

bool IsStore(const std::string& path) {
  const int dir = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return false;
  const store::Descriptor closes(SystemPosix(), dir);
  return keyring::PeekKeyRing(SystemPosix(), dir).ok();
}

const char* StateOf(keyring::DataKeyState state) {
  switch (state) {
    case keyring::DataKeyState::kActive:
      return "active";
    case keyring::DataKeyState::kRetired:
      return "retired";
    case keyring::DataKeyState::kDestroyed:
      return "destroyed";
  }
  return "unknown";
}

json ToJson(const keyring::Info& info) {
  json keys = json::array();
  for (const keyring::KeyRecord& record : info.keys) {
    keys.push_back({{"uri", record.spec.uri},
                    {"version", record.version},
                    {"active", record.active},
                    {"guards_data", record.guards_data},
                    {"created_at", absl::FormatTime(record.created_at, absl::UTCTimeZone())}});
  }
  json data_keys = json::array();
  for (const keyring::DataKeyRecord& record : info.data_keys) {
    data_keys.push_back({{"id", record.id},
                         {"state", StateOf(record.state)},
                         {"seals", record.seals},
                         {"created_at", absl::FormatTime(record.created_at, absl::UTCTimeZone())}});
  }
  json out = {{"store_id", info.identity.store_id},
              {"region", info.identity.region},
              {"epoch", info.epoch},
              {"cmek_keys", keys},
              {"data_keys", data_keys}};
  if (info.recovery) out["recovery_key_id"] = info.recovery->key_id;
  if (info.recovered_at) out["recovered_at"] = absl::FormatTime(*info.recovered_at, absl::UTCTimeZone());
  if (info.accepted_at) out["accepted_at"] = absl::FormatTime(*info.accepted_at, absl::UTCTimeZone());
  return out;
}

json ToJson(const store::Census& census) {
  json uses = json::array();
  for (const auto& [id, use] : census.uses) {
    uses.push_back({{"data_key", id}, {"blocks", use.blocks}, {"maps", use.maps}, {"others", use.others}});
  }
  return {{"files", census.files},     {"directories", census.directories},
          {"links", census.links},     {"data_keys", uses},
          {"damaged", census.damaged}, {"damaged_places", census.damaged_places},
          {"missing", census.missing}};
}

void PrintJson(const json& value) { std::printf("%s\n", value.dump(2).c_str()); }

void Print(const StoreCommandOptions& options, const keyring::Info& info) {
  if (options.json) return PrintJson(ToJson(info));
  std::printf("store      %s\nregion     %s\nepoch      %llu\n", info.identity.store_id.c_str(),
              info.identity.region.c_str(), static_cast<unsigned long long>(info.epoch));
  for (const keyring::KeyRecord& record : info.keys) {
    std::printf("CMEK key   %s%s\n", record.spec.uri.c_str(),
                record.active        ? " (active)"
                : record.guards_data ? " (guards data that is not yet re-encrypted)"
                                     : " (no longer needed)");
  }
  if (info.recovery) std::printf("recovery   by key %s\n", info.recovery->key_id.c_str());
  if (info.recovered_at) {
    std::printf("recovered  at %s, without its KMS\n",
                absl::FormatTime(*info.recovered_at, absl::UTCTimeZone()).c_str());
  }
  if (info.accepted_at) {
    std::printf("accepted   at %s, as it was put back\n",
                absl::FormatTime(*info.accepted_at, absl::UTCTimeZone()).c_str());
  }
  for (const keyring::DataKeyRecord& record : info.data_keys) {
    std::printf("data key   %u, %s\n", record.id, StateOf(record.state));
  }
}

void Print(const StoreCommandOptions& options, const store::Census& census) {
  if (options.json) return PrintJson(ToJson(census));
  std::printf("%llu files, %llu directories, %llu links\n", static_cast<unsigned long long>(census.files),
              static_cast<unsigned long long>(census.directories),
              static_cast<unsigned long long>(census.links));
  std::printf("%-10s %14s %10s %10s\n", "data key", "blocks", "maps", "others");
  for (const auto& [id, use] : census.uses) {
    std::printf("%-10u %14llu %10llu %10llu\n", id, static_cast<unsigned long long>(use.blocks),
                static_cast<unsigned long long>(use.maps), static_cast<unsigned long long>(use.others));
  }
  for (const std::string& place : census.damaged_places) std::printf("damaged: %s\n", place.c_str());
  if (census.missing == 0) return;
  std::printf(
      "%llu files or directories are in the register and not found: deleted shortly before a crash, damaged, "
      "or taken away\n",
      static_cast<unsigned long long>(census.missing));
}

// An inode that is given back.
class Found {
 public:
  Found(store::Tree& tree, store::Inode* inode) : tree_(tree), inode_(inode) {}
  Found(Found&& other) noexcept : tree_(other.tree_), inode_(std::exchange(other.inode_, nullptr)) {}
  Found& operator=(Found&&) = delete;
  ~Found() {
    if (inode_ != nullptr && inode_ != tree_.root()) tree_.Forget(inode_, 1);
  }
  store::Inode* get() const { return inode_; }

 private:
  store::Tree& tree_;
  store::Inode* inode_;
};

StatusOr<Found> Find(store::Tree& tree, const std::string& path) {
  std::vector<Found> way;
  way.emplace_back(tree, tree.root());
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(path, '/', absl::SkipEmpty()))) {
    if (!S_ISDIR(way.back().get()->type)) return Error(Cause::kNotFound, path + ": not a directory");
    const auto entry = tree.Lookup(way.back().get(), name);
    if (!entry.ok()) return Annotate(entry.status(), path);
    way.emplace_back(tree, entry->inode);
  }
  return std::move(way.back());
}

Status WriteOut(crypto::Bytes bytes) {
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
  return written ? OkStatus() : ErrnoError(errno, "writing to stdout");
}

StatusOr<uint64_t> SizeBelow(store::Tree& tree, store::Inode* inode) {
  KEYHOLD_ASSIGN_OR_RETURN(const struct stat st, tree.Attributes(inode));
  if (!S_ISDIR(st.st_mode)) return static_cast<uint64_t>(st.st_size);
  KEYHOLD_ASSIGN_OR_RETURN(const auto entries, tree.List(inode));
  uint64_t total = 0;
  for (const store::Listed& listed : entries) {
    KEYHOLD_ASSIGN_OR_RETURN(const store::Entry entry, tree.Lookup(inode, listed.name));
    const Found found(tree, entry.inode);
    KEYHOLD_ASSIGN_OR_RETURN(const uint64_t size, SizeBelow(tree, found.get()));
    total += size;
  }
  return total;
}

void ShowProgress(const store::ReencryptProgress& progress) {
  std::fprintf(stderr, "\r%-9s %5.1f %%  %8.1f MiB/s  %s left        ", StateName(progress.state),
               progress.fraction * 100, progress.bytes_per_second / (1 << 20),
               progress.remaining == absl::InfiniteDuration()
                   ? "?"
                   : absl::FormatDuration(absl::Trunc(progress.remaining, absl::Seconds(1))).c_str());
  std::fflush(stderr);
}

}  // namespace

Status RunStoreCreate(const StoreCommandOptions& options) {
  if (IsStore(options.dir)) return Error(Cause::kAlreadyExists, options.dir + " is a store already");
  KEYHOLD_ASSIGN_OR_RETURN(const OpenStore opened, Open(options, Missing::kMake));
  Print(options, opened.session->ring().GetInfo());
  return OkStatus();
}

Status RunStoreInfo(const StoreCommandOptions& options) {
  if (!options.key_spec.empty()) {
    KEYHOLD_ASSIGN_OR_RETURN(const auto session, StoreSession::Open(options.dir, options.key_spec,
                                                                    options.environment, Missing::kRefuse));
    Print(options, session->ring().GetInfo());
    return OkStatus();
  }
  const int dir = open(options.dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return ErrnoError(errno, options.dir);
  const store::Descriptor closes(SystemPosix(), dir);
  const auto peeked = keyring::PeekKeyRing(SystemPosix(), dir);
  KEYHOLD_RETURN_IF_ERROR(peeked.status());
  if (options.json) {
    PrintJson({{"store_id", peeked->identity.store_id},
               {"region", peeked->identity.region},
               {"epoch", peeked->epoch},
               {"cmek_key_uri", peeked->spec.uri},
               {"authenticated", false}});
    return OkStatus();
  }
  std::printf(
      "store      %s\nregion     %s\nepoch      %llu\nCMEK key   %s\n"
      "(not authenticated; --cmek-key-spec opens it)\n",
      peeked->identity.store_id.c_str(), peeked->identity.region.c_str(),
      static_cast<unsigned long long>(peeked->epoch), peeked->spec.uri.c_str());
  return OkStatus();
}

Status RunStoreStatus(const StoreCommandOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const OpenStore opened, Open(options, Missing::kRefuse));
  KEYHOLD_ASSIGN_OR_RETURN(const store::Census census, store::TakeCensus(*opened.tree, false));
  Print(options, census);
  return OkStatus();
}

Status RunStoreVerify(const StoreCommandOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const OpenStore opened, Open(options, Missing::kRefuse));
  KEYHOLD_ASSIGN_OR_RETURN(const store::Census census, options.forget_missing
                                                           ? store::ForgetMissing(*opened.tree)
                                                           : store::TakeCensus(*opened.tree, true));
  Print(options, census);
  if (census.damaged == 0) return opened.tree->Close();
  return Error(Cause::kCorrupt, absl::StrCat(census.damaged,
                                             " places do not authenticate; put those files "
                                             "back from a backup"));
}

Status RunStoreReencrypt(const StoreCommandOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const OpenStore opened, Open(options, Missing::kRefuse));
  keyring::KeyRing& ring = opened.session->ring();
  if (options.new_data_key) KEYHOLD_RETURN_IF_ERROR(ring.AddDataKey().status());
  store::Reencryption reencryption(*opened.tree, SystemClock());
  KEYHOLD_RETURN_IF_ERROR(reencryption.Start({options.bytes_per_second}));
  if (isatty(STDERR_FILENO) != 0) {
    store::ReencryptProgress progress = reencryption.Progress();
    for (; absl::Now() < progress.ended_at; progress = reencryption.Progress()) {
      ShowProgress(progress);
      absl::SleepFor(absl::Milliseconds(200));
    }
    std::fprintf(stderr, "\n");
  }
  const store::ReencryptProgress done = reencryption.Wait();
  KEYHOLD_RETURN_IF_ERROR(done.status);
  KEYHOLD_ASSIGN_OR_RETURN(const auto destroyed, store::DestroyUnusedKeys(ring, done));
  if (options.json) {
    json result = ToJson(done.census);
    result["rewritten"] = done.blocks_rewritten;
    result["destroyed_data_keys"] = destroyed;
    PrintJson(result);
    return OkStatus();
  }
  Print(options, done.census);
  std::printf("%llu blocks, names and attributes rewritten\n",
              static_cast<unsigned long long>(done.blocks_rewritten));
  for (const store::DataKeyId id : destroyed) std::printf("data key %u destroyed\n", id);
  return OkStatus();
}

Status RunStoreCat(const StoreCommandOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const OpenStore opened, Open(options, Missing::kRefuse));
  KEYHOLD_ASSIGN_OR_RETURN(const Found found, Find(*opened.tree, options.path));
  if (!S_ISREG(found.get()->type)) {
    return Error(Cause::kInvalidArgument, options.path + " is not a file");
  }
  std::vector<uint8_t> buffer(kReadAtOnce);
  for (uint64_t offset = 0;;) {
    auto got = opened.tree->Read(found.get(), offset, buffer);
    if (!got.ok()) return Annotate(got.status(), options.path);
    if (*got == 0) break;
    KEYHOLD_RETURN_IF_ERROR(WriteOut({buffer.data(), *got}));
    offset += *got;
  }
  crypto::Wipe(buffer);
  return std::fflush(stdout) == 0 ? OkStatus() : ErrnoError(errno, "writing to stdout");
}

Status RunStoreList(const StoreCommandOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const OpenStore opened, Open(options, Missing::kRefuse));
  store::Tree& tree = *opened.tree;
  KEYHOLD_ASSIGN_OR_RETURN(const Found folder, Find(tree, options.path));
  if (!S_ISDIR(folder.get()->type)) {
    return Error(Cause::kInvalidArgument, options.path + " is not a directory");
  }
  KEYHOLD_ASSIGN_OR_RETURN(auto entries, tree.List(folder.get()));
  std::sort(entries.begin(), entries.end(),
            [](const store::Listed& a, const store::Listed& b) { return a.name < b.name; });
  for (const store::Listed& listed : entries) {
    KEYHOLD_ASSIGN_OR_RETURN(const store::Entry entry, tree.Lookup(folder.get(), listed.name));
    const Found found(tree, entry.inode);
    const char kind = S_ISDIR(entry.st.st_mode) ? 'd' : S_ISLNK(entry.st.st_mode) ? 'l' : '-';
    std::printf(
        "%c%04o %5u %5u %14lld %s %s\n", kind, entry.st.st_mode & 07777, entry.st.st_uid, entry.st.st_gid,
        static_cast<long long>(entry.st.st_size),
        absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::TimeFromTimespec(entry.st.st_mtim), absl::UTCTimeZone())
            .c_str(),
        listed.name.c_str());
  }
  return OkStatus();
}

Status RunStoreUsage(const StoreCommandOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const OpenStore opened, Open(options, Missing::kRefuse));
  KEYHOLD_ASSIGN_OR_RETURN(const Found found, Find(*opened.tree, options.path));
  KEYHOLD_ASSIGN_OR_RETURN(const uint64_t size, SizeBelow(*opened.tree, found.get()));
  std::printf("%llu\t%s\n", static_cast<unsigned long long>(size), options.path.c_str());
  return OkStatus();
}

}  // namespace keyhold::app
