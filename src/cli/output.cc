#include "cli/output.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/text.h"

namespace keyhold::cli {
namespace {

// The length of the UTF-8 sequence at the start of `text`; 0 where there is none (RFC 3629).
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80   ? 1
                        : byte(0) < 0xc2 ? 0
                        : byte(0) < 0xe0 ? 2
                        : byte(0) < 0xf0 ? 3
                        : byte(0) < 0xf5 ? 4
                                         : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// Columns as a terminal counts them, near enough: one per UTF-8 sequence.
size_t Width(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

std::vector<size_t> ColumnWidths(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], Width(line[i]));
  }
  return widths;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const std::string_view sequence = text.substr(0, std::max<size_t>(length, 1));
    if (length > 0 && ControlSize(sequence) == 0) {
      printable.append(sequence);
    } else {
      for (const char c : sequence)
        absl::StrAppendFormat(&printable, "\\x%02x", static_cast<unsigned char>(c));
    }
    text.remove_prefix(sequence.size());
  }
  return printable;
}

std::string ShortTime(const std::string& text) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return text;
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", time, absl::UTCTimeZone());
}

Output::Output(std::ostream& out, std::ostream& err, OutputOptions options)
    : out_(out), err_(err), options_(options) {}

Output::~Output() { ClearProgress(); }

void Output::Json(const nlohmann::json& value) {
  ClearProgress();
  out_ << value.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << "\n" << std::flush;
}

void Output::Line(std::string_view text) {
  ClearProgress();
  out_ << Printable(text) << "\n" << std::flush;
}

void Output::Field(std::string_view key, std::string_view value, int indent) {
  Line(absl::StrFormat("%*s%s: %s", indent + 1, "", std::string(key), std::string(value)));
}

void Output::Table(const std::vector<std::string>& header,
                   const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> lines;
  if (!options_.hide_header) lines.push_back(header);
  for (const auto& row : rows) {
    lines.emplace_back();
    for (const std::string& cell : row) lines.back().push_back(Printable(cell));
  }
  const std::vector<size_t> widths = ColumnWidths(lines);
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      absl::StrAppend(&text, line[i],
                      std::string(i + 1 < line.size() ? widths[i] - Width(line[i]) + 2 : 0, ' '));
    }
    Line(text.substr(0, text.find_last_not_of(' ') + 1));
  }
}

void Output::Progress(std::string_view text) {
  if (options_.quiet || text == shown_) return;
  ClearProgress();
  shown_ = std::string(text);
  if (options_.color) err_ << "\x1b[2m";
  err_ << "∙∙∙ " << Printable(text) << "...";
  if (options_.color) err_ << "\x1b[0m";
  if (!options_.live) err_ << "\n";
  err_ << std::flush;
}

void Output::Live(std::string_view text) {
  if (options_.live) Progress(text);
}

void Output::Note(std::string_view text) {
  ClearProgress();
  err_ << Printable(text) << "\n" << std::flush;
}

void Output::ClearProgress() {
  if (!shown_.empty() && options_.live) err_ << "\r\x1b[K" << std::flush;
  shown_.clear();
}

}  // namespace keyhold::cli
