#include "app/log_format.h"

#include <spdlog/pattern_formatter.h>

#include "base/text.h"

namespace keyhold::app {
namespace {

class Message final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& line) override {
    const std::string text = EscapeControls({message.payload.data(), message.payload.size()});
    line.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Message>(); }
};

}  // namespace

std::unique_ptr<spdlog::formatter> LogFormat() {
  auto format = std::make_unique<spdlog::pattern_formatter>();
  format->add_flag<Message>('*').set_pattern("[%Y-%m-%d %H:%M:%S.%e] [%n] [%l] %*");
  return format;
}

}  // namespace keyhold::app
