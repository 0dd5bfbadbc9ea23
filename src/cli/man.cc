#include "cli/man.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/exit_code.h"

namespace keyhold::cli {
namespace {

constexpr char kHead[] =
    ".TH CCLOUD 1 \"\" Keyhold \"User commands\"\n"
    ".SH NAME\nccloud \\- clusters whose data opens only with your own key\n"
    ".SH SYNOPSIS\n.B ccloud\n.I noun\n[\n.I noun\n]\n.I verb\n[\n.I argument\n\\&...\n]\n"
    ".SH DESCRIPTION\n"
    "A cluster is named by its name or its id. Data goes to the standard output; progress, questions and "
    "errors\n"
    "go to the standard error.\n"
    ".TP\n.BR \\-o \", \" \\-\\-output \" standard|json\"\nHow to print; json is the API's own, lists as "
    "arrays.\n"
    ".TP\n.BR \\-q \", \" \\-\\-quiet\nNo progress.\n"
    ".TP\n.B \\-\\-hide\\-header\nNo heading above tables.\n";

constexpr char kEnvironment[] =
    ".SH ENVIRONMENT\n"
    ".TP\n.B COCKROACH_SERVER\nThe server's URL; plain HTTP for loopback addresses alone.\n"
    ".TP\n.B COCKROACH_API_KEY\nThe API key. Without it, what\n.B ccloud auth login\nhas kept.\n"
    ".TP\n.B NO_COLOR\nNo colours, whatever its value.\n"
    ".TP\n.B SSL_CERT_FILE\nFurther certificate authorities for the server's certificate.\n"
    ".TP\n.B XDG_CONFIG_HOME\nWhere the login and certificates are kept, in\n.IR ccloud .\n";

// Text as roff shows it: nothing in it is a request or an escape.
std::string Escaped(absl::string_view text) {
  std::string escaped = absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}, {"'", "\\(aq"}});
  if (absl::StartsWith(escaped, ".")) escaped.insert(0, "\\&");
  return escaped;
}

std::string Synopsis(const Command& command) {
  std::string text = absl::StrCat("ccloud ", command.path);
  for (const Positional& positional : command.positionals) {
    const bool optional = positional.count == Positional::kOptional || positional.count == Positional::kAny;
    const bool many = positional.count == Positional::kSeveral || positional.count == Positional::kAny;
    absl::StrAppend(&text, optional ? " [" : " ", positional.name, many ? "..." : "", optional ? "]" : "");
  }
  return text;
}

void AddItem(std::string& page, const std::string& term, const std::string& text) {
  absl::StrAppend(&page, ".TP\n.B \"", Escaped(term), "\"\n", Escaped(text), "\n");
}

void AddCommand(std::string& page, const Command& command) {
  absl::StrAppend(&page, ".SS \"", Escaped(Synopsis(command)), "\"\n", Escaped(command.summary), ".\n");
  for (const Positional& positional : command.positionals) AddItem(page, positional.name, positional.help);
  for (const Option& option : command.options) {
    const std::string both = option.short_name.empty() ? option.name : option.short_name + ", " + option.name;
    AddItem(page, option.value.empty() ? both : both + " " + option.value, option.help);
  }
  absl::StrAppend(&page, ".PP\n.nf\n.RS\n");
  for (const absl::string_view line : absl::StrSplit(command.example, '\n')) {
    absl::StrAppend(&page, Escaped(line), "\n");
  }
  absl::StrAppend(&page, ".RE\n.fi\n");
}

}  // namespace

std::string ManPage() {
  std::string page = kHead;
  absl::StrAppend(&page, ".SH COMMANDS\n");
  for (const Command& command : AllCommands()) AddCommand(page, command);
  absl::StrAppend(&page, ".SH \"EXIT STATUS\"\n.nf\n");
  for (const absl::string_view line : absl::StrSplit(kExitCodes, '\n', absl::SkipEmpty())) {
    if (absl::StartsWith(line, " ")) absl::StrAppend(&page, Escaped(absl::StripAsciiWhitespace(line)), "\n");
  }
  absl::StrAppend(&page, ".fi\n", kEnvironment);
  return page;
}

}  // namespace keyhold::cli
