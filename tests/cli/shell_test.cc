// Completion in the real shells, the manual page in the real man, and help everywhere.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "tests/cli/fixture.h"

namespace keyhold::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ShellTest : public CliTest {
 protected:
  // The output of a shell's command line.
  static std::string Run(const std::string& command) {
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    std::string text;
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
    pclose(pipe);
    return text;
  }
  static bool Has(const std::string& program) { return !Run("command -v " + program).empty(); }

  // The file with what `ccloud ARGUMENTS` prints.
  std::string FileOf(const std::vector<std::string>& arguments, const std::string& name) {
    EXPECT_EQ(Ccloud(arguments), 0) << Err();
    const std::string path = config_.path() + "/" + name;
    std::ofstream(path) << Out();
    return path;
  }

  // A `ccloud` on the PATH that lists two clusters.
  std::string WithClusters() {
    const std::string path = config_.path() + "/ccloud";
    std::ofstream(path) << "#!/bin/sh\n[ \"$1 $2\" = 'cluster list' ] && printf 'alpha  1\\nbeta  2\\n'\n";
    EXPECT_EQ(chmod(path.c_str(), 0755), 0);
    return "PATH=" + config_.path() + ":$PATH ";
  }

  void Check(const std::function<std::string(const std::string&)>& complete) {
    EXPECT_EQ(complete("ccloud cluster cm"), "cmek");
    EXPECT_EQ(complete("ccloud cluster cmek po"), "policy");
    EXPECT_EQ(complete("ccloud service-account api-key cr"), "create");
    EXPECT_EQ(complete("ccloud cluster update demo --adv"), "--advanced-security-add-on");
    EXPECT_EQ(complete("ccloud cluster create ADVANCED a us-east-1 --cloud A"), "AWS AZURE");
    EXPECT_EQ(complete("ccloud cluster info al"), "alpha");
    EXPECT_EQ(complete("ccloud cluster info "), "alpha beta") << "clusters before options";
    EXPECT_EQ(complete("ccloud nothing else"), "");
  }
};

// Words in order, options left out where any word was asked for.
std::string Joined(const std::string& lines, bool with_options) {
  std::istringstream in(lines);
  std::set<std::string> words;
  for (std::string word; in >> word;) {
    if (with_options || !word.starts_with("-")) words.insert(word);
  }
  std::string text;
  for (const std::string& word : words) absl::StrAppend(&text, text.empty() ? "" : " ", word);
  return text;
}

TEST_F(ShellTest, Bash) {
  const std::string file = FileOf({"completion", "bash"}, "bash");
  const std::string path = WithClusters();
  Check([&](const std::string& line) {
    const bool open = line.back() == ' ';
    const std::string text =
        Run(path + "bash --norc -c '. " + file + "; COMP_WORDS=(" + line + (open ? " \"\"" : "") +
            "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ccloud; printf \"%s\\n\" \"${COMPREPLY[@]}\"'");
    return Joined(text, !open);
  });
}

TEST_F(ShellTest, Zsh) {
  if (!Has("zsh")) GTEST_SKIP() << "there is no zsh here";
  const std::string file = FileOf({"completion", "zsh"}, "zsh");
  const std::string path = WithClusters();
  // The shell's own dispatch from compdef through bashcompinit; what it would offer is printed. The match
  // with what was typed is compadd's, which there is none of here.
  Check([&](const std::string& line) {
    const bool open = line.back() == ' ';
    const std::string text =
        Run(path + "ZDOTDIR=" + config_.path() + " zsh -f -c 'autoload -U compinit && compinit -u -d " +
            config_.path() + "/dump; . " + file +
            "; compset() { return 1 }; compadd() { local m; for m in $matches; do [[ $m == "
            "${words[CURRENT]}* ]] && print -r -- $m; done };" +
            " words=(" + line + (open ? " \"\"" : "") +
            "); CURRENT=${#words}; service=ccloud; eval ${_comps[ccloud]}'");
    return Joined(text, !open);
  });
}

TEST_F(ShellTest, Fish) {
  if (!Has("fish")) GTEST_SKIP() << "there is no fish here";
  const std::string file = FileOf({"completion", "fish"}, "fish");
  const std::string path = WithClusters();
  Check([&](const std::string& line) {
    const bool open = line.back() == ' ';
    const std::string text = Run(path + "HOME=" + config_.path() + " fish -N -c 'source " + file +
                                 "; complete -C \"" + line + "\" | string replace -r \"\\t.*\" \"\"'");
    return Joined(text, !open);
  });
}

TEST_F(ShellTest, TheManualPageHasEveryCommandAndNoWarning) {
  const std::string file = FileOf({"man"}, "ccloud.1");
  if (!Has("groff")) GTEST_SKIP() << "there is no groff here";
  EXPECT_EQ(Run("groff -man -ww -z " + file), "");
  const std::string page = Run("LANG=C.UTF-8 groff -man -Tutf8 -P-cbou -rLL=300n " + file);
  for (const Command& command : AllCommands()) {
    EXPECT_THAT(page, HasSubstr("ccloud " + command.path)) << command.path;
    for (const Option& option : command.options) EXPECT_THAT(page, HasSubstr(option.name));
  }
  EXPECT_THAT(page, HasSubstr("COCKROACH_API_KEY"));
  EXPECT_THAT(page, HasSubstr("2  the command line is wrong"));
}

TEST_F(ShellTest, EveryCommandHasHelpWithExamples) {
  for (const Command& command : AllCommands()) {
    std::vector<std::string> arguments;
    std::istringstream words(command.path);
    for (std::string word; words >> word;) arguments.push_back(word);
    arguments.push_back("--help");
    ASSERT_EQ(Ccloud(arguments), 0) << command.path << Err();
    EXPECT_THAT(Out(), HasSubstr(command.summary));
    EXPECT_THAT(Out(), HasSubstr("Examples:\n  "));
    EXPECT_THAT(Out(), HasSubstr("ccloud " + command.path)) << "the example is of another command";
    EXPECT_THAT(Out(), HasSubstr("--output")) << "-o json on all";
  }
  ASSERT_EQ(Ccloud({"--help"}), 0);
  EXPECT_THAT(Out(), HasSubstr("Exit codes:\n  0  done\n"));
}

}  // namespace
}  // namespace keyhold::cli
