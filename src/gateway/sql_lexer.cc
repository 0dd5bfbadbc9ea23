#include "gateway/sql_lexer.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace keyhold::gateway {
namespace {

constexpr size_t kNone = std::string_view::npos;

bool HighBit(char c) { return static_cast<unsigned char>(c) >= 0x80; }
bool StartsWord(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_' || HighBit(c);
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool InTag(char c) { return StartsWord(c) || IsDigit(c); }
bool InWord(char c) { return InTag(c) || c == '$'; }
bool IsNewline(char c) { return c == '\n' || c == '\r'; }
// PostgreSQL's space; \v became one in version 16.
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\f' || IsNewline(c); }

}  // namespace

bool EqualsUpper(std::string_view text, std::string_view upper) {
  return text.size() == upper.size() &&
         std::equal(text.begin(), text.end(), upper.begin(),
                    [](char a, char b) { return absl::ascii_toupper(static_cast<unsigned char>(a)) == b; });
}

bool Token::IsWord(std::string_view upper) const {
  return kind == TokenKind::kWord && EqualsUpper(text, upper);
}

Token SqlLexer::Take(TokenKind kind, size_t end) {
  const Token token{.kind = kind, .begin = at_, .text = sql_.substr(at_, end - at_)};
  at_ = end;
  return token;
}

size_t SqlLexer::SkipLineComment(size_t at) const {
  while (at < sql_.size() && !IsNewline(sql_[at])) ++at;
  return at;
}

bool SqlLexer::SkipBlockComment() {
  int depth = 0;
  do {
    const std::string_view two = sql_.substr(at_, 2);
    if (two.size() < 2) return false;
    if (two == "/*") {
      ++depth;
      at_ += 2;
    } else if (two == "*/") {
      --depth;
      at_ += 2;
    } else {
      ++at_;
    }
  } while (depth > 0);
  return true;
}

bool SqlLexer::SkipBlank() {
  while (at_ < sql_.size()) {
    if (IsSpace(sql_[at_])) {
      ++at_;
    } else if (sql_[at_] == '-' && At(at_ + 1) == '-') {
      at_ = SkipLineComment(at_);
    } else if (sql_[at_] == '/' && At(at_ + 1) == '*') {
      if (!SkipBlockComment()) return false;
    } else {
      break;
    }
  }
  return true;
}

// Where a string that was closed before `at` goes on: after white space with a newline in it comes one more
// quote. kNone when it does not.
size_t SqlLexer::Continuation(size_t at) const {
  bool newline = false;
  while (at < sql_.size()) {
    if (IsSpace(sql_[at])) {
      newline |= IsNewline(sql_[at]);
      ++at;
    } else if (sql_[at] == '-' && At(at + 1) == '-') {
      at = SkipLineComment(at);
    } else {
      break;
    }
  }
  return newline && At(at) == '\'' ? at + 1 : kNone;
}

size_t SqlLexer::StringEnd(size_t at, bool escapes) const {
  while (at < sql_.size()) {
    if (escapes && sql_[at] == '\\') {
      at += 2;
    } else if (sql_[at] != '\'') {
      ++at;
    } else if (At(at + 1) == '\'') {
      at += 2;
    } else if (const size_t next = Continuation(at + 1); next != kNone) {
      at = next;
    } else {
      return at + 1;
    }
  }
  return kNone;
}

Token SqlLexer::String(size_t quote, bool escapes) {
  const size_t end = StringEnd(quote + 1, escapes);
  return end == kNone ? Take(TokenKind::kBroken, sql_.size()) : Take(TokenKind::kString, end);
}

Token SqlLexer::Quoted(size_t quote) {
  size_t end = sql_.find('"', quote + 1);
  while (end != kNone && At(end + 1) == '"') end = sql_.find('"', end + 2);
  return end == kNone ? Take(TokenKind::kBroken, sql_.size()) : Take(TokenKind::kQuoted, end + 1);
}

Token SqlLexer::Dollar() {
  size_t end = at_ + 1;
  if (IsDigit(At(end))) {
    while (IsDigit(At(end))) ++end;
    return Take(TokenKind::kSymbol, end);
  }
  if (StartsWord(At(end))) {
    while (InTag(At(end))) ++end;
  }
  if (At(end) != '$') return Take(TokenKind::kSymbol, at_ + 1);
  const std::string_view tag = sql_.substr(at_, end + 1 - at_);
  const size_t close = sql_.find(tag, end + 1);
  if (close == kNone) return Take(TokenKind::kBroken, sql_.size());
  return Take(TokenKind::kString, close + tag.size());
}

Token SqlLexer::Word() {
  const char first = absl::ascii_toupper(static_cast<unsigned char>(sql_[at_]));
  const char second = At(at_ + 1);
  if (second == '\'' && (first == 'E' || first == 'B' || first == 'X' || first == 'N')) {
    return String(at_ + 1, first == 'E' || (first == 'N' && !standard_strings_));
  }
  if (first == 'U' && second == '&' && At(at_ + 2) == '\'') return String(at_ + 2, false);
  if (first == 'U' && second == '&' && At(at_ + 2) == '"') return Quoted(at_ + 2);
  size_t end = at_ + 1;
  while (end < sql_.size() && InWord(sql_[end])) ++end;
  return Take(TokenKind::kWord, end);
}

Token SqlLexer::Number() {
  size_t end = at_;
  while (InTag(At(end)) || At(end) == '.') ++end;
  return Take(TokenKind::kNumber, end);
}

Token SqlLexer::Next() {
  if (!SkipBlank()) return Take(TokenKind::kBroken, sql_.size());
  if (at_ >= sql_.size()) return {.kind = TokenKind::kEnd, .begin = sql_.size(), .text = {}};
  const char c = sql_[at_];
  if (StartsWord(c)) return Word();
  if (c == '\'') return String(at_, !standard_strings_);
  if (c == '"') return Quoted(at_);
  if (c == '$') return Dollar();
  if (IsDigit(c) || (c == '.' && IsDigit(At(at_ + 1)))) return Number();
  return Take(TokenKind::kSymbol, at_ + (c == ':' && At(at_ + 1) == ':' ? 2 : 1));
}

}  // namespace keyhold::gateway
