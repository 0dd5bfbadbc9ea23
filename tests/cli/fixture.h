// Runs ccloud in this process against a FakeApi.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cli/run.h"
#include "tests/base/temp_dir.h"
#include "tests/cli/fake_api.h"

namespace keyhold::cli {

class CliTest : public ::testing::Test {
 protected:
  int Ccloud(const std::vector<std::string>& arguments, const std::string& input = "") {
    std::istringstream in(input);
    out_.str("");
    err_.str("");
    Environment environment{.in = in, .out = out_, .err = err_};
    environment.err_is_terminal = terminal_;
    environment.server = server_;
    environment.api_key = key_;
    environment.config_dir = config_.path() + "/ccloud";
    environment.pause = [this](absl::Duration duration) {
      ++pauses_;
      now_ += duration;
    };
    environment.now = [this] { return now_; };
    environment.run_psql = run_psql_;
    environment.run_shell = run_shell_;
    environment.exec_psql = [this](const std::vector<std::string>& psql, const std::string& password) {
      psql_ = psql;
      psql_password_ = password;
      return OkStatus();
    };
    return cli::Run(arguments, environment);
  }
  std::string Out() const { return out_.str(); }
  std::string Err() const { return err_.str(); }
  long ErrLines() const {
    const std::string text = err_.str();
    return std::count(text.begin(), text.end(), '\n');
  }
  nlohmann::json Json() const { return nlohmann::json::parse(out_.str()); }

  FakeApi api_;
  std::string server_ = api_.url();
  std::string key_ = kTestKey;
  testing::TempDir config_;
  std::ostringstream out_;
  std::ostringstream err_;
  int pauses_ = 0;
  bool terminal_ = false;
  std::vector<std::string> psql_;
  std::string psql_password_;
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);  // moved by pauses alone
  RunPsql run_psql_;
  std::function<StatusOr<Ran>(const std::string&)> run_shell_;
};

}  // namespace keyhold::cli
