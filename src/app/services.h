// The services of `keyhold` as processes of their own: what their subcommands run.
//
// Each says on stdout, in one line, when it is there, `ready ADDR:PORT` (agent and node: `ready`), or why it
// is not, `failed MESSAGE`; its log goes to stderr. `keyhold start` reads that line. Call them before any
// thread is made; they return when SIGTERM or SIGINT has ended them.
#pragma once

#include <string>
#include <vector>

#include "agent/agent.h"
#include "api/server.h"
#include "base/status.h"
#include "localcloud/localcloud.h"
#include "node/run.h"

namespace keyhold::app {

Status ServeLocalCloud(const localcloud::Options& options);
Status ServeApi(const api::ServerOptions& options);
Status ServeAgent(const agent::AgentOptions& options);
Status ServeNode(const node::RunOptions& options);

// The variables of `environ` that a node may have: PATH, LANG, and those of kms::EnvironmentNames().
std::map<std::string, std::string> NodeEnvironment(const std::map<std::string, std::string>& environ);

}  // namespace keyhold::app
