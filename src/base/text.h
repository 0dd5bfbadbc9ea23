// What of a text a terminal obeys instead of showing it: control characters, and those that turn the
// direction of writing. Whoever may write a name could write a log's next line with them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace keyhold {

// How many bytes the one at the start of `text` has, which is UTF-8: C0 and DEL one, C1 (U+0080 to U+009F)
// two, U+202A to U+202E and U+2066 to U+2069 three. 0: there is none.
size_t ControlSize(std::string_view text);

bool HasControls(std::string_view text);

// `text` with each of their bytes as \x1b; all else as it is.
std::string EscapeControls(std::string_view text);

}  // namespace keyhold
