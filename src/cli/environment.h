// What ccloud takes from the world around it, as values: main() fills it in, tests fill in their own.
#pragma once

#include <functional>
#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::cli {

// How psql is run: it takes the place of this process, so it only returns when it cannot be started.
// `password_file` is the text of a PostgreSQL password file (libpq, "The Password File"), empty for none: it
// reaches psql in memory, never in arguments, environment or on a disk.
using ExecPsql =
    std::function<Status(const std::vector<std::string>& arguments, const std::string& password_file)>;

// A program that was run to its end: its exit code and what it said.
struct Ran {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// The same, beside this process: psql for a drill.
using RunPsql =
    std::function<StatusOr<Ran>(const std::vector<std::string>& arguments, const std::string& password_file)>;

struct Environment {
  std::istream& in;
  std::ostream& out;  // data
  std::ostream& err;  // progress, prompts and errors
  bool in_is_terminal = false;
  bool err_is_terminal = false;
  bool color = false;      // err_is_terminal and no NO_COLOR
  std::string server;      // COCKROACH_SERVER, empty when not set
  std::string api_key;     // COCKROACH_API_KEY, empty when not set
  std::string config_dir;  // $XDG_CONFIG_HOME/ccloud or ~/.config/ccloud; made when something is kept there

  std::function<StatusOr<std::string>()> read_secret;  // one line from the terminal, not echoed
  std::function<void(absl::Duration)> pause;           // between two looks at a running operation
  ExecPsql exec_psql;
  RunPsql run_psql;
  std::function<StatusOr<Ran>(const std::string& command)> run_shell;  // by sh -c
  std::function<absl::Time()> now;
};

}  // namespace keyhold::cli
