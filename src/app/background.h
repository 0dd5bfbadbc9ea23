// Running in the foreground, or as a daemon whose parent returns when it is ready.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"

namespace keyhold::app {

// Said by a service once it is ready; `log_path` takes what a daemon prints from then on.
using Ready = std::function<Status(const std::string& log_path)>;

// Runs `service` here, or with `background` in a child of a session of its own. In the background it returns
// as soon as the child is ready, or with the child's error (kUnavailable). Until it is ready a child prints
// to this process's streams. To be called before any thread is made.
Status RunUntilReady(bool background, const std::function<Status(const Ready& ready)>& service);

}  // namespace keyhold::app
