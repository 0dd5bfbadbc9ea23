// PostgreSQL 15's lexical rules, as far as one must know them to tell where a word is a word: comments (also
// nested), the seven kinds of string, quoted identifiers, dollar quotes.
//
// Documentation 4.1 "Lexical Structure"; details from the rules that psql and the server share. Tokens are
// places in the text that was given. Never fails: text that ends in the middle of a string gives kBroken.
#pragma once

#include <cstddef>
#include <string_view>

namespace keyhold::gateway {

enum class TokenKind {
  kEnd,
  kWord,    // identifier or keyword, not quoted
  kQuoted,  // "identifier", with its quotes
  kString,  // '...', E'...', B'...', X'...', N'...', U&'...', $tag$...$tag$
  kNumber,
  kSymbol,  // one character, $1, or ::
  kBroken,  // a string, quoted identifier or comment without an end
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  size_t begin = 0;
  std::string_view text;

  size_t end() const { return begin + text.size(); }
  bool Is(char symbol) const { return kind == TokenKind::kSymbol && text.size() == 1 && text[0] == symbol; }
  // `upper` is in capitals. False for a quoted identifier.
  bool IsWord(std::string_view upper) const;
};

// Equal without regard to the case of ASCII letters; `upper` is in capitals.
bool EqualsUpper(std::string_view text, std::string_view upper);

// A value: a copy looks ahead.
class SqlLexer {
 public:
  // `sql` must outlive the lexer and its tokens. `standard_strings`: the session's
  // standard_conforming_strings; off, backslashes escape in '...' too.
  SqlLexer(std::string_view sql, bool standard_strings) : sql_(sql), standard_strings_(standard_strings) {}

  // The next token after white space and comments; kEnd or kBroken again and again at the end.
  Token Next();

 private:
  Token Take(TokenKind kind, size_t end);
  bool SkipBlank();
  bool SkipBlockComment();
  size_t SkipLineComment(size_t at) const;
  Token String(size_t quote, bool escapes);
  size_t StringEnd(size_t at, bool escapes) const;
  size_t Continuation(size_t at) const;
  Token Quoted(size_t quote);
  Token Dollar();
  Token Word();
  Token Number();
  char At(size_t at) const { return at < sql_.size() ? sql_[at] : '\0'; }

  std::string_view sql_;
  size_t at_ = 0;
  bool standard_strings_;
};

}  // namespace keyhold::gateway
