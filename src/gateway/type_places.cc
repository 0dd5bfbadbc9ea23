#include "gateway/type_places.h"

#include <algorithm>
#include <initializer_list>

namespace keyhold::gateway {
namespace {

using Words = std::initializer_list<std::string_view>;

bool OneOf(std::string_view text, Words upper) {
  return std::any_of(upper.begin(), upper.end(),
                     [&](std::string_view word) { return EqualsUpper(text, word); });
}

bool IsOneOf(const Token& token, Words upper) {
  return token.kind == TokenKind::kWord && OneOf(token.text, upper);
}

bool IsName(const Token& token) { return token.kind == TokenKind::kWord || token.kind == TokenKind::kQuoted; }

// What begins an element of a table definition, or of ADD, that is not a column.
bool StartsConstraint(const Token& token) {
  return IsOneOf(token, {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE", "LIKE"});
}

bool IsArgumentMode(const Token& token) { return IsOneOf(token, {"IN", "OUT", "INOUT", "VARIADIC"}); }

bool EndsArgumentType(const Token& token) {
  return token.Is(',') || token.Is(')') || token.Is('=') || token.Is('[') || token.Is('(') ||
         IsOneOf(token, {"DEFAULT", "ARRAY"});
}

// After these a value begins, so that WORD 'text' is a typed literal.
bool PrecedesValue(const Token& token) {
  return (token.kind == TokenKind::kSymbol && !token.Is('.') && !token.Is(';') && !token.Is(')')) ||
         IsOneOf(token, {"SELECT", "WHERE", "AND", "OR", "NOT", "WHEN", "THEN", "ELSE", "DEFAULT",
                         "RETURNING", "BETWEEN", "LIKE", "ON"});
}

}  // namespace

bool TypePlaces::MakesFunction() const {
  return OneOf(object_, {"FUNCTION", "PROCEDURE", "AGGREGATE", "ROUTINE"});
}

bool TypePlaces::HasActions() const {
  return EqualsUpper(verb_, "ALTER") && OneOf(object_, {"TABLE", "TYPE"});
}

bool TypePlaces::Feed(const Token& token, const Token& next) {
  bool is_type = false;
  if (IsName(token) && !last_.Is('.')) {
    is_type = Word(token, next);
  } else {
    type_next_ = alias_next_ = false;
    if (token.kind == TokenKind::kSymbol) Symbol(token);
  }
  if (!frames_.empty() && !token.Is(',') && !token.Is('(')) ++frames_.back().index;
  last_ = token;
  return is_type;
}

void TypePlaces::Symbol(const Token& token) {
  if (token.text == "::") {
    type_next_ = true;
  } else if (token.Is('(')) {
    frames_.push_back({.kind = opens_});
    type_next_ = opens_ == FrameKind::kTypes;
    opens_ = FrameKind::kPlain;
  } else if (token.Is(')')) {
    if (!frames_.empty()) frames_.pop_back();
  } else if (token.Is(',')) {
    Comma();
  } else if (token.Is(';') && frames_.empty()) {
    *this = TypePlaces();
  }
}

void TypePlaces::Comma() {
  if (!frames_.empty()) {
    frames_.back().index = 0;
    type_next_ = frames_.back().kind == FrameKind::kTypes;
    return;
  }
  action_ = Action::kNone;
  if (MakesFunction() && EqualsUpper(verb_, "DROP")) opens_ = FrameKind::kArguments;
}

bool TypePlaces::Word(const Token& token, const Token& next) {
  if (type_next_) return TakeType(token, next);
  if (alias_next_) {
    alias_next_ = false;
    if (next.Is('(')) opens_ = FrameKind::kColumns;
    return false;
  }
  if (next.kind == TokenKind::kString && PrecedesValue(last_)) return true;
  if (InFrame(token, next)) return true;
  if (type_next_) return false;
  if (frames_.empty()) Statement(token, next);
  Anywhere(token, next);
  return false;
}

bool TypePlaces::TakeType(const Token& token, const Token& next) {
  if (IsOneOf(token, {"SETOF"}) || (IsArgumentMode(token) && !frames_.empty())) return false;
  type_next_ = false;
  return token.kind == TokenKind::kWord && !next.Is('.');
}

bool TypePlaces::InFrame(const Token& token, const Token& next) {
  if (frames_.empty() || frames_.back().index != 0) return false;
  switch (frames_.back().kind) {
    case FrameKind::kColumns:
      Column(token);
      return false;
    case FrameKind::kArguments:
      return Argument(token, next);
    default:
      return false;
  }
}

void TypePlaces::Column(const Token& token) { type_next_ = !StartsConstraint(token); }

bool TypePlaces::Argument(const Token& token, const Token& next) {
  if (IsArgumentMode(token)) {
    frames_.back().index = -1;  // the element begins after the mode
    return false;
  }
  if (EndsArgumentType(next)) return token.kind == TokenKind::kWord;
  type_next_ = !next.Is('.');
  return false;
}

// CAST( and AS stand in expressions and queries of any depth.
void TypePlaces::Anywhere(const Token& token, const Token& next) {
  if (token.IsWord("CAST") && next.Is('(')) opens_ = FrameKind::kCast;
  if (!token.IsWord("AS")) return;
  if (!frames_.empty() && frames_.back().kind == FrameKind::kCast) {
    type_next_ = true;
  } else if (!type_next_ && IsName(next) &&
             !IsOneOf(next, {"SELECT", "VALUES", "TABLE", "WITH", "MATERIALIZED", "NOT", "EXECUTE"})) {
    alias_next_ = true;
  }
}

void TypePlaces::Statement(const Token& token, const Token& next) {
  if (verb_.empty()) {
    verb_ = token.text;
    if (EqualsUpper(verb_, "PREPARE")) object_ = verb_;
  } else if (object_.empty()) {
    Object(token);
  } else if (!named_) {
    Name(token);
  } else {
    Clause(token, next);
  }
}

// The words between the verb and the kind of object are few; anything else is a kind.
void TypePlaces::Object(const Token& token) {
  if (!OneOf(verb_, {"CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE"})) return;
  if (OneOf(verb_, {"GRANT", "REVOKE"}) && !IsOneOf(last_, {"ON"})) return;
  if (IsOneOf(token,
              {"OR", "REPLACE", "GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "FOREIGN", "ON"})) {
    return;
  }
  object_ = token.text;
}

void TypePlaces::Name(const Token& token) {
  if (IsOneOf(token, {"IF", "NOT", "EXISTS", "ONLY"})) return;
  named_ = true;
  if (MakesFunction()) {
    opens_ = FrameKind::kArguments;
  } else if (EqualsUpper(object_, "PREPARE")) {
    opens_ = FrameKind::kTypes;
  } else if (EqualsUpper(verb_, "CREATE") && EqualsUpper(object_, "TABLE")) {
    opens_ = FrameKind::kColumns;
  }
}

void TypePlaces::Clause(const Token& token, const Token& next) {
  if (HasActions()) return Alteration(token);
  const bool as = token.IsWord("AS");
  if (MakesFunction()) {
    type_next_ = token.IsWord("RETURNS") && !next.IsWord("TABLE");
    if (token.IsWord("TABLE") && last_.IsWord("RETURNS")) opens_ = FrameKind::kColumns;
  } else if (as && EqualsUpper(object_, "DOMAIN")) {
    type_next_ = true;
  } else if (as && EqualsUpper(object_, "TYPE") && next.Is('(')) {
    opens_ = FrameKind::kColumns;
  } else if (IsOneOf(token, {"AS", "FOR", "WITH", "DEFAULT", "INHERITS", "PARTITION"})) {
    opens_ = FrameKind::kPlain;
  }
}

void TypePlaces::Alteration(const Token& token) {
  const bool filler = IsOneOf(token, {"COLUMN", "ATTRIBUTE", "IF", "NOT", "EXISTS"});
  switch (action_) {
    case Action::kNone:
      if (token.IsWord("ADD")) action_ = Action::kAdd;
      if (token.IsWord("ALTER")) action_ = Action::kAlter;
      return;
    case Action::kAdd:
      if (filler) return;
      type_next_ = !StartsConstraint(token);
      action_ = Action::kNone;
      return;
    case Action::kAlter:
      if (!filler) action_ = Action::kAltered;
      return;
    case Action::kAltered:
      type_next_ = token.IsWord("TYPE");
      if (!IsOneOf(token, {"SET", "DATA"})) action_ = Action::kNone;
      return;
  }
}

}  // namespace keyhold::gateway
