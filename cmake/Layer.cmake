# mageflow_layer(NAME SOURCES a.c b.c LINKS left...): one folder of lib/ or adapters/ as a target, mfi_NAME.
#
# A layer sees its own folder, the public headers, and the folders of the layers it links, and nothing else: an include
# against the direction of dependency does not compile. Headers are included by their bare name, unique in the tree.
#
# Every item of a swarm reads a few of the library's thread-locals. With glibc they lie at a fixed distance from the thread's
# own pointer, a load in place of a call: glibc keeps room for that (512 bytes; all of ours are below 200) for libraries that
# a program loads later, with dlopen. Others (musl) refuse to load such a library late, so there it stays a call.
include(CheckCSourceCompiles)
check_c_source_compiles("#include <features.h>
    #ifndef __GLIBC__
    #error not glibc
    #endif
    int main(void) { return 0; }" MAGEFLOW_GLIBC)
set(tls_options $<$<BOOL:${MAGEFLOW_GLIBC}>:-ftls-model=initial-exec>)

function(mageflow_layer NAME)
    cmake_parse_arguments(LAYER "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
    add_library(mfi_${NAME} STATIC ${LAYER_SOURCES})
    target_include_directories(mfi_${NAME} PUBLIC
        ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lib/include)
    target_compile_options(mfi_${NAME} PRIVATE ${tls_options})
    target_link_libraries(mfi_${NAME} PUBLIC ${LAYER_LINKS} PRIVATE ${LAYER_PRIVATE_LINKS})
endfunction()
