#include "base/text.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace keyhold
