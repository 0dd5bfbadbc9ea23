#include "gateway/rewrite.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gateway/sql_lexer.h"
#include "gateway/type_places.h"

namespace keyhold::gateway {
namespace {

struct TypeRow {
  std::string_view word;
  std::string_view plain;        // in PostgreSQL
  std::string_view with_length;  // followed by (n); empty: has no such form
};

// https://www.cockroachlabs.com/docs/stable/data-types: the names that PostgreSQL does not have.
constexpr std::array kTypes = {
    TypeRow{"STRING", "text", "varchar"},
    TypeRow{"BYTES", "bytea", ""},
    TypeRow{"BLOB", "bytea", ""},
    TypeRow{"INT64", "bigint", ""},
};

constexpr std::array<std::string_view, 5> kWords = {"STRING", "BYTES", "BLOB", "INT64", "CLUSTER"};

bool WordAt(std::string_view sql, size_t at) {
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return EqualsUpper(sql.substr(at, word.size()), word); });
}

std::string_view TypeFor(std::string_view word, bool with_length) {
  for (const TypeRow& row : kTypes) {
    if (EqualsUpper(word, row.word)) return with_length ? row.with_length : row.plain;
  }
  return {};
}

std::string QuotedName(std::string_view name) {
  return absl::StrCat("\"", absl::StrReplaceAll(std::string(name), {{"\"", "\"\""}}), "\"");
}

std::string Literal(std::string_view value) {
  return absl::StrCat("E'", absl::StrReplaceAll(std::string(value), {{"\\", "\\\\"}, {"'", "''"}}), "'");
}

std::string Answer(const std::string& name, const ClusterSettings& settings) {
  const auto found = settings.find(name);
  if (found == settings.end()) return absl::StrCat("SHOW ", QuotedName("cluster setting " + name));
  return absl::StrCat("SELECT ", Literal(found->second()), "::pg_catalog.text AS ", QuotedName(name));
}

// Builds the new text from the old one, left to right, and counts characters as PostgreSQL does.
class Editor {
 public:
  Editor(std::string_view sql, bool utf8) : sql_(sql), utf8_(utf8) {}

  void Replace(size_t begin, size_t end, std::string_view text) {
    Copy(begin);
    Edit edit{.old_begin = old_chars_, .new_begin = new_chars_};
    old_chars_ += Count(sql_.substr(begin, end - begin));
    new_chars_ += Count(text);
    edit.old_end = old_chars_;
    edit.new_end = new_chars_;
    out_.sql += text;
    out_.edits.push_back(edit);
    copied_ = end;
  }

  std::optional<Rewritten> Finish() {
    if (out_.edits.empty()) return std::nullopt;
    out_.sql += sql_.substr(copied_);
    return std::move(out_);
  }

 private:
  void Copy(size_t end) {
    const std::string_view same = sql_.substr(copied_, end - copied_);
    const size_t chars = Count(same);
    out_.sql += same;
    old_chars_ += chars;
    new_chars_ += chars;
  }

  size_t Count(std::string_view text) const {
    if (!utf8_) return text.size();
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;  // not a continuation byte, RFC 3629
    }));
  }

  std::string_view sql_;
  bool utf8_;
  size_t copied_ = 0;
  size_t old_chars_ = 0;
  size_t new_chars_ = 0;
  Rewritten out_;
};

std::string NamePart(const Token& token) {
  if (token.kind == TokenKind::kWord) return absl::AsciiStrToLower(std::string(token.text));
  return absl::StrReplaceAll(std::string(token.text.substr(1, token.text.size() - 2)), {{"\"\"", "\""}});
}

bool IsNamePart(const Token& token) {
  return token.kind == TokenKind::kWord || (token.kind == TokenKind::kQuoted && token.text[0] == '"');
}

struct ShowSetting {
  std::string name;
  size_t end = 0;
};

// `lexer` stands behind SHOW.
std::optional<ShowSetting> ParseShowSetting(SqlLexer lexer) {
  if (!lexer.Next().IsWord("CLUSTER") || !lexer.Next().IsWord("SETTING")) return std::nullopt;
  ShowSetting show;
  Token token = lexer.Next();
  while (IsNamePart(token)) {
    show.name += NamePart(token);
    show.end = token.end();
    token = lexer.Next();
    if (!token.Is('.')) break;
    show.name += '.';
    token = lexer.Next();
  }
  const bool ends = token.kind == TokenKind::kEnd || token.Is(';');
  if (!ends || show.name.empty() || show.name.back() == '.') return std::nullopt;
  return show;
}

}  // namespace

bool MayNeedRewrite(std::string_view sql) {
  for (size_t i = 0; i < sql.size(); ++i) {
    switch (sql[i] | 0x20) {
      case 's':
      case 'b':
      case 'i':
      case 'c':
        if (WordAt(sql, i)) return true;
        break;
      default:
        break;
    }
  }
  return false;
}

std::optional<Rewritten> Rewrite(std::string_view sql, const ClusterSettings& settings, TextRules rules) {
  SqlLexer lexer(sql, rules.standard_strings);
  TypePlaces places;
  Editor editor(sql, rules.utf8);
  Token token = lexer.Next();
  while (token.kind != TokenKind::kEnd) {
    if (token.kind == TokenKind::kBroken) return std::nullopt;
    const bool show = places.at_statement_start() && token.IsWord("SHOW");
    if (const auto setting = show ? ParseShowSetting(lexer) : std::nullopt) {
      editor.Replace(token.begin, setting->end, Answer(setting->name, settings));
    }
    const Token next = lexer.Next();
    if (places.Feed(token, next)) {
      const std::string_view type = TypeFor(token.text, next.Is('('));
      if (!type.empty()) editor.Replace(token.begin, token.end(), type);
    }
    token = next;
  }
  return editor.Finish();
}

uint64_t OldPosition(const std::vector<Edit>& edits, uint64_t position) {
  if (position == 0) return 0;
  const uint64_t at = position - 1;
  uint64_t old_end = 0, new_end = 0;  // of the last edit before `at`
  for (const Edit& edit : edits) {
    if (at < edit.new_begin) break;
    if (at < edit.new_end) return edit.old_begin + 1;
    old_end = edit.old_end;
    new_end = edit.new_end;
  }
  return at - new_end + old_end + 1;
}

}  // namespace keyhold::gateway
