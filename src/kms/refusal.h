// What a cloud's refusal means and how it is told: the part that is the same for all clouds. Each has its own
// table of error names and its own advice. Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::kms {

// An error name as the cloud's answers have it, and what it means.
struct ErrorRow {
  std::string_view name;
  Cause cause;
};

// Of the first row with that name.
std::optional<Cause> CauseIn(std::span<const ErrorRow> rows, std::string_view name);

// Of an answer whose body names no error that is known: 429 is throttled, 5xx unreachable, the rest corrupt,
// since who answers so may not be that cloud.
Cause CauseOfHttpStatus(int http_status);

// `CLOUD refused ACTION on RESOURCE[ as PRINCIPAL]: NAME[ (INNER)][: SAID][ADVICE]`, where the cloud's words
// are made printable. An answer that names no error is told by its HTTP status and without advice.
struct Refusal {
  std::string_view cloud;
  std::string_view action;
  std::string_view resource;
  std::string_view principal;  // empty: left out
  int http_status = 0;
  std::string_view name;   // the cloud's; empty: it named none
  std::string_view inner;  // a closer name; left out where `said` begins with it
  std::string_view said;   // the cloud's message
  std::string advice;      // "; grant it: ..."
};
Status ToStatus(const Refusal& refusal, Cause cause);

}  // namespace keyhold::kms
