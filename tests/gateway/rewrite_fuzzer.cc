// For any text: what the fast path passes the slow one leaves alone; every edit lies where it says; positions
// never leave the old text.
#include <cstdlib>

#include "gateway/rewrite.h"

using namespace keyhold::gateway;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view sql(reinterpret_cast<const char*>(data), size);
  const ClusterSettings settings = {{"a", [] { return std::string("b"); }}};
  for (const bool standard : {true, false}) {
    const auto rewritten = Rewrite(sql, settings, {.standard_strings = standard, .utf8 = false});
    if (!rewritten) continue;
    if (!MayNeedRewrite(sql)) std::abort();
    size_t old_end = 0, new_end = 0;
    for (const Edit& edit : rewritten->edits) {
      if (sql.substr(old_end, edit.old_begin - old_end) !=
          std::string_view(rewritten->sql).substr(new_end, edit.new_begin - new_end)) {
        std::abort();
      }
      old_end = edit.old_end;
      new_end = edit.new_end;
    }
    if (sql.substr(old_end) != std::string_view(rewritten->sql).substr(new_end)) std::abort();
    if (OldPosition(rewritten->edits, rewritten->sql.size()) > sql.size() + 1) std::abort();
  }
  return 0;
}
