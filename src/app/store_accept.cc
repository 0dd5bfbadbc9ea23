#include "app/store_accept.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "app/log_format.h"
#include "app/store_location.h"
#include "app/store_session.h"
#include "keyring/keyring.h"
#include "store/restored.h"

namespace keyhold::app {
namespace {

constexpr absl::Duration kKmsBudget = absl::Seconds(20);
constexpr size_t kOpenDescriptors = 256;

struct Accepted {
  std::string store_id;
  uint64_t epoch = 0;
  store::Restored restored;
};

Status CheckKey(const kms::KeySpec& found, const kms::KeySpec& given) {
  if (found.type == kms::KeyType::kNullKms) {
    return Error(
        Cause::kFailedPrecondition,
        "this key ring is from before CMEK was enabled; put back a copy of the store from after that");
  }
  return CheckSameKey("the store", found, given);
}

// The ring first: the register is sealed under its new data key.
StatusOr<Accepted> Accept(const StoreAcceptOptions& options, const StoreLocation& location) {
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec, KeySpecFrom(options.key_spec));
  KEYHOLD_ASSIGN_OR_RETURN(const node::Past seen, SeenBy(location.node));
  KEYHOLD_ASSIGN_OR_RETURN(const LockedStore locked, Lock(location));
  const keyring::Identity& identity = locked.peeked.identity;
  KEYHOLD_RETURN_IF_ERROR(CheckKey(locked.peeked.spec, spec));
  KEYHOLD_ASSIGN_OR_RETURN(const auto provider, ProviderFor(options.environment, identity.cluster_id));
  KEYHOLD_ASSIGN_OR_RETURN(const auto kms, provider->Open(spec));
  KEYHOLD_ASSIGN_OR_RETURN(const auto ring,
                           keyring::KeyRing::Open(locked.place(), {identity, 0}, *kms, kKmsBudget));
  KEYHOLD_RETURN_IF_ERROR(ring->AcceptRestored(seen.key_ring_epoch));
  store::WriteCounter counter(SystemClock());
  const store::Context context{SystemPosix(), crypto::SystemRandom(), *ring, counter};
  KEYHOLD_ASSIGN_OR_RETURN(
      store::Restored restored,
      store::AcceptRestored(context, locked.dir->get(), kOpenDescriptors, seen.store_generation));
  KEYHOLD_RETURN_IF_ERROR(ring->SettleSeals());
  return Accepted{identity.store_id, ring->GetInfo().epoch, std::move(restored)};
}

std::string InWords(const Accepted& accepted) {
  const store::Restored& restored = accepted.restored;
  std::string words =
      absl::StrCat("store ", accepted.store_id, " was accepted as it was put back: ", restored.census.files,
                   " files, ", restored.census.directories, " directories, from generation ",
                   restored.generation, " and key ring epoch ", accepted.epoch, " on; ");
  if (!restored.had_register) {
    return absl::StrCat(words, "its register was damaged or gone: how old they are cannot be told");
  }
  return absl::StrCat(words, restored.given_up.older, " older than the register knew, ",
                      restored.given_up.deleted, " that it knew as deleted, ", restored.given_up.missing,
                      " that it knew and that were not found");
}

void Print(const Accepted& accepted, bool as_json) {
  if (!as_json) {
    std::printf("%s\n", InWords(accepted).c_str());
    for (const std::string& place : accepted.restored.census.damaged_places) {
      std::printf("damaged: %s\n", place.c_str());
    }
    return;
  }
  const store::Restored& restored = accepted.restored;
  nlohmann::json result = {{"store_id", accepted.store_id},
                           {"generation", restored.generation},
                           {"epoch", accepted.epoch},
                           {"had_register", restored.had_register},
                           {"files", restored.census.files},
                           {"directories", restored.census.directories},
                           {"damaged", restored.census.damaged},
                           {"damaged_places", restored.census.damaged_places}};
  if (restored.had_register) {
    result["older"] = restored.given_up.older;
    result["deleted"] = restored.given_up.deleted;
    result["missing"] = restored.given_up.missing;
  }
  std::printf("%s\n", result.dump(2).c_str());
}

// Where `keyhold start` has the node's log (docs/architecture.md); a node that was started by hand has none.
void Log(const StoreLocation& location, const std::string& words) {
  const std::filesystem::path node(location.node);
  const std::filesystem::path log =
      node.parent_path().parent_path() / "log" / absl::StrCat("node-", node.filename().string(), ".log");
  if (location.node.empty() || !std::filesystem::exists(log)) return;
  spdlog::logger logger("accepted", std::make_shared<spdlog::sinks::basic_file_sink_st>(log.string()));
  logger.set_formatter(LogFormat());
  logger.warn("store: {}", words);
}

}  // namespace

Status RunStoreAccept(const StoreAcceptOptions& options) {
  if (!options.yes) {
    return Error(
        Cause::kFailedPrecondition,
        absl::StrCat("whatever authenticates in ", options.dir,
                     " counts as the latest from then on: rows that were changed or deleted since it "
                     "was copied are back, and nobody is warned of it again; if you know where this "
                     "copy is from, say --yes"));
  }
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  const StoreLocation location = LocationOf(options.dir);
  KEYHOLD_ASSIGN_OR_RETURN(const Accepted accepted, Accept(options, location));
  Log(location, InWords(accepted));
  Print(accepted, options.json);
  const uint64_t damaged = accepted.restored.census.damaged;
  if (damaged == 0) return OkStatus();
  return Error(Cause::kCorrupt,
               absl::StrCat(damaged,
                            " places do not authenticate and stay unreadable; put those files "
                            "back from a backup and accept it again"));
}

}  // namespace keyhold::app
