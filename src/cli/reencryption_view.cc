#include "cli/reencryption_view.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "cli/output.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

std::string Proved(const json& proof) {
  return absl::StrCat("a scan of ", Text(proof, "files"), " files and ", Text(proof, "blocks"),
                      " blocks ended at ", ShortTime(Text(proof, "proved_at")),
                      " and found nothing under an older data key");
}

std::string RateAndEnd(const json& now) {
  const double rate = now.value("bytes_per_second", 0.0) / (1 << 20);
  const auto remaining = now.value("remaining_s", int64_t{-1});
  std::string line;
  if (rate > 0) line = absl::StrFormat(" at %.1f MiB/s", rate);
  if (remaining >= 0)
    absl::StrAppend(&line, ", about ", absl::FormatDuration(absl::Seconds(remaining)), " left");
  return line;
}

}  // namespace

std::string ReencryptionLine(const json& now) {
  if (!now.is_object()) return "";
  const std::string state = Text(now, "state");
  const std::string percent = absl::StrFormat("%.1f %%", now.value("percent", 0.0));
  if (state == "DONE") return absl::StrCat("100 %: ", Proved(now.value("proof", json::object())));
  if (state == "FAILED") return absl::StrCat(percent, ", failed, and tried again: ", Text(now, "failure"));
  if (state == "WAITING") return absl::StrCat(percent, ", goes on when the node serves");
  return absl::StrCat(percent, ", ", absl::AsciiStrToLower(state), RateAndEnd(now));
}

}  // namespace keyhold::cli
