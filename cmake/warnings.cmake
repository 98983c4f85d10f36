add_library(mp_options INTERFACE)
target_compile_options(mp_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough
  # __int128 carries 38-digit decimals; both compilers of this project have it.
  -Wno-pedantic
  # GCC 12 reports false positives here through Boost and std::optional at -O2.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-null-dereference>
  # And here, where optimised operations of std::string are inlined (gcc.gnu.org/PR105329); more of them where the headers
  # are precompiled, since what stands in a system header is no longer known there.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict -Wno-stringop-overread -Wno-stringop-overflow -Wno-array-bounds>)
option(MP_WERROR "Treat warnings as errors" ON)
if(MP_WERROR)
  target_compile_options(mp_options INTERFACE -Werror)
endif()
target_include_directories(mp_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
