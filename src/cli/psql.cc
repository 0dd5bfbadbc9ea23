#include "cli/psql.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace keyhold::cli {
namespace {

// libpq takes a password file that is a regular file of mode 0600 at most; a memfd is one.
Status HandOver(const std::string& password_file) {
  const int fd = memfd_create("pgpass", 0);
  if (fd < 0) return ErrnoError(errno, "memfd_create");
  if (fchmod(fd, 0600) != 0) return ErrnoError(errno, "fchmod");
  if (write(fd, password_file.data(), password_file.size()) != static_cast<ssize_t>(password_file.size())) {
    return ErrnoError(errno, "password file");
  }
  setenv("PGPASSFILE", absl::StrCat("/proc/self/fd/", fd).c_str(), 1);
  return OkStatus();
}

}  // namespace

Status ExecPsqlProgram(const std::vector<std::string>& arguments, const std::string& password_file) {
  if (!password_file.empty()) KEYHOLD_RETURN_IF_ERROR(HandOver(password_file));
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  execvp("psql", pointers.data());
  return ErrnoError(errno, "cannot run psql; install postgresql-client, or use --connection-url");
}

}  // namespace keyhold::cli
