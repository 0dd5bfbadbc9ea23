#include "store/errno.h"

#include <cerrno>

namespace keyhold::store {

int ToErrno(const Status& status) {
  if (status.ok()) return 0;
  if (const int error = ErrnoOf(status); error != 0) return error;
  switch (CauseOf(status)) {
    case Cause::kNotFound:
      return ENOENT;
    case Cause::kAlreadyExists:
      return EEXIST;
    case Cause::kInvalidArgument:
      return EINVAL;
    case Cause::kResourceExhausted:
      return ENOSPC;
    case Cause::kUnimplemented:
      return EOPNOTSUPP;
    default:
      return EIO;
  }
}

}  // namespace keyhold::store
