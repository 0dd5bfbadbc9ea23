// A process that runs an engine until it is killed: engine_host ROOT SOCKET_DIR.
#include <unistd.h>

#include <cstdio>

#include "engine/postgres.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  keyhold::engine::PostgresOptions options;
  options.root = argv[1];
  options.socket_dir = argv[2];
  const auto postgres = keyhold::engine::Postgres::Start(options, [] {});
  std::puts(postgres.ok() ? "ready" : std::string(postgres.status().message()).c_str());
  std::fflush(stdout);
  pause();
}
