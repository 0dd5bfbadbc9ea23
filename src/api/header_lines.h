// A request's line and header lines as they come, held to the letter of RFC 9112. httplib skips a line that
// it does not understand; a proxy before it may have understood it.
#pragma once

#include <string>
#include <string_view>

namespace keyhold::api {

// For one request.
class HeaderLines {
 public:
  // The next bytes, up to the empty line; what follows that is not looked at. False: they are not valid (a
  // line that ends without CRLF or is folded, a control character, a name that is none, a length or an
  // encoding that is none), and nothing after them is to be read. The request line's own form is httplib's to
  // check.
  bool Take(std::string_view bytes);

 private:
  bool TakeOne(char c);
  bool EndLine();

  std::string line_;
  bool is_first_ = true;
  bool after_cr_ = false;
  bool done_ = false;
};

}  // namespace keyhold::api
