// The one place where a status becomes an errno.
#pragma once

#include "base/status.h"

namespace keyhold::store {

// 0 for OK, else a positive errno: the operating system's own where it has one; EIO for what does not
// authenticate.
int ToErrno(const Status& status);

}  // namespace keyhold::store
