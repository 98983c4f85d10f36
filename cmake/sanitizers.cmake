# MP_SANITIZE: "", "address" (with undefined), "thread".
set(MP_SANITIZE "" CACHE STRING "address | thread | empty")
if(MP_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(MP_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(NOT MP_SANITIZE STREQUAL "")
  message(FATAL_ERROR "MP_SANITIZE=${MP_SANITIZE}: use address or thread")
endif()

# MP_FUZZ: coverage in every target and the programs of tests/fuzz (clang; preset fuzz).
option(MP_FUZZ "Build the fuzz targets" OFF)
if(MP_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
