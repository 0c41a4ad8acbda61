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

# Some ten structs of 100 to 400 bytes are zeroed or copied for each item. GCC's way for that on x86, rep stos and rep movs, takes
# some 30 cycles to begin; a loop over vector registers is done by then. 8 % of an item's time. Clang has no such choice to make.
include(CheckCCompilerFlag)
set(block_options -mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign
                  -mmemcpy-strategy=vector_loop:512:noalign,libcall:-1:noalign)
list(JOIN block_options " " block_flags)
check_c_compiler_flag("${block_flags}" MAGEFLOW_BLOCK_STRATEGY)
if(NOT MAGEFLOW_BLOCK_STRATEGY)
    set(block_options)
endif()

function(mageflow_layer NAME)
    cmake_parse_arguments(LAYER "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
    add_library(mfi_${NAME} STATIC ${LAYER_SOURCES})
    target_include_directories(mfi_${NAME} PUBLIC
        ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lib/include)
    target_compile_options(mfi_${NAME} PRIVATE ${tls_options} ${block_options})
    target_link_libraries(mfi_${NAME} PUBLIC ${LAYER_LINKS} PRIVATE ${LAYER_PRIVATE_LINKS})
endfunction()
