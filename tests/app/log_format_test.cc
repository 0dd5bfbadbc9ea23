#include "app/log_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

namespace keyhold::app {
namespace {

TEST(LogFormat, AMessageIsOneLineWhateverIsInIt) {
  std::ostringstream out;
  spdlog::logger logger("keyhold", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger.set_formatter(LogFormat());
  logger.error("no {}", "cluster\r\n[2026-01-01 00:00:00.000] [keyhold] [info] all is well\x1b[2J\xc2\x9b");
  EXPECT_THAT(out.str(), testing::MatchesRegex("\\[[-0-9: .]+\\] \\[keyhold\\] \\[error\\] no cluster.*\n"));
  EXPECT_THAT(out.str(),
              testing::HasSubstr("cluster\\x0d\\x0a[2026-01-01 00:00:00.000] [keyhold] [info] all is well"
                                 "\\x1b[2J\\xc2\\x9b\n"));
}

}  // namespace
}  // namespace keyhold::app
