// Where in a SQL statement a type stands: a small position grammar over tokens.
//
// It knows CREATE TABLE and ALTER TABLE, composite types and domains, function arguments and results,
// PREPARE, CAST, ::, typed literals and column definition lists. Everywhere else it says no: a name that
// happens to be a type's is left alone, and a type in a place that it does not know is left to PostgreSQL's
// own error.
#pragma once

#include <string_view>
#include <vector>

#include "gateway/sql_lexer.h"

namespace keyhold::gateway {

// Fed with the tokens of a text in order; one instance per text.
class TypePlaces {
 public:
  // True when `token` is a word in a place where only a type can stand. `next` is the token after it.
  bool Feed(const Token& token, const Token& next);

  // True before the first token of a statement.
  bool at_statement_start() const { return verb_.empty() && frames_.empty(); }

 private:
  enum class FrameKind { kPlain, kCast, kColumns, kArguments, kTypes };
  struct Frame {
    FrameKind kind = FrameKind::kPlain;
    int index = 0;  // tokens of the current element so far
  };
  enum class Action { kNone, kAdd, kAlter, kAltered };  // of ALTER TABLE: which part comes next

  void Symbol(const Token& token);
  void Comma();
  bool Word(const Token& token, const Token& next);
  bool TakeType(const Token& token, const Token& next);
  bool InFrame(const Token& token, const Token& next);
  bool Argument(const Token& token, const Token& next);
  void Column(const Token& token);
  void Anywhere(const Token& token, const Token& next);
  void Statement(const Token& token, const Token& next);
  void Object(const Token& token);
  void Name(const Token& token);
  void Clause(const Token& token, const Token& next);
  void Alteration(const Token& token);
  bool MakesFunction() const;
  bool HasActions() const;

  std::vector<Frame> frames_;
  Token last_;
  std::string_view verb_;                // CREATE, ALTER ...
  std::string_view object_;              // TABLE, FUNCTION ...
  bool named_ = false;                   // the object's name is behind us
  bool type_next_ = false;               // the next token is a type
  bool alias_next_ = false;              // the next token is a table alias after AS
  FrameKind opens_ = FrameKind::kPlain;  // what the next ( opens
  Action action_ = Action::kNone;
};

}  // namespace keyhold::gateway
