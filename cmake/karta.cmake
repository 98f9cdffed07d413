# What every room's CMakeLists.txt uses: one library a folder, one test program beside it, fuzz targets with corpora.

find_program(KARTA_CCACHE ccache)
if(KARTA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Sloppiness is what ccache asks for where precompiled headers are used.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${KARTA_CCACHE})
endif()

add_library(karta_options INTERFACE)
target_include_directories(karta_options INTERFACE ${CMAKE_SOURCE_DIR})
# -pthread for all alike: precompiled headers are shared.
target_compile_options(karta_options INTERFACE -pthread -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)
if(KARTA_WERROR)
  target_compile_options(karta_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 warns of its own std::string (-Wrestrict: bug 105651; -Wstringop-overread: the same through find()).
  target_compile_options(karta_options INTERFACE -fpch-preprocess -Wno-restrict -Wno-stringop-overread)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # _FORTIFY_SOURCE needs optimisation; the sanitizer presets bring checks of their own.
  target_compile_definitions(karta_options INTERFACE _FORTIFY_SOURCE=2)
  target_compile_options(karta_options INTERFACE -fstack-protector-strong)
  target_link_options(karta_options INTERFACE -Wl,-z,relro,-z,now)
endif()
if(KARTA_SANITIZE)
  add_compile_options(-fsanitize=${KARTA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KARTA_SANITIZE})
endif()
if(KARTA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()

# Release only: what most files of most rooms read of the standard library, read once. The other presets compile every
# file with its own includes, so that a missing one is found.
function(karta_precompile name)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    return()
  endif()
  if(NOT TARGET karta_common_headers)
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/common_headers.cpp CONTENT "")
    add_library(karta_common_headers STATIC EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/common_headers.cpp)
    target_link_libraries(karta_common_headers PRIVATE karta_options tl::expected)
    target_precompile_headers(karta_common_headers PRIVATE <algorithm> <array> <functional> <map> <memory> <optional> <span> <string>
      <string_view> <utility> <vector> <tl/expected.hpp>)
  endif()
  target_precompile_headers(${name} REUSE_FROM karta_common_headers)
endfunction()

# karta_library(NAME [OWN_HEADERS] [SOURCES ...] [LINK ...] [PRIVATE_LINK ...])
# OWN_HEADERS: the room precompiles headers of its own, or none.
function(karta_library name)
  cmake_parse_arguments(arg "OWN_HEADERS" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC karta_options ${arg_LINK} PRIVATE ${arg_PRIVATE_LINK})
  if(NOT arg_OWN_HEADERS)
    karta_precompile(${name})
  endif()
endfunction()

# Where compiling costs more than running: front doors and tests. Optimised enough for the shared precompiled headers.
function(karta_compile_fast name)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(${name} PRIVATE -O1)
  endif()
endfunction()

# karta_test(NAME SOURCES ... [LINK ...] [LABEL unit|interop|e2e|tear|slow] [TIMEOUT seconds])
# One GoogleTest program; every test case becomes a ctest of its own name.
function(karta_test name)
  if(NOT KARTA_TESTS OR KARTA_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  target_link_libraries(${name} PRIVATE karta_options ${arg_LINK} GTest::gmock GTest::gtest GTest::gtest_main)
  # One precompiled GoogleTest for all test programs.
  if(NOT TARGET karta_test_base)
    if(NOT EXISTS ${CMAKE_BINARY_DIR}/test_base.cpp)
      file(WRITE ${CMAKE_BINARY_DIR}/test_base.cpp "int main() {}\n")
    endif()
    # A program, as its users are: GCC refuses a precompiled header made with -fPIC where -fPIE is asked for.
    add_executable(karta_test_base EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/test_base.cpp)
    target_link_libraries(karta_test_base PRIVATE karta_options tl::expected GTest::gmock GTest::gtest)
    target_precompile_headers(karta_test_base PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  target_precompile_headers(${name} REUSE_FROM karta_test_base)
  karta_compile_fast(${name})
  set_source_files_properties(${arg_SOURCES} PROPERTIES COMPILE_DEFINITIONS
    "KARTA_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\";KARTA_BINARY_DIR=\"${CMAKE_BINARY_DIR}\"")
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
endfunction()

# karta_fuzz(NAME SOURCE file [LINK ...]): a libFuzzer target with seeds in tests/corpus/NAME.
# In every other preset the same file becomes a test that replays the corpus, so a finding once kept stays mended.
function(karta_fuzz name)
  cmake_parse_arguments(arg "" "SOURCE" "LINK" ${ARGN})
  if(KARTA_FUZZ)
    add_executable(fuzz_${name} ${arg_SOURCE})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    target_link_libraries(fuzz_${name} PRIVATE karta_options ${arg_LINK})
    set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  elseif(KARTA_TESTS)
    add_executable(replay_${name} ${arg_SOURCE} ${CMAKE_SOURCE_DIR}/tests/fuzz_replay.cpp)
    target_link_libraries(replay_${name} PRIVATE karta_options ${arg_LINK})
    set_target_properties(replay_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
    add_test(NAME corpus.${name} COMMAND replay_${name} ${CMAKE_SOURCE_DIR}/tests/corpus/${name})
    set_tests_properties(corpus.${name} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()
