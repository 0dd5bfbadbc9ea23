// What text may hold: whether it is visible, and what of it a terminal obeys instead of showing it: control
// characters, and those that turn the direction of writing. Whoever may write a name could write a log's next
// line with them.
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

// `text` as a part of a URL: all but A-Z a-z 0-9 - . _ ~ and what `keep` holds as %XX (RFC 3986 section 2.1).
std::string PercentEncoded(std::string_view text, std::string_view keep = {});

// Whether it is ASCII from '!' to '~': no blank, and nothing that ends a line. True of an empty text too.
bool IsVisibleAscii(std::string_view text);

}  // namespace keyhold
