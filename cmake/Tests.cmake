# Adds the Criterion programs tests/<folder>/test_<name>.c as tests named <folder>/<name>, each
# linked with the given layers.  Criterion does not start under ThreadSanitizer: what is to run
# there are the plain programs in stress/.
function(dsq_add_criterion_tests folder)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LAYERS;NAMES")
    if(DSQ_SANITIZE MATCHES thread)
        return()
    endif()
    foreach(name IN LISTS arg_NAMES)
        set(target test_${folder}_${name})
        add_executable(${target} ${folder}/test_${name}.c)
        dsq_configure(${target})
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
        target_link_libraries(${target} PRIVATE ${arg_LAYERS} PkgConfig::criterion)
        dsq_link_plain(${target})
        add_test(NAME ${folder}/${name} COMMAND ${target})
        # Criterion does not count the leaks that a test's process reports when it ends.
        set_tests_properties(${folder}/${name} PROPERTIES TIMEOUT 300
            FAIL_REGULAR_EXPRESSION "LeakSanitizer: detected memory leaks")
    endforeach()
endfunction()

# Adds one short run of a stress program: dsq_add_stress_test(<name> <program> <argument>...).  Those that
# look for races have both cores to themselves.
function(dsq_add_stress_test name program)
    add_test(NAME stress/${name} COMMAND ${program} ${ARGN})
    set_tests_properties(stress/${name} PROPERTIES TIMEOUT 300 ENVIRONMENT
        "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/stress/tsan.supp:history_size=7")
    if(NOT program MATCHES "^(crash|faults|power_cut|tamper)$")
        set_tests_properties(stress/${name} PROPERTIES PROCESSORS 2)
    endif()
endfunction()
