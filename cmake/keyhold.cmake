# Compiler settings, and the two functions with which every room and its tests are declared.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(absl REQUIRED)
find_package(spdlog REQUIRED)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(FUSE3 REQUIRED IMPORTED_TARGET fuse3)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)

add_compile_options(-Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers -fno-omit-frame-pointer
                    -fstack-protector-strong)
add_compile_definitions(_FILE_OFFSET_BITS=64 CPPHTTPLIB_OPENSSL_SUPPORT SPDLOG_COMPILED_LIB)
include_directories(${CMAKE_SOURCE_DIR}/src)

find_program(CCACHE ccache)
if(CCACHE)
  # Checkouts in different places share what is compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()


# Libraries are compiled for coverage, too, so that libFuzzer sees its way through them.
if(KEYHOLD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_custom_target(keyhold_fuzzers)
endif()

if(KEYHOLD_SANITIZE)
  add_compile_options(-fsanitize=${KEYHOLD_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KEYHOLD_SANITIZE})
endif()

if(KEYHOLD_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(KEYHOLD_PRECOMPILE ON)
  # One way of position independence for libraries and programs, so that all can share the precompiled headers.
  set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
  add_compile_options(-fPIC)
  find_package(GTest REQUIRED)
  file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cc "")
  add_library(keyhold_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
  target_link_libraries(keyhold_precompiled PRIVATE absl::status absl::statusor absl::strings absl::time spdlog::spdlog
                        GTest::gmock)
  target_precompile_headers(keyhold_precompiled PRIVATE <algorithm> <atomic> <functional> <map> <memory> <mutex>
    <optional> <regex> <set> <string> <thread> <vector> <absl/status/statusor.h> <absl/strings/str_cat.h>
    <absl/strings/str_join.h> <absl/strings/str_split.h> <absl/time/time.h> <gmock/gmock.h> <gtest/gtest.h>
    <nlohmann/json.hpp> <spdlog/spdlog.h>)
endif()

# Most of an unoptimized compilation is reading these headers. Builds without a sanitizer go without, and so prove that
# each file includes what it uses; g++ takes precompiled headers under its own flags to the letter only.
function(keyhold_precompile TARGET)
  if(KEYHOLD_PRECOMPILE)
    target_precompile_headers(${TARGET} REUSE_FROM keyhold_precompiled)
  endif()
endfunction()

# keyhold_room(NAME [DEPS rooms...] [LIBS libraries...]): the library of src/NAME, from every .cc in it but main.cc.
function(keyhold_room NAME)
  cmake_parse_arguments(R "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${NAME}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(NOT sources)  # headers alone, so far
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/headers.cc)
    file(WRITE ${sources} "")
  endif()
  add_library(keyhold_${NAME} STATIC ${sources})
  set(rooms ${R_DEPS})
  list(TRANSFORM rooms PREPEND keyhold_)
  target_link_libraries(keyhold_${NAME} PUBLIC ${rooms} ${R_LIBS} absl::status absl::statusor absl::strings absl::time
                        spdlog::spdlog Threads::Threads)
  keyhold_precompile(keyhold_${NAME})
endfunction()

# The fuzzers of a room, tests/NAME/*_fuzzer.cc: with KEYHOLD_FUZZ a program each, else linked into NAME_test, which
# replays their seeds (tests/NAME/corpus/FUZZER). `sources` of the caller gets what NAME_test needs for it.
function(keyhold_room_fuzzers NAME)
  if(KEYHOLD_SANITIZE STREQUAL "thread")  # each is of one thread
    return()
  endif()
  file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${NAME}/*_fuzzer.cc)
  set(replay ${CMAKE_CURRENT_BINARY_DIR}/corpus_test.cc)
  set(text "#include \"tests/support/replay.h\"\n")
  foreach(fuzzer ${fuzzers})
    get_filename_component(target ${fuzzer} NAME_WE)
    if(KEYHOLD_FUZZ)
      add_executable(${target} ${fuzzer})
      target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
      target_link_libraries(${target} PRIVATE keyhold_${NAME} -fsanitize=fuzzer)
      keyhold_precompile(${target})
      add_dependencies(keyhold_fuzzers ${target})
    else()
      set_source_files_properties(${fuzzer} PROPERTIES COMPILE_DEFINITIONS LLVMFuzzerTestOneInput=${target})
      string(APPEND text "KEYHOLD_REPLAY(${NAME}, ${target})\n")
      list(APPEND sources ${fuzzer})
    endif()
  endforeach()
  if(fuzzers AND NOT KEYHOLD_FUZZ)
    file(CONFIGURE OUTPUT ${replay} CONTENT "${text}")
    list(APPEND sources ${replay})
  endif()
  set(sources ${sources} PARENT_SCOPE)
endfunction()

# keyhold_test(NAME [DEPS rooms...] [LIBS libraries...]): NAME_test, from tests/NAME/*_test.cc and the helpers
# beside them; and its fuzzers.
function(keyhold_test NAME)
  cmake_parse_arguments(T "" "" "DEPS;LIBS" ${ARGN})
  set(rooms ${NAME} ${T_DEPS})
  list(TRANSFORM rooms PREPEND keyhold_)
  set(dir ${CMAKE_SOURCE_DIR}/tests/${NAME})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  list(FILTER sources EXCLUDE REGEX "(_fuzzer|_main)\\.cc$")
  if(NOT NAME MATCHES "^(base|wire)$")
    list(APPEND sources ${CMAKE_SOURCE_DIR}/tests/support/secret_memory.cc)
  endif()
  # One file alone knows the path, so that checkouts share what ccache has of the others.
  list(APPEND sources ${CMAKE_SOURCE_DIR}/tests/support/source_dir.cc)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/tests/support/source_dir.cc PROPERTIES COMPILE_DEFINITIONS
                              KEYHOLD_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  keyhold_room_fuzzers(${NAME})
  add_executable(${NAME}_test ${sources})
  target_include_directories(${NAME}_test PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${NAME}_test PRIVATE ${rooms} ${T_LIBS} GTest::gmock GTest::gtest_main)
  keyhold_precompile(${NAME}_test)
  if(KEYHOLD_SANITIZE)  # one process for all of a room: a sanitizer's start costs more than most tests
    add_test(NAME ${NAME} COMMAND ${NAME}_test --gtest_brief=1)
    set_tests_properties(${NAME} PROPERTIES LABELS ${NAME} TIMEOUT 600)
  else()
    gtest_discover_tests(${NAME}_test DISCOVERY_TIMEOUT 60 PROPERTIES LABELS ${NAME} TIMEOUT 300)
  endif()
endfunction()
