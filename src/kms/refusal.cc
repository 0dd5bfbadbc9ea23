#include "kms/refusal.h"

#include <algorithm>

#include "kms/text.h"

namespace keyhold::kms {

std::optional<Cause> CauseIn(std::span<const ErrorRow> rows, std::string_view name) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const ErrorRow& r) { return r.name == name; });
  return row == rows.end() ? std::nullopt : std::optional(row->cause);
}

Cause CauseOfHttpStatus(int http_status) {
  if (http_status == 429) return Cause::kKmsThrottled;
  return http_status >= 500 ? Cause::kKmsUnreachable : Cause::kKmsCorrupt;
}

Status ToStatus(const Refusal& refusal, Cause cause) {
  std::string said = Printable(refusal.said);
  if (!said.empty() && said.back() == '.') said.pop_back();
  const bool named = !refusal.name.empty();
  std::string name = named ? Printable(refusal.name, 80) : "HTTP " + std::to_string(refusal.http_status);
  if (!refusal.inner.empty() && !said.starts_with(refusal.inner)) {
    name += StrCat({" (", Printable(refusal.inner, 80), ")"});
  }
  const std::string as = refusal.principal.empty() ? "" : StrCat({" as ", refusal.principal});
  return Error(cause, StrCat({refusal.cloud, " refused ", refusal.action, " on ", refusal.resource, as, ": ",
                              name, said.empty() ? "" : ": ", said, named ? refusal.advice : ""}));
}

}  // namespace keyhold::kms
