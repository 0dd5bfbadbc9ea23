// What ccloud prints, and how: data on one stream, progress on the other, nothing that a terminal would obey.
//
// Control characters in whatever came from elsewhere are shown escaped (\x1b). Objects are for one thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace keyhold::cli {

// `text` with C0 and C1 control characters, DEL and bytes that are not UTF-8 as \xNN.
std::string Printable(std::string_view text);

// "2026-03-01 10:30:00Z" from RFC 3339; `text` itself where it is none.
std::string ShortTime(const std::string& text);

struct OutputOptions {
  bool json = false;         // -o json
  bool quiet = false;        // -q: no progress
  bool hide_header = false;  // --hide-header: no heading above tables
  bool live = false;         // progress is one line that is written over (a terminal)
  bool color = false;
};

class Output {
 public:
  Output(std::ostream& out, std::ostream& err, OutputOptions options);
  ~Output();

  bool json() const { return options_.json; }

  // Data, indented by two, all ASCII.
  void Json(const nlohmann::json& value);
  void Line(std::string_view text);
  // " key: value", behind as many more blanks as `indent` says.
  void Field(std::string_view key, std::string_view value, int indent = 0);
  // Columns of equal width, under `header`.
  void Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

  // "∙∙∙ text..." on the error stream. Live, it stands until the next output.
  void Progress(std::string_view text);
  // As Progress(), but on a terminal alone: what changes all the time.
  void Live(std::string_view text);
  // A line on the error stream that stays, even when quiet.
  void Note(std::string_view text);

 private:
  void ClearProgress();

  std::ostream& out_;
  std::ostream& err_;
  const OutputOptions options_;
  std::string shown_;
};

}  // namespace keyhold::cli
