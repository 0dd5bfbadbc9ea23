#include "node/memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace keyhold::node {
namespace {

using nlohmann::json;

StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream in(path);
  if (!in) return ErrnoError(errno, "reading " + path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

StatusOr<json> ParseText(const std::string& path, const std::string& text) {
  json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded() || !parsed.is_object())
    return Error(Cause::kCorrupt, path + " is damaged: it is not JSON");
  return parsed;
}

Status Replace(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(errno, "writing " + fresh);
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!written) return ErrnoError(error, "writing " + fresh);
  if (rename(fresh.c_str(), path.c_str()) != 0) return ErrnoError(errno, "replacing " + path);
  const int dir = open(path.substr(0, path.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = dir >= 0 && fsync(dir) == 0;
  if (dir >= 0) close(dir);
  return synced ? OkStatus() : ErrnoError(errno, "syncing the directory of " + path);
}

}  // namespace

StatusOr<Memory> ReadMemory(const std::string& dir) {
  const std::string path = dir + "/state.json";
  auto text = ReadText(path);
  if (!text.ok()) return ErrnoOf(text.status()) == ENOENT ? StatusOr<Memory>(Memory{}) : text.status();
  KEYHOLD_ASSIGN_OR_RETURN(json parsed, ParseText(path, *text));
  // Keys, re-encryption and recovery travel as a node's status does; the rest are plain fields.
  const json as_status = {{"keys", parsed.value("keys", json::array())},
                          {"reencryption", parsed.value("reencryption", json())},
                          {"recovery", parsed.value("recovery", json())}};
  auto status = wire::NodeStatusFromJson(as_status);
  if (!status.ok())
    return Error(Cause::kCorrupt, path + " is damaged: " + std::string(status.status().message()));
  try {
    Memory memory;
    memory.key_ring_epoch = parsed.value("key_ring_epoch", uint64_t{0});
    memory.store_generation = parsed.value("store_generation", uint64_t{0});
    memory.cmek_generation = parsed.value("cmek_generation", uint64_t{0});
    memory.cmek_status = parsed.value("cmek_status", memory.cmek_status);
    memory.cmek_failure = parsed.value("cmek_failure", "");
    memory.keys = std::move(status->keys);
    memory.reencryption = std::move(status->reencryption);
    memory.recovery = std::move(status->recovery);
    memory.accepted_at = parsed.value("accepted_at", "");
    memory.doomed_key = parsed.value("doomed_key", "");
    if (!memory.doomed_key.empty())
      memory.doomed_at = absl::FromUnixSeconds(parsed.value("doomed_at", int64_t{0}));
    return memory;
  } catch (const json::exception& e) {
    return Error(Cause::kCorrupt, path + " is damaged: " + e.what());
  }
}

Status WriteMemory(const std::string& dir, const Memory& memory) {
  wire::NodeStatus status;
  status.keys = memory.keys;
  status.reencryption = memory.reencryption;
  status.recovery = memory.recovery;
  const json as_status = wire::ToJson(status);
  json text = {{"key_ring_epoch", memory.key_ring_epoch},
               {"store_generation", memory.store_generation},
               {"cmek_generation", memory.cmek_generation},
               {"cmek_status", memory.cmek_status},
               {"cmek_failure", memory.cmek_failure},
               {"keys", as_status.at("keys")},
               {"reencryption", as_status.at("reencryption")},
               {"recovery", as_status.at("recovery")},
               {"accepted_at", memory.accepted_at}};
  if (!memory.doomed_key.empty()) {
    text["doomed_key"] = memory.doomed_key;
    text["doomed_at"] = absl::ToUnixSeconds(memory.doomed_at);
  }
  return Replace(dir + "/state.json", text.dump(2) + "\n");
}

StatusOr<wire::DesiredNode> ReadDesired(const std::string& dir) {
  const std::string path = dir + "/desired.json";
  KEYHOLD_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  KEYHOLD_ASSIGN_OR_RETURN(const json parsed, ParseText(path, text));
  return wire::DesiredNodeFromJson(parsed);
}

}  // namespace keyhold::node
