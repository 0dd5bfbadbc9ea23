#include "api/header_lines.h"

#include <gtest/gtest.h>

namespace keyhold::api {
namespace {

constexpr char kRequest[] = "POST / HTTP/1.1\r\n";

bool IsTaken(const std::string& bytes) {
  HeaderLines whole;
  HeaderLines in_pieces;
  bool taken = true;
  for (const char c : bytes) taken = taken && in_pieces.Take({&c, 1});
  EXPECT_EQ(whole.Take(bytes), taken) << bytes;
  return taken;
}

TEST(HeaderLines, WhatClientsSendIsTaken) {
  for (const std::string lines :
       {"", "Host: x\r\n", "X:\r\n", "X:a\r\n", "X: \ta \t\r\n", "x-1_~!: a:b\r\n", "X: caf\xc3\xa9 \xff\r\n",
        "Content-Length: 4\r\n", "transfer-encoding:chunked\r\n", "User-Agent: a%0d%0ab\r\n"}) {
    EXPECT_TRUE(IsTaken(kRequest + lines + "\r\nbody\n\x01")) << lines;
  }
}

TEST(HeaderLines, WhatTwoReadersCouldTakeForTwoThingsIsNot) {
  for (const std::string lines :
       {"X: a\n", "X: a\rb\r\n", "X: a\r\r\n", " X: a\r\n", "\tX: a\r\n", "X: a\r\n b\r\n", "X : a\r\n",
        "X\r\n", ": a\r\n", "X\xc3\xa9: a\r\n", "X(y): a\r\n", "X: a\x01\r\n", "X: a\x7f\r\n", "X\x1b: a\r\n",
        "Content-Length:\r\n", "Content-Length: \t\r\n", "content-length: %34\r\n",
        "Transfer-Encoding:\r\n"}) {
    EXPECT_FALSE(IsTaken(kRequest + lines + "\r\n")) << lines;
  }
  EXPECT_FALSE(IsTaken(kRequest + std::string("X: a\0b\r\n\r\n", 10)));
  EXPECT_FALSE(IsTaken("GET / HTTP/1.1\n\n"));
  EXPECT_FALSE(IsTaken("GET /\r HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(IsTaken(std::string("GET /\0 HTTP/1.1\r\n\r\n", 19)));
}

}  // namespace
}  // namespace keyhold::api
