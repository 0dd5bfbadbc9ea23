// How a line of a service's log is written: as spdlog does by itself, but that a message is one line,
// whatever is in it. What a client, a cloud or a file said may be in it.
#pragma once

#include <spdlog/formatter.h>

#include <memory>

namespace keyhold::app {

std::unique_ptr<spdlog::formatter> LogFormat();

}  // namespace keyhold::app
