# What nearly every file includes, compiled once for all: eight files of release took 17.4 s of processor time in place of
# 23.4 (2026-11-28, g++ 12). Off where each file is to be seen alone:
# the presets asan, tsan, tidy and fuzz find a file that does not include what it uses.
option(MP_PRECOMPILED_HEADERS "Compile the most used headers once" OFF)

set(mp_common_headers
  <algorithm> <chrono> <filesystem> <functional> <map> <memory> <optional> <set> <span> <string> <string_view> <thread>
  <unordered_map> <variant> <vector> <fmt/format.h>)

if(MP_PRECOMPILED_HEADERS)
  # Headers are compiled with a target of their own, whose one file is empty.
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/headers.cpp CONTENT "// Precompiled headers need a source file.\n")
  add_library(mp_headers OBJECT ${CMAKE_BINARY_DIR}/headers.cpp)
  target_link_libraries(mp_headers PRIVATE mp_options fmt::fmt)
  target_precompile_headers(mp_headers PRIVATE ${mp_common_headers})

  add_library(mp_test_headers OBJECT ${CMAKE_BINARY_DIR}/headers.cpp)
  target_link_libraries(mp_test_headers PRIVATE mp_options fmt::fmt GTest::gmock)
  target_precompile_headers(mp_test_headers PRIVATE ${mp_common_headers} <gmock/gmock.h> <gtest/gtest.h>)
endif()

# mp_precompiled_headers(TARGET [OWNER]): OWNER is mp_headers, or mp_test_headers.
function(mp_precompiled_headers target)
  set(owner mp_headers ${ARGN})
  list(GET owner -1 owner)
  if(MP_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()
