include(GoogleTest)

# mp_library(NAME LIBS ...): the library mp::NAME from every .cpp of this folder, and one test
# program NAME_test from tests/*_test.cpp, each of its cases a ctest case.
function(mp_library name)
  cmake_parse_arguments(ARG "" "" "LIBS;TEST_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(mp_${name} STATIC ${sources})
    target_link_libraries(mp_${name} PUBLIC mp_options ${ARG_LIBS})
    mp_precompiled_headers(mp_${name})
  else()
    add_library(mp_${name} INTERFACE)
    target_link_libraries(mp_${name} INTERFACE mp_options ${ARG_LIBS})
  endif()
  add_library(mp::${name} ALIAS mp_${name})
  mp_tests(${name} LIBS mp::${name} ${ARG_TEST_LIBS})
endfunction()

# mp_tests(NAME LIBS ...): the test program of this folder's tests/*_test.cpp.
# Tests find their fixtures by MP_SOURCE_DIR and the real captures, when they are there, by
# MP_SHARED_DIR (the folder `shared` beside the checkout; absent for users, then they skip).
function(mp_tests name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LIBS" ${ARGN})
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/*_test.cpp)
  if(NOT tests)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name}_test ${tests})
  target_link_libraries(${name}_test PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE
    MP_SOURCE_DIR="${CMAKE_SOURCE_DIR}" MP_BINARY_DIR="${CMAKE_BINARY_DIR}"
    MP_SHARED_DIR="${CMAKE_SOURCE_DIR}/../shared")
  target_include_directories(${name}_test PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/src)
  mp_precompiled_headers(${name}_test mp_test_headers)
  gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS ${name})
endfunction()

# mp_exchange(VENUE): one folder under src/exchanges; may know feed, book, model and simdjson only.
function(mp_exchange venue)
  mp_library(exchanges_${venue} LIBS mp::feed mp::book mp::model simdjson::simdjson
    TEST_LIBS mp::wire)
endfunction()
