# tests/fuzz/<name>_fuzz.cc is the libFuzzer program nearcached_<name>_fuzz, corpus in tests/fuzz/corpus/<name>.
# Only these are built with NEARCACHED_FUZZ: the coverage hooks in the rooms need the fuzzer's runtime.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "NEARCACHED_FUZZ needs clang: configure with -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang")
endif()
file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/*_fuzz.cc)
add_custom_target(fuzzers)
foreach(source ${fuzzers})
  get_filename_component(name ${source} NAME_WE)
  add_executable(nearcached_${name} ${source})
  # What it includes decides what is built for it: with the hooks a room takes long to compile, and
  # most targets are about bytes alone.
  file(STRINGS ${source} daemon_headers REGEX "^#include \"daemon/")
  if(daemon_headers)
    target_link_libraries(nearcached_${name} PRIVATE nearcached_app)
  else()
    target_link_libraries(nearcached_${name} PRIVATE nearcached_config nearcached_proto)
  endif()
  target_link_options(nearcached_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers nearcached_${name})
endforeach()
