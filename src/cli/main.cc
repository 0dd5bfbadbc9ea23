// ccloud: the environment as values, then Run().
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include "absl/time/clock.h"
#include "cli/psql.h"
#include "cli/run.h"

namespace {

using keyhold::cli::Environment;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string ConfigDir() {
  const std::string base = Variable("XDG_CONFIG_HOME");
  return (base.empty() ? Variable("HOME") + "/.config" : base) + "/ccloud";
}

keyhold::StatusOr<std::string> ReadSecret() {
  termios before;
  if (tcgetattr(STDIN_FILENO, &before) != 0) return keyhold::ErrnoError(errno, "terminal");
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  std::string line;
  std::getline(std::cin, line);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  std::cerr << "\n";
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const bool err_is_terminal = isatty(STDERR_FILENO) == 1;
  Environment environment{.in = std::cin,
                          .out = std::cout,
                          .err = std::cerr,
                          .in_is_terminal = isatty(STDIN_FILENO) == 1,
                          .err_is_terminal = err_is_terminal,
                          .color = err_is_terminal && Variable("NO_COLOR").empty(),
                          .server = Variable("COCKROACH_SERVER"),
                          .api_key = Variable("COCKROACH_API_KEY"),
                          .config_dir = ConfigDir(),
                          .read_secret = ReadSecret,
                          .pause = [](absl::Duration duration) { absl::SleepFor(duration); },
                          .exec_psql = keyhold::cli::ExecPsqlProgram,
                          .run_psql = keyhold::cli::RunPsqlProgram,
                          .run_shell = keyhold::cli::RunShellCommand,
                          .now = absl::Now};
  return keyhold::cli::Run({argv + 1, argv + argc}, environment);
}
