#include "app/operate/export.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "app/operate/parquet_join.hpp"
#include "base/text.hpp"
#include "net/clock.hpp"

namespace mp::operate {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
constexpr seconds kSteps[] = {seconds{86400}, seconds{3600}, seconds{60}, seconds{1}};
constexpr std::uint64_t kLeastPieceRows = 1000;

// A file that is removed again unless it got its name.
class NewFile {
 public:
  NewFile() = default;
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (file_ >= 0) ::close(file_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Result<void> open(std::string path) {
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file_ < 0) return Error{Errc::io, path, std::strerror(errno)};
    path_ = std::move(path);
    return {};
  }
  Result<void> write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::write(file_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Error{Errc::io, path_, std::strerror(errno)};
      bytes.remove_prefix(static_cast<std::size_t>(n));
      size_ += static_cast<std::uint64_t>(n);
    }
    return {};
  }
  Result<std::string> read(std::uint64_t from, std::uint64_t size) const {
    std::string bytes(size, '\0');
    for (std::size_t got = 0; got < size;) {
      const auto n = ::pread(file_, bytes.data() + got, size - got, static_cast<off_t>(from + got));
      if (n <= 0) return Error{Errc::io, path_, n < 0 ? std::strerror(errno) : "shorter than it was written"};
      got += static_cast<std::size_t>(n);
    }
    return bytes;
  }
  Result<void> cut(std::uint64_t size) {
    const auto at = static_cast<off_t>(size);
    if (::ftruncate(file_, at) != 0 || ::lseek(file_, at, SEEK_SET) < 0)
      return Error{Errc::io, path_, std::strerror(errno)};
    size_ = size;
    return {};
  }
  bool is_open() const { return file_ >= 0; }
  std::uint64_t size() const { return size_; }

  // Whole on the disk, then there under its name.
  Result<void> name(const std::string& output, bool replace) {
    if (::fsync(file_) != 0) return Error{Errc::io, path_, std::strerror(errno)};
    const unsigned flags = replace ? 0 : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, output.c_str(), flags) != 0) {
      if (errno == EEXIST)
        return Error{Errc::conflict, output, "exists (it came into being meanwhile); --force replaces it"};
      return Error{Errc::io, output, std::strerror(errno)};
    }
    path_.clear();
    return {};
  }

 private:
  int file_ = -1;
  std::uint64_t size_ = 0;
  std::string path_;
};

Result<void> check_output(const ExportOptions& o) {
  std::error_code error;
  const auto status = fs::status(o.output, error);
  if (!fs::exists(status)) return {};
  if (!fs::is_regular_file(status))
    return Error{Errc::conflict, o.output, "is not a file; --output takes the name of one"};
  if (!o.force) return Error{Errc::conflict, o.output, "exists; --force replaces it"};
  return {};
}

class Export {
 public:
  Export(clickhouse::Client& client, const ExportOptions& options, std::stop_token stop)
      : client_(client), o_(options), stop_(std::move(stop)), started_(net::now().mono), last_told_(started_) {}

  Result<ExportDone> run() {
    if (auto ok = check_output(o_); !ok) return ok.error();
    if (auto ok = look_at_table(); !ok) return ok.error();
    const auto pieces = plan();
    if (!pieces) return pieces.error();
    if (total_ == 0)
      if (auto known = check_names(); !known) return known.error();
    if (auto ok = output_.open(fmt::format("{}.partial-{}", o_.output, ::getpid())); !ok) return ok.error();
    for (const auto& piece : *pieces)
      if (auto ok = add(piece, &piece == &pieces->front()); !ok) return ok.error();
    if (auto ok = finish(); !ok) return ok.error();
    return ExportDone{rows_, output_.size(), pieces->size()};
  }

 private:
  bool is_parquet() const { return o_.request.format == ExportFormat::parquet; }
  clickhouse::Statement statement(std::string sql) const { return {std::move(sql), "", {}}; }

  Result<void> look_at_table() {
    const auto& r = o_.request;
    const auto rows = client_.rows(statement(sql_columns(r)), stop_);
    if (!rows) return rows.error();
    if (rows->empty()) return no_such_table();
    std::vector<ExportColumn> columns;
    for (const auto& row : *rows) columns.push_back({row.at(0), row.at(1), row.at(2)});
    auto table = table_of(r, columns);
    if (!table) return table.error();
    table_ = std::move(*table);
    return {};
  }

  Error no_such_table() {
    const auto& r = o_.request;
    const auto there = client_.rows(
        statement(fmt::format("SELECT name FROM system.tables WHERE database = {} ORDER BY name FORMAT TabSeparated",
                              clickhouse::sql_text(r.database))),
        stop_);
    std::vector<std::string> names;
    if (there)
      for (const auto& row : *there) names.push_back(row.at(0));
    if (names.empty())
      return {Errc::usage, "--database",
              fmt::format("ClickHouse at {} has no database {} with tables", client_.address(), r.database)};
    const auto near = nearest(r.table, names);
    return {Errc::usage, "--table",
            near.empty()
                ? fmt::format("{} has no table '{}'; there are {}", r.database, r.table, fmt::join(names, ", "))
                : fmt::format("{} has no table '{}'; did you mean {}?", r.database, r.table, near)};
  }

  // Nothing was found: because the name is wrong?
  Result<void> check_names() {
    const std::tuple<const char*, const char*, const std::vector<std::string>*> filters[] = {
        {"exchange", "--exchange", &o_.request.exchanges},
        {"market_type", "--market-type", &o_.request.market_types},
        {"symbol", "--symbol", &o_.request.symbols}};
    for (const auto& [column, option, wanted] : filters) {
      if (wanted->empty()) continue;
      const auto rows = client_.rows(statement(sql_names(o_.request, column)), stop_);
      if (!rows) return rows.error();
      std::vector<std::string> there;
      for (const auto& row : *rows) there.push_back(row.at(0));
      for (const auto& name : *wanted) {
        if (there.empty() || std::find(there.begin(), there.end(), name) != there.end()) continue;
        const auto near = nearest(name, there);
        return Error{Errc::usage, option,
                     fmt::format("{}.{} has no row of '{}'{}", o_.request.database, o_.request.table, name,
                                 near.empty() ? "" : "; did you mean " + near + "?")};
      }
    }
    return {};
  }

  Result<std::vector<ExportPiece>> plan() {
    most_ = o_.piece_rows;
    if (const auto size = client_.rows(statement(sql_row_size(o_.request)), stop_); size && !size->empty()) {
      const std::uint64_t bytes = std::strtoull(size->front().at(0).c_str(), nullptr, 10);
      if (bytes > 0) most_ = std::min(most_, std::max(kLeastPieceRows, o_.piece_bytes / bytes));
    }
    std::vector<ExportPiece> counts;
    const TimeRange all{o_.request.from, o_.request.to};
    if (auto ok = count(all, 0, counts); !ok) return ok.error();
    for (const auto& step : counts) total_ += step.rows;
    return pieces_of(all, counts, most_);
  }

  // By days; those with too many rows by hours, and so on.
  Result<void> count(const TimeRange& range, std::size_t step, std::vector<ExportPiece>& out) {
    const auto rows = client_.rows(statement(sql_counts(o_.request, table_, range, kSteps[step])), stop_);
    if (!rows) return rows.error();
    for (const auto& row : *rows) {
      const WallTime begin{seconds{std::strtoll(row.at(0).c_str(), nullptr, 10)}};
      const TimeRange part{std::max(begin, range.from), std::min(begin + kSteps[step], range.to)};
      const auto number = std::strtoull(row.at(1).c_str(), nullptr, 10);
      if (number > most_ && step + 1 < std::size(kSteps)) {
        if (auto ok = count(part, step + 1, out); !ok) return ok;
      } else {
        out.push_back({part, number});
      }
    }
    return {};
  }

  Result<void> add(const ExportPiece& piece, bool is_first) {
    const auto rows_before = rows_;
    auto sql = statement(sql_rows(o_.request, table_, piece.range, is_first));
    sql.settings = export_settings(o_.request.format);
    if (is_parquet() && !is_first && !parquet_.is_open())
      if (auto ok = parquet_.open(fmt::format("{}.partial-{}-piece", o_.output, ::getpid())); !ok) return ok;
    auto& file = is_parquet() && !is_first ? parquet_ : output_;
    RowCounter counter(o_.request.format == ExportFormat::csv, o_.request.format == ExportFormat::csv && is_first);
    Result<void> written{};
    const auto answer = client_.stream(
        sql,
        [&](std::string_view bytes) {
          if (written = file.write(bytes); !written) return false;
          if (!is_parquet()) {
            counter.add(bytes);
            rows_ = rows_before + counter.rows();
          }
          tell(false);
          return true;
        },
        stop_);
    if (!written) return written;
    if (stop_.stop_requested()) return Error{Errc::unavailable, "export", "interrupted; nothing was written"};
    if (!answer) return answer.error();
    if (!answer->ok()) return answer->error("ClickHouse at " + client_.address());
    if (is_parquet())
      if (auto ok = join(file, is_first); !ok) return ok;
    if (rows_ - rows_before < piece.rows)
      return Error{
          Errc::conflict, o_.request.table,
          fmt::format(
              "{} of {} rows between {} and {} went away while they were read (did they expire?); nothing was written",
              piece.rows - (rows_ - rows_before), piece.rows, iso(piece.range.from), iso(piece.range.to))};
    total_ = std::max(total_, rows_);
    tell(true);
    return {};
  }

  Result<void> join(NewFile& file, bool is_first) {
    if (file.size() < kParquetMagic.size() + kParquetTail)
      return Error{Errc::corrupt, "Parquet", "ClickHouse's answer is no Parquet file"};
    const auto tail = file.read(file.size() - kParquetTail, kParquetTail);
    if (!tail) return tail.error();
    const auto footer_size = parquet_footer_size(*tail);
    if (!footer_size) return footer_size.error();
    if (*footer_size > file.size() - kParquetTail - kParquetMagic.size())
      return Error{Errc::corrupt, "Parquet footer", "longer than its file"};
    const auto data_end = file.size() - kParquetTail - *footer_size;
    const auto footer = file.read(data_end, *footer_size);
    if (!footer) return footer.error();
    // The first piece is the output itself, without its footer.
    const auto rows = join_.add(*footer, is_first ? kParquetMagic.size() : output_.size());
    if (!rows) return rows.error();
    rows_ += *rows;
    if (is_first) return output_.cut(data_end);
    constexpr std::uint64_t kBlock = 1u << 20;
    for (std::uint64_t at = kParquetMagic.size(); at < data_end; at += kBlock) {
      const auto block = file.read(at, std::min(kBlock, data_end - at));
      if (!block) return block.error();
      if (auto ok = output_.write(*block); !ok) return ok;
    }
    return file.cut(0);
  }

  Result<void> finish() {
    if (is_parquet())
      if (auto ok = output_.write(join_.end()); !ok) return ok;
    return output_.name(o_.output, o_.force);
  }

  void tell(bool is_piece_done) {
    if (!o_.progress) return;
    const auto now = net::now().mono;
    if (!is_piece_done && now - last_told_ < std::chrono::milliseconds{100}) return;
    last_told_ = now;
    o_.progress({rows_, std::max(total_, rows_), output_.size() + parquet_.size(),
                 std::chrono::duration_cast<std::chrono::milliseconds>(now - started_)});
  }

  clickhouse::Client& client_;
  const ExportOptions& o_;
  const std::stop_token stop_;
  ExportTable table_;
  std::uint64_t most_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t rows_ = 0;
  NewFile output_;
  NewFile parquet_;  // one piece at a time
  ParquetJoin join_;
  const MonoTime started_;
  MonoTime last_told_;
};

}  // namespace

Result<ExportDone> run_export(clickhouse::Client& client, const ExportOptions& options, std::stop_token stop) {
  return Export(client, options, std::move(stop)).run();
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  double amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= 1000 && unit + 1 < std::size(kUnits); ++unit) amount /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string progress_text(const ExportProgress& p, std::size_t bar) {
  const double share = p.total == 0 ? 0 : static_cast<double>(p.rows) / static_cast<double>(p.total);
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(bar));
  std::string text = bar == 0 ? "" : "[" + std::string(filled, '#') + std::string(bar - filled, '-') + "] ";
  text += fmt::format("{:3.0f} %  {} of {} rows  {}", share * 100, p.rows, p.total, bytes_text(p.bytes));
  if (share > 0.01 && p.rows < p.total) {  // before that it is a guess
    const auto left = static_cast<std::int64_t>(static_cast<double>(p.elapsed.count()) / 1000 * (1 / share - 1));
    text += fmt::format("  eta {}:{:02}", left / 60, left % 60);
  }
  return text;
}

}  // namespace mp::operate
