# Libraries that the build needs, each by its pkg-config module, with the Debian package to install
# where it is missing.

find_package(PkgConfig REQUIRED)

# Makes the imported target PkgConfig::<name> from a pkg-config module.
macro(dsq_require name module debian_package)
    pkg_check_modules(${name} QUIET IMPORTED_TARGET ${module})
    if(NOT ${name}_FOUND)
        message(FATAL_ERROR "${module} was not found by pkg-config. "
                            "On Debian: apt-get install ${debian_package}")
    endif()
endmacro()

dsq_require(urcu liburcu-bp liburcu-dev)
dsq_require(ck ck libck-dev)
dsq_require(sqlite3 sqlite3>=3.37 libsqlite3-dev)
dsq_require(sodium libsodium libsodium-dev)
dsq_require(xxhash libxxhash libxxhash-dev)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# xxHash is used as a header (XXH_INLINE_ALL): its include path is wanted, its library is not.
add_library(dsq_xxhash INTERFACE)
target_include_directories(dsq_xxhash SYSTEM INTERFACE ${xxhash_INCLUDE_DIRS})
# Its forced inlining fails at -Og.
target_compile_definitions(dsq_xxhash INTERFACE $<$<CONFIG:Debug>:XXH_NO_INLINE_HINTS=1>)

if(DSQ_BUILD_TESTS)
    dsq_require(criterion criterion libcriterion-dev)
endif()
if(DSQ_BUILD_STRESS)
    dsq_require(jansson jansson libjansson-dev)
    dsq_require(urcu_cds liburcu-cds liburcu-dev)
endif()
