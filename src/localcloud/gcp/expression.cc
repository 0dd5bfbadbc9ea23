#include "localcloud/gcp/expression.h"

#include <optional>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyhold::localcloud::gcp {
namespace {

using Value = std::variant<bool, std::string, absl::Time>;

constexpr int kMaxDepth = 32;

// Recursive descent over the text. Both sides of && and || are always evaluated: a condition that is wrong
// anywhere is wrong.
class Evaluator {
 public:
  Evaluator(std::string_view text, const ExpressionContext& context)
      : text_(text.data(), text.size()), context_(context) {}

  StatusOr<bool> Run() {
    KEYHOLD_ASSIGN_OR_RETURN(const Value value, Or());
    SkipBlanks();
    if (at_ != text_.size()) return Bad("the end");
    return Truth(value);
  }

 private:
  Status Bad(std::string_view wanted) const {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("the condition is not understood at character ", at_ + 1, ", where ",
                              std::string(wanted), " was expected"));
  }

  StatusOr<bool> Truth(const Value& value) const {
    if (const bool* truth = std::get_if<bool>(&value)) return *truth;
    return Bad("a condition");
  }

  void SkipBlanks() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  bool Take(absl::string_view word) {
    SkipBlanks();
    if (!absl::StartsWith(text_.substr(at_), word)) return false;
    at_ += word.size();
    return true;
  }

  StatusOr<Value> Or() {
    if (++depth_ > kMaxDepth) return Bad("fewer parentheses");
    KEYHOLD_ASSIGN_OR_RETURN(Value left, And());
    while (Take("||")) {
      KEYHOLD_ASSIGN_OR_RETURN(const Value right, And());
      KEYHOLD_ASSIGN_OR_RETURN(const bool a, Truth(left));
      KEYHOLD_ASSIGN_OR_RETURN(const bool b, Truth(right));
      left = a || b;
    }
    --depth_;
    return left;
  }

  StatusOr<Value> And() {
    KEYHOLD_ASSIGN_OR_RETURN(Value left, Comparison());
    while (Take("&&")) {
      KEYHOLD_ASSIGN_OR_RETURN(const Value right, Comparison());
      KEYHOLD_ASSIGN_OR_RETURN(const bool a, Truth(left));
      KEYHOLD_ASSIGN_OR_RETURN(const bool b, Truth(right));
      left = a && b;
    }
    return left;
  }

  StatusOr<Value> Comparison() {
    KEYHOLD_ASSIGN_OR_RETURN(const Value left, Unary());
    for (const char* sign : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (!Take(sign)) continue;
      KEYHOLD_ASSIGN_OR_RETURN(const Value right, Unary());
      return Compare(left, sign, right);
    }
    return left;
  }

  StatusOr<Value> Compare(const Value& left, absl::string_view sign, const Value& right) const {
    if (left.index() != right.index()) return Bad("two values of one kind");
    const bool equality = sign == "==" || sign == "!=";
    if (!equality && std::holds_alternative<bool>(left)) return Bad("== or !=");
    if (sign == "==") return Value(left == right);
    if (sign == "!=") return Value(left != right);
    if (sign == "<") return Value(left < right);
    if (sign == "<=") return Value(left <= right);
    return Value(sign == ">" ? left > right : left >= right);
  }

  StatusOr<Value> Unary() {
    bool negated = false;
    SkipBlanks();
    while (at_ < text_.size() && text_[at_] == '!' && !absl::StartsWith(text_.substr(at_), "!=")) {
      negated = !negated;
      ++at_;
      SkipBlanks();
    }
    KEYHOLD_ASSIGN_OR_RETURN(Value value, Postfix());
    if (!negated) return value;
    KEYHOLD_ASSIGN_OR_RETURN(const bool truth, Truth(value));
    return Value(!truth);
  }

  StatusOr<Value> Postfix() {
    KEYHOLD_ASSIGN_OR_RETURN(const Value value, Primary());
    const std::string* text = std::get_if<std::string>(&value);
    if (text == nullptr) return value;
    if (Take(".startsWith(")) return Test([&](auto& s) { return absl::StartsWith(*text, s); });
    if (Take(".endsWith(")) return Test([&](auto& s) { return absl::EndsWith(*text, s); });
    if (Take(".contains(")) return Test([&](auto& s) { return absl::StrContains(*text, s); });
    return value;
  }

  template <typename F>
  StatusOr<Value> Test(F test) {
    KEYHOLD_ASSIGN_OR_RETURN(const Value argument, Or());
    const std::string* text = std::get_if<std::string>(&argument);
    if (text == nullptr || !Take(")")) return Bad("a string and )");
    return Value(test(*text));
  }

  StatusOr<Value> Primary() {
    if (Take("(")) {
      KEYHOLD_ASSIGN_OR_RETURN(Value value, Or());
      if (!Take(")")) return Bad(")");
      return value;
    }
    if (Take("timestamp(")) return Timestamp();
    if (Take("request.time")) return Value(context_.time);
    if (Take("resource.name")) return Value(context_.name);
    if (Take("resource.type")) return Value(context_.type);
    if (Take("resource.service")) return Value(context_.service);
    if (Take("true")) return Value(true);
    if (Take("false")) return Value(false);
    return String();
  }

  StatusOr<Value> Timestamp() {
    KEYHOLD_ASSIGN_OR_RETURN(const Value text, String());
    absl::Time time;
    if (!absl::ParseTime(absl::RFC3339_full, std::get<std::string>(text), &time, nullptr)) {
      return Bad("a time such as 2026-01-31T12:00:00Z");
    }
    if (!Take(")")) return Bad(")");
    return Value(time);
  }

  StatusOr<Value> String() {
    SkipBlanks();
    if (at_ >= text_.size() || (text_[at_] != '"' && text_[at_] != '\'')) return Bad("a value");
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == absl::string_view::npos) return Bad("a closing quote");
    const absl::string_view content = text_.substr(at_ + 1, end - at_ - 1);
    if (absl::StrContains(content, "\\")) return Bad("a string without escapes");
    at_ = end + 1;
    return Value(std::string(content));
  }

  const absl::string_view text_;
  const ExpressionContext& context_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

StatusOr<bool> EvaluateExpression(std::string_view expression, const ExpressionContext& context) {
  if (expression.size() > kMaxExpression) {
    return Error(Cause::kInvalidArgument, "the condition is longer than 12 KiB");
  }
  return Evaluator(expression, context).Run();
}

}  // namespace keyhold::localcloud::gcp
