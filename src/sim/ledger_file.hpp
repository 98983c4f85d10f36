#pragma once
// The ledger on disk: lines are appended and reach the file at the latest with the next flush().

#include <memory>
#include <string>

#include "base/result.hpp"
#include "sim/market/ledger.hpp"

namespace mp::sim {

class LedgerFile final : public LineSink {
 public:
  // Appends to a file that is there. Errc::io with the system's reason.
  static Result<std::unique_ptr<LedgerFile>> open(const std::string& path);
  ~LedgerFile() override;

  void line(std::string_view text) override;
  void flush() override;
  // Why not everything could be written; "" when everything was.
  const std::string& failure() const { return failure_; }

 private:
  LedgerFile(int file, std::string path) : file_(file), path_(std::move(path)) {}

  int file_;
  std::string path_;
  std::string buffer_;
  std::string failure_;
};

}  // namespace mp::sim
