# mageflow_library(TARGET OUTPUT name EXPORT name LAYERS layer...): the layers as one shared and one static library.
#
# Both hold the same objects. The shared one is TARGET, alias mageflow::EXPORT, and what a program inside the build links
# too, so that there is one copy of everything in a process; the static one is TARGET_static.
# A layer that is not part of this build is left out. What the layers link besides each other is private to the library;
# the names of those targets are kept in MAGEFLOW_OUTSIDE, for the package files.
function(mageflow_library TARGET)
    cmake_parse_arguments(LIB "" "OUTPUT;EXPORT" "LAYERS" ${ARGN})
    set(objects)
    set(outside)
    foreach(layer ${LIB_LAYERS})
        if(TARGET mfi_${layer})
            list(APPEND objects $<TARGET_OBJECTS:mfi_${layer}>)
            get_target_property(links mfi_${layer} LINK_LIBRARIES)
            if(links)
                list(FILTER links EXCLUDE REGEX "^mfi_")
                list(APPEND outside ${links})
            endif()
        endif()
    endforeach()
    list(APPEND outside Threads::Threads)
    list(REMOVE_DUPLICATES outside)

    add_library(${TARGET} SHARED ${objects})
    add_library(${TARGET}_static STATIC ${objects})
    add_library(mageflow::${LIB_EXPORT} ALIAS ${TARGET})
    add_library(mageflow::${LIB_EXPORT}_static ALIAS ${TARGET}_static)

    set(map ${PROJECT_SOURCE_DIR}/cmake/mageflow.map)
    # Calls between our own files go straight to their target: nobody may replace half of the library.
    # It stays once it is loaded: threads that used it call it once more when they end.
    target_link_options(${TARGET} PRIVATE LINKER:--version-script=${map} LINKER:-Bsymbolic-functions LINKER:-z,nodelete)
    set_target_properties(${TARGET} PROPERTIES LINK_DEPENDS ${map} EXPORT_NAME ${LIB_EXPORT}
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    if(NOT MAGEFLOW_SANITIZE)
        target_link_options(${TARGET} PRIVATE LINKER:-z,defs LINKER:--as-needed)   # a sanitizer's runtime is the program's
    endif()
    set_target_properties(${TARGET}_static PROPERTIES EXPORT_NAME ${LIB_EXPORT}_static)
    foreach(library ${TARGET} ${TARGET}_static)
        set_target_properties(${library} PROPERTIES OUTPUT_NAME ${LIB_OUTPUT} LINKER_LANGUAGE C
            MAGEFLOW_OUTSIDE "${outside}")
        target_include_directories(${library} INTERFACE
            $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/lib/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
        if(MAGEFLOW_TASKIQ)     # their public headers
            target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/adapters/taskiq/include>)
        endif()
        if(MAGEFLOW_HATCHET)
            target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/adapters/hatchet/include>)
        endif()
        target_link_libraries(${library} PRIVATE ${outside})
    endforeach()
endfunction()

mageflow_library(mageflow_pool OUTPUT mageflow-pool EXPORT pool
    LAYERS base sync queue pool)
# The target is not called mageflow: that name is the command's.
set(whole base sync queue pool codec store sqlite adapter flow runtime url link redis taskiq_wire taskiq rpc hatchet local factory)
mageflow_library(mageflow_whole OUTPUT mageflow EXPORT mageflow LAYERS ${whole})
# For the tests of programs: the whole and the kit, linked in its place, so that there is still one copy of everything.
mageflow_library(mageflow_testing OUTPUT mageflow-testing EXPORT testing LAYERS ${whole} testing)
