// A database file that was there and is not: told apart from a first start.
#pragma once

#include <string>

#include "base/status.h"

namespace keyhold {

// kCorrupt when the SQLite database `database` is missing or empty although `witness`, a file that is written
// after the database's first transaction and then kept, has content: to go on would start anew and forget
// everything unsaid. Both are paths. A database whose content is still in its write-ahead log ("-wal") is
// there. Called before it is opened.
Status CheckDatabaseKept(const std::string& database, const std::string& witness);

}  // namespace keyhold
