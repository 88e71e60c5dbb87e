# Unit tests, simulator and benchmarks. Everything is globbed, so a file that exists is a file that is
# built; `make lint` counts the test cases in the files against those in the programs.
enable_testing()

# Fakes that several tests share. They may name the headers of any room; the rooms themselves come from
# the program that uses them.
file(GLOB support CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.cc)
list(FILTER support EXCLUDE REGEX "/doctest_main\\.cc$")
if(support)
  add_library(nearcached_test_support STATIC ${support})
else()
  add_library(nearcached_test_support INTERFACE)
endif()
get_target_property(kind nearcached_test_support TYPE)
if(kind STREQUAL "INTERFACE_LIBRARY")
  target_link_libraries(nearcached_test_support INTERFACE nearcached_flags)
else()
  target_link_libraries(nearcached_test_support PUBLIC nearcached_flags)
endif()

# tests/unit mirrors the tree: the tests of a room are one doctest program, nearcached_<room>_test.
function(nearcached_unit_tests room folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${folder}/*_test.cc)
  if(sources)
    add_executable(nearcached_${room}_test ${sources} ${CMAKE_SOURCE_DIR}/tests/support/doctest_main.cc)
    target_link_libraries(nearcached_${room}_test PRIVATE nearcached_test_support nearcached_${room})
    # Most of a cold build is assertions. Each as one call, and not optimised much, they take a third less.
    target_compile_definitions(nearcached_${room}_test PRIVATE DOCTEST_CONFIG_SUPER_FAST_ASSERTS)
    target_compile_options(nearcached_${room}_test PRIVATE -O1)
    set_target_properties(nearcached_${room}_test PROPERTIES UNITY_BUILD OFF)  # fixtures share names
    add_test(NAME unit.${room} COMMAND nearcached_${room}_test)
  endif()
endfunction()
nearcached_unit_tests(proto proto)
nearcached_unit_tests(config config)
nearcached_unit_tests(app daemon)
foreach(room base net command policy cache fetch upstream session admin)
  nearcached_unit_tests(${room} daemon/${room})
endforeach()

# The simulator: every room but main(), under virtual time and an in-memory network.
file(GLOB simulator CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/sim/*.cc)
if(simulator)
  add_executable(nearcached_sim ${simulator})
  target_link_libraries(nearcached_sim PRIVATE nearcached_test_support nearcached_app)
  # From the root, where the seeds that once failed are found. The checker proves itself first.
  add_test(NAME sim.selftest COMMAND nearcached_sim --selftest WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  add_test(NAME sim.smoke COMMAND nearcached_sim --seeds 2000 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endif()

# Micro-benchmarks, one program each.
file(GLOB benches CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/bench/*_bench.cc)
add_custom_target(benches)
foreach(source ${benches})
  get_filename_component(name ${source} NAME_WE)
  add_executable(nearcached_${name} ${source})
  target_link_libraries(nearcached_${name} PRIVATE nearcached_app)
  add_dependencies(benches nearcached_${name})
endforeach()
