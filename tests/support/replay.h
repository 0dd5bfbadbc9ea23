// A fuzzer's seeds, and the inputs of what it once found, as a test: each goes through it as in a fuzzing
// run.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/source_dir.h"

namespace keyhold::testing {

using Fuzzer = int (*)(const uint8_t* data, size_t size);

// A fault ends the process, as it does a fuzzer; the last input that was named did it.
inline void Replay(Fuzzer fuzzer, const std::string& corpus) {
  ASSERT_TRUE(std::filesystem::is_directory(corpus)) << "no seeds: make some in " << corpus;
  std::vector<std::filesystem::path> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) inputs.push_back(entry.path());
  std::sort(inputs.begin(), inputs.end());
  EXPECT_FALSE(inputs.empty());
  for (const auto& input : inputs) {
    std::printf("%s\n", input.filename().c_str());
    std::fflush(stdout);
    std::ostringstream bytes;
    bytes << std::ifstream(input, std::ios::binary).rdbuf();
    const std::string text = std::move(bytes).str();
    EXPECT_EQ(fuzzer(reinterpret_cast<const uint8_t*>(text.data()), text.size()), 0);
  }
  EXPECT_EQ(fuzzer(nullptr, 0), 0);
}

}  // namespace keyhold::testing

#define KEYHOLD_REPLAY(ROOM, FUZZER)                                                                      \
  extern "C" int FUZZER(const uint8_t* data, size_t size);                                                \
  TEST(Corpus, FUZZER) {                                                                                  \
    keyhold::testing::Replay(FUZZER, keyhold::testing::SourceDir() + "/tests/" #ROOM "/corpus/" #FUZZER); \
  }
