#include "app/localcloud_fault.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "app/localcloud_log.h"
#include "localcloud/fault_control.h"

namespace keyhold::app {
namespace {

using localcloud::Fault;
using localcloud::FaultOrder;

void Print(const nlohmann::json& json) {
  std::printf("%s\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

std::string Left(const Fault& fault) {
  if (fault.order.times != 0) return absl::StrCat(fault.order.times - fault.hits, " hits");
  if (fault.ends == absl::InfiniteFuture()) return "until cleared";
  return absl::FormatDuration(absl::Ceil(fault.ends - absl::Now(), absl::Seconds(1)));
}

}  // namespace

Status AddLocalCloudFault(const LocalCloudFaultOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const uint64_t id,
                           localcloud::AddFault(LocalCloudDir(options.dir), options.order));
  if (options.json) return Print({{"id", id}}), OkStatus();
  std::printf("fault %d: %s\nto end it: keyhold localcloud fault clear %d --dir %s\n", static_cast<int>(id),
              Describe(options.order).c_str(), static_cast<int>(id), options.dir.c_str());
  return OkStatus();
}

Status ListLocalCloudFaults(const LocalCloudFaultOptions& options) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto faults, localcloud::ListFaults(LocalCloudDir(options.dir)));
  if (options.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const Fault& fault : faults) all.push_back(ToJson(fault));
    return Print(all), OkStatus();
  }
  std::printf("%-5s %-8s %-8s %-14s %s\n", "ID", "MATCHED", "HITS", "LEFT", "FAULT");
  for (const Fault& fault : faults) {
    std::printf("%s\n", absl::StrFormat("%-5d %-8d %-8d %-14s %s", fault.id, fault.matched, fault.hits,
                                        Left(fault), Describe(fault.order))
                            .c_str());
  }
  return OkStatus();
}

Status ClearLocalCloudFaults(const LocalCloudFaultOptions& options) {
  return localcloud::ClearFaults(LocalCloudDir(options.dir), options.id);
}

std::string FaultHelp() {
  std::string text = "Kinds of faults:\n";
  for (const localcloud::FaultKind kind : localcloud::AllFaults()) {
    const std::string name(FaultName(kind)), meaning(FaultMeaning(kind));
    absl::StrAppendFormat(&text, "  %-13s %s\n", name, meaning);
  }
  return text;
}

}  // namespace keyhold::app
