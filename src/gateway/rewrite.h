// What CockroachDB's SQL has and PostgreSQL's has not, said in PostgreSQL's words: SHOW CLUSTER SETTING and
// the type names STRING, BYTES, BLOB and INT64.
//
// SHOW CLUSTER SETTING becomes a SELECT, so that transactions, portals, formats and pipelines are
// PostgreSQL's own. Types are changed only where a type stands (gateway/type_places.h): never in a literal, a
// comment or a name. INT stays PostgreSQL's 32 bits, since drivers read its type id. docs/gateway.md has the
// table.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/gateway.h"

namespace keyhold::gateway {

using ClusterSettings = std::map<std::string, SettingValue>;

// How the session's server reads text.
struct TextRules {
  bool standard_strings = true;  // standard_conforming_strings
  bool utf8 = true;              // positions count code points; else bytes
};

// One replaced stretch, in characters from 0 of the text before and after.
struct Edit {
  size_t old_begin = 0, old_end = 0;
  size_t new_begin = 0, new_end = 0;
};

struct Rewritten {
  std::string sql;
  std::vector<Edit> edits;  // in order, at least one
};

// True when `sql` holds one of the words that could need a rewrite, in whatever place. Fast; false means that
// Rewrite() would return nothing.
bool MayNeedRewrite(std::string_view sql);

// Nothing when `sql` can stay as it is, also when it does not lex: PostgreSQL then says what is wrong with
// it. An unknown setting becomes a SHOW that PostgreSQL refuses with 42704 and the setting's name.
std::optional<Rewritten> Rewrite(std::string_view sql, const ClusterSettings& settings, TextRules rules);

// The place in the user's text of `position`, which counts characters from 1 in the rewritten text. Inside
// a replaced stretch: its beginning.
uint64_t OldPosition(const std::vector<Edit>& edits, uint64_t position);

}  // namespace keyhold::gateway
