# mageflow_layer(NAME SOURCES a.c b.c LINKS left...): one folder of lib/ or adapters/ as a target, mfi_NAME.
#
# A layer sees its own folder, the public headers, and the folders of the layers it links, and nothing else: an include
# against the direction of dependency does not compile. Headers are included by their bare name, unique in the tree.
function(mageflow_layer NAME)
    cmake_parse_arguments(LAYER "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
    add_library(mfi_${NAME} STATIC ${LAYER_SOURCES})
    target_include_directories(mfi_${NAME} PUBLIC
        ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lib/include)
    target_link_libraries(mfi_${NAME} PUBLIC ${LAYER_LINKS} PRIVATE ${LAYER_PRIVATE_LINKS})
endfunction()
