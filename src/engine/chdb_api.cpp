#include "engine/chdb_api.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace mp::engine {
namespace {

constexpr const char* kEnvironment = "MARKETPRISM_LIBCHDB";
constexpr const char* kWhatToDo =
    "run ./run --build-only in the checkout, which fetches it, or set MARKETPRISM_LIBCHDB to "
    "libchdb.so";

std::filesystem::path program_directory() {
  std::error_code ec;
  return std::filesystem::read_symlink("/proc/self/exe", ec).parent_path();
}

// In the order in which they are tried; the last one, without a folder, leaves it to the loader.
std::vector<std::string> candidates() {
  if (const char* set = std::getenv(kEnvironment); set != nullptr && *set != '\0') return {set};
  const auto here = program_directory();
  std::vector<std::string> found;
  // build/<preset>/bin/marketprism in a checkout; bin/marketprism in a package.
  for (const char* relative : {"../../../.deps/chdb/libchdb.so", "../lib/libchdb.so"}) {
    const auto path = (here / relative).lexically_normal();
    if (std::filesystem::exists(path)) found.push_back(path.string());
  }
  found.emplace_back("libchdb.so");
  return found;
}

template <class F>
bool find_symbol(void* library, const char* name, F& into) {
  into = reinterpret_cast<F>(::dlsym(library, name));
  return into != nullptr;
}

// The name of a function that the library lacks, or null.
const char* missing_symbol(void* library, ChdbApi& api) {
#define MP_SYMBOL(member, name) \
  if (!find_symbol(library, name, api.member)) return name
  MP_SYMBOL(version, "chdb_version");
  MP_SYMBOL(set_signal_handlers_enabled, "chdb_set_signal_handlers_enabled");
  MP_SYMBOL(connect, "chdb_connect");
  MP_SYMBOL(close, "chdb_close_conn");
  MP_SYMBOL(classify, "chdb_classify_query_n");
  MP_SYMBOL(query, "chdb_query_with_params_n");
  MP_SYMBOL(stream_query, "chdb_stream_query_with_params_n");
  MP_SYMBOL(stream_fetch, "chdb_stream_fetch_result");
  MP_SYMBOL(stream_cancel, "chdb_stream_cancel_query");
  MP_SYMBOL(result_buffer, "chdb_result_buffer");
  MP_SYMBOL(result_length, "chdb_result_length");
  MP_SYMBOL(result_error, "chdb_result_error");
  MP_SYMBOL(result_elapsed, "chdb_result_elapsed");
  MP_SYMBOL(result_rows, "chdb_result_rows_read");
  MP_SYMBOL(result_bytes, "chdb_result_bytes_read");
  MP_SYMBOL(storage_rows_read, "chdb_result_storage_rows_read");
  MP_SYMBOL(storage_bytes_read, "chdb_result_storage_bytes_read");
  MP_SYMBOL(rows_written, "chdb_result_rows_written");
  MP_SYMBOL(bytes_written, "chdb_result_bytes_written");
  MP_SYMBOL(destroy_result, "chdb_destroy_query_result");
  MP_SYMBOL(insert_begin, "chdb_stream_insert_with_params_n");
  MP_SYMBOL(insert_append, "chdb_stream_append");
  MP_SYMBOL(insert_done, "chdb_stream_done");
  MP_SYMBOL(insert_error, "chdb_stream_insert_error");
  MP_SYMBOL(insert_cancel, "chdb_stream_cancel_insert");
  MP_SYMBOL(insert_destroy, "chdb_destroy_insert_stream");
#undef MP_SYMBOL
  return nullptr;
}

Result<const ChdbApi*> load() {
  std::string tried;
  for (const auto& path : candidates()) {
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      tried += fmt::format("{}{}", tried.empty() ? "" : "; ", ::dlerror());
      continue;
    }
    static ChdbApi api;
    if (const char* name = missing_symbol(library, api)) {
      return Error{Errc::unavailable, path,
                   fmt::format("this libchdb has no {} (26.7 or newer is needed): {}", name, kWhatToDo)};
    }
    api.path = path;
    return &api;
  }
  return Error{Errc::unavailable, "libchdb (the embedded ClickHouse engine) cannot be loaded",
               fmt::format("{}: {}", tried, kWhatToDo)};
}

}  // namespace

Result<const ChdbApi*> load_chdb() {
  static const Result<const ChdbApi*> loaded = load();
  return loaded;
}

}  // namespace mp::engine
