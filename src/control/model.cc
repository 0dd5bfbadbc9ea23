#include "control/model.h"

#include <array>

namespace keyhold::control {
namespace {

constexpr std::array<std::string_view, 3> kPlans = {"BASIC", "STANDARD", "ADVANCED"};
constexpr std::array<std::string_view, 5> kLifecycles = {"CREATING", "CREATED", "CREATION_FAILED", "DELETING",
                                                         "DELETED"};
constexpr std::array<std::string_view, 3> kCmekKinds = {"NONE", "ENABLE", "ROTATE"};

template <typename Enum, size_t N>
std::optional<Enum> FromName(const std::array<std::string_view, N>& names, std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view PlanName(Plan plan) { return kPlans[static_cast<size_t>(plan)]; }
std::string_view LifecycleName(Lifecycle lifecycle) { return kLifecycles[static_cast<size_t>(lifecycle)]; }
std::string_view CmekKindName(CmekKind kind) { return kCmekKinds[static_cast<size_t>(kind)]; }

std::optional<Plan> PlanFromName(std::string_view name) { return FromName<Plan>(kPlans, name); }
std::optional<Lifecycle> LifecycleFromName(std::string_view name) {
  return FromName<Lifecycle>(kLifecycles, name);
}
std::optional<CmekKind> CmekKindFromName(std::string_view name) {
  return FromName<CmekKind>(kCmekKinds, name);
}

std::string Rfc3339(absl::Time time) {
  if (time == absl::InfinitePast()) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

}  // namespace keyhold::control
