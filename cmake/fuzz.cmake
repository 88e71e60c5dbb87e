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
  target_link_libraries(nearcached_${name} PRIVATE nearcached_app)
  target_link_options(nearcached_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers nearcached_${name})
endforeach()
