#pragma once
// The C interface of libchdb, as far as we use it, found at run time: nothing links against the
// library, so every other part of the program works without it.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace mp::engine {

// Opaque to us. A connection is a pointer to a handle; the query functions take the handle.
struct ChdbResult;
struct ChdbInsert;
struct ChdbHandle;
using ChdbConnection = ChdbHandle**;

// chdb_classify_query_n's answer (struct_size is set by the caller).
struct ChdbAnalysis {
  std::uint32_t struct_size = sizeof(ChdbAnalysis);
  std::uint32_t statement_count = 0;
  std::uint32_t flags = 0;
  std::uint32_t query_class = 0;
};
enum class ChdbQueryClass : std::uint32_t {
  read_only = 0,
  mutating = 1,
  mutating_global = 2,
  control = 3,
  unknown = 4
};

// Parallel arrays of names, their lengths, values, their lengths, and how many.
struct ChdbParameters {
  const char* const* names = nullptr;
  const std::size_t* name_sizes = nullptr;
  const char* const* values = nullptr;
  const std::size_t* value_sizes = nullptr;
  std::size_t count = 0;
};

struct ChdbApi {
  const char* (*version)();
  void (*set_signal_handlers_enabled)(int);
  ChdbConnection (*connect)(int, char**);
  void (*close)(ChdbConnection);
  int (*classify)(ChdbHandle*, const char*, std::size_t, const char*, std::size_t, ChdbAnalysis*);

  ChdbResult* (*query)(ChdbHandle*, const char*, std::size_t, const char*, std::size_t, const char* const*,
                       const std::size_t*, const char* const*, const std::size_t*, std::size_t);
  ChdbResult* (*stream_query)(ChdbHandle*, const char*, std::size_t, const char*, std::size_t, const char* const*,
                              const std::size_t*, const char* const*, const std::size_t*, std::size_t);
  ChdbResult* (*stream_fetch)(ChdbHandle*, ChdbResult*);
  void (*stream_cancel)(ChdbHandle*, ChdbResult*);

  char* (*result_buffer)(ChdbResult*);
  std::size_t (*result_length)(ChdbResult*);
  const char* (*result_error)(ChdbResult*);
  double (*result_elapsed)(ChdbResult*);
  std::uint64_t (*result_rows)(ChdbResult*);
  std::uint64_t (*result_bytes)(ChdbResult*);
  std::uint64_t (*storage_rows_read)(ChdbResult*);
  std::uint64_t (*storage_bytes_read)(ChdbResult*);
  std::uint64_t (*rows_written)(ChdbResult*);
  std::uint64_t (*bytes_written)(ChdbResult*);
  void (*destroy_result)(ChdbResult*);

  ChdbInsert* (*insert_begin)(ChdbHandle*, const char*, std::size_t, const char*, std::size_t, const char* const*,
                              const std::size_t*, const char* const*, const std::size_t*, std::size_t);
  int (*insert_append)(ChdbInsert*, const void*, std::size_t);
  ChdbResult* (*insert_done)(ChdbInsert*);
  const char* (*insert_error)(ChdbInsert*);
  void (*insert_cancel)(ChdbInsert*);
  void (*insert_destroy)(ChdbInsert*);

  std::string path;  // of the library that was loaded
};

// Looks at $MARKETPRISM_LIBCHDB, then beside the program (a checkout's .deps, a package's lib),
// then where the loader looks. The library stays loaded until the process ends. Errc::unavailable
// says where was looked and what to do.
Result<const ChdbApi*> load_chdb();

}  // namespace mp::engine
