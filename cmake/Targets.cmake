# What every target of this project is built with.

# Fat objects are gcc's; without them every program of the build tree would wait for the optimiser.
if(NOT CMAKE_C_COMPILER_ID STREQUAL GNU)
    set(DSQ_LTO OFF)
endif()

add_library(dictsqlite_warnings INTERFACE)
target_compile_options(dictsqlite_warnings INTERFACE
    -Wall -Wextra -Wundef -Wconversion -Wsign-conversion -Wpointer-arith
    -Wwrite-strings -Wformat=2 -Wvla -Wdouble-promotion
    # Not for C++, where gcc calls it shadowing that dsq_view and dsq_stats also name structures.
    $<$<COMPILE_LANGUAGE:C>:-Wshadow>
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition>
    $<$<BOOL:${DSQ_WERROR}>:-Werror>)

# Instrumentation: on the command line of every compile and every link.
add_library(dsq_instrumentation INTERFACE)
if(DSQ_SANITIZE)
    set(sanitizer_flags -fsanitize=${DSQ_SANITIZE} -fno-sanitize-recover=all
                        -fno-omit-frame-pointer)
    if(DSQ_SANITIZE MATCHES thread AND CMAKE_C_COMPILER_ID STREQUAL GNU)
        list(APPEND sanitizer_flags -Wtsan)
    endif()
    if(CMAKE_C_COMPILER_ID MATCHES Clang AND DSQ_SANITIZE MATCHES undefined)
        # liburcu's readers lie where their type does not allow; gcc's build does not look there.
        list(APPEND sanitizer_flags -fno-sanitize=alignment)
    endif()
    target_compile_options(dsq_instrumentation INTERFACE ${sanitizer_flags})
    target_link_options(dsq_instrumentation INTERFACE -fsanitize=${DSQ_SANITIZE})
endif()
if(DSQ_PERTURB)
    target_compile_definitions(dsq_instrumentation INTERFACE DSQ_PERTURB)
endif()
if(DSQ_COVERAGE)
    target_compile_options(dsq_instrumentation INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(dsq_instrumentation INTERFACE --coverage)
endif()

# Every C target of the project: language, warnings, instrumentation, include paths.
function(dsq_configure target)
    set_target_properties(${target} PROPERTIES
        C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
        CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    target_link_libraries(${target} PRIVATE dictsqlite_warnings dsq_instrumentation)
endfunction()

# One layer of the library, as objects: the shared library, the static one, the Python extension
# and the tests all link the same objects.
function(dsq_add_layer target)
    add_library(${target} OBJECT ${ARGN})
    dsq_configure(${target})
    set_target_properties(${target} PROPERTIES
        POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
    target_include_directories(${target} PUBLIC
        ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/include)
    target_compile_options(${target} PRIVATE
        -fno-semantic-interposition
        # The library's few thread-local words fit the room that the loader keeps for dlopen.
        -ftls-model=initial-exec)
    target_link_libraries(${target} PUBLIC Threads::Threads)
    if(DSQ_LTO)
        # Fat objects: the tests and the users of the static library link them as plain code.
        target_compile_options(${target} PRIVATE -flto=auto -ffat-lto-objects)
    endif()
endfunction()

# For what is shipped: optimises across the layers at link time.
function(dsq_link_shipped target)
    if(DSQ_LTO)
        target_link_options(${target} PRIVATE -flto=auto -O2)
    endif()
endfunction()

# For programs of the build tree: links the fat objects as plain code, which is quicker.
function(dsq_link_plain target)
    if(DSQ_LTO)
        target_link_options(${target} PRIVATE -fno-lto)
    endif()
endfunction()
