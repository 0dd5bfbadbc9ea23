#include "base/text.h"

#include <gtest/gtest.h>

#include <vector>

namespace keyhold {
namespace {

struct Row {
  std::string text;
  std::string escaped;
};

TEST(Text, WhatATerminalObeysIsFoundAndEscaped) {
  for (const Row& row : {Row{"a\nb", "a\\x0ab"}, Row{"\r", "\\x0d"}, Row{std::string("a\0b", 3), "a\\x00b"},
                         Row{"\x1b[2J", "\\x1b[2J"}, Row{"\x7f", "\\x7f"},
                         Row{"\xc2\x9b"
                             "2J",
                             "\\xc2\\x9b2J"},
                         Row{"x\xe2\x80\xae"
                             "y",
                             "x\\xe2\\x80\\xaey"},
                         Row{"\xe2\x81\xa6", "\\xe2\\x81\\xa6"}}) {
    EXPECT_TRUE(HasControls(row.text)) << row.escaped;
    EXPECT_EQ(EscapeControls(row.text), row.escaped);
    EXPECT_FALSE(HasControls(EscapeControls(row.text))) << row.escaped;
  }
}

TEST(Text, AllElseStaysAsItIs) {
  for (const std::string text :
       {"", "a b", "é", "名前", "\xc2\xa0", "\xc2", "\xe2\x80", "\xe2\x80\x94", "\xff\xfe"}) {
    EXPECT_FALSE(HasControls(text)) << text;
    EXPECT_EQ(EscapeControls(text), text);
  }
}

TEST(Text, PercentEncodingKeepsWhatIsUnreserved) {
  EXPECT_EQ(PercentEncoded("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(PercentEncoded("a b/c%\xc3\xa9\n"), "a%20b%2Fc%25%C3%A9%0A");
  EXPECT_EQ(PercentEncoded("a/b c", "/"), "a/b%20c");
  EXPECT_EQ(PercentEncoded(std::string_view("\0", 1)), "%00");
}

TEST(Text, VisibleIsWhatNeitherEndsALineNorIsBlank) {
  for (const std::string_view text : {"", "!", "~", "a-Z/0:9"}) EXPECT_TRUE(IsVisibleAscii(text)) << text;
  for (const std::string_view text :
       std::vector<std::string_view>{" ", "a b", "a\n", "\t", "\x7f", "\x80", "é", {"\0", 1}})
    EXPECT_FALSE(IsVisibleAscii(text)) << text;
}

}  // namespace
}  // namespace keyhold
