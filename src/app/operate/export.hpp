#pragma once
// Carries out an export: counts, reads piece by piece, writes beside the output, and gives it its name when it is
// whole.

#include <functional>
#include <stop_token>
#include <string>

#include "app/operate/export_plan.hpp"
#include "clickhouse/client.hpp"

namespace mp::operate {

struct ExportProgress {
  std::uint64_t rows = 0;
  std::uint64_t total = 0;
  std::uint64_t bytes = 0;
  std::chrono::milliseconds elapsed{0};
};

struct ExportOptions {
  ExportRequest request;
  std::string output;
  bool force = false;  // replace an existing file
  // Of a piece, as long as it is longer than a second: what the server sorts at once.
  std::uint64_t piece_rows = 1'000'000;
  std::uint64_t piece_bytes = 128u << 20;
  std::function<void(const ExportProgress&)> progress{};
};

struct ExportDone {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::size_t pieces = 0;
};

// Errc::usage: what was asked for is not there, with the nearest name; Errc::conflict: the output exists. After any
// error there is no output and no rest of one.
Result<ExportDone> run_export(clickhouse::Client& client, const ExportOptions& options, std::stop_token stop = {});

// "[#####-----]  41 %  1234567 of 3000000 rows  98.2 MB  eta 0:12"; pure.
std::string progress_text(const ExportProgress& progress, std::size_t bar);
std::string bytes_text(std::uint64_t bytes);  // "98.2 MB"

}  // namespace mp::operate
