# Installing, in components that a distribution can split:
#
#   Runtime      the two shared libraries, as a program needs them to run
#   Development  headers, static libraries, and what find_package and pkg-config read
#   Command      the mageflow command (installed by cli/)
#
# Everything found through another file is found relative to it, so the tree may be moved after it was installed.
include(CMakePackageConfigHelpers)

# A program of ours finds its library beside itself, wherever the two were put.
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_BINDIR}")
    file(RELATIVE_PATH bin_to_lib /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${CMAKE_INSTALL_LIBDIR})
    set(CMAKE_INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mageflow)
set(package_build_dir ${PROJECT_BINARY_DIR}/package)

install(TARGETS mageflow_pool mageflow_whole EXPORT mageflow-shared
    RUNTIME COMPONENT Runtime
    LIBRARY COMPONENT Runtime NAMELINK_COMPONENT Development)
install(TARGETS mageflow_pool_static EXPORT mageflow-pool-static ARCHIVE COMPONENT Development)
install(TARGETS mageflow_whole_static EXPORT mageflow-whole-static ARCHIVE COMPONENT Development)
# Only who builds tests needs the kit, and links it in place of the whole.
install(TARGETS mageflow_testing EXPORT mageflow-shared LIBRARY COMPONENT Development NAMELINK_COMPONENT Development)
install(TARGETS mageflow_testing_static EXPORT mageflow-whole-static ARCHIVE COMPONENT Development)
install(DIRECTORY lib/include/mageflow DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT Development
    FILES_MATCHING PATTERN "*.h")
if(MAGEFLOW_TASKIQ)
    install(DIRECTORY adapters/taskiq/include/mageflow DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT Development
        FILES_MATCHING PATTERN "*.h")
endif()
if(MAGEFLOW_HATCHET)
    install(DIRECTORY adapters/hatchet/include/mageflow DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT Development
        FILES_MATCHING PATTERN "*.h")
endif()

# The static libraries are exported apart: only who asks for one needs what stands behind it.
foreach(set shared pool-static whole-static)
    install(EXPORT mageflow-${set} NAMESPACE mageflow:: DESTINATION ${package_dir} COMPONENT Development)
endforeach()

# PkgConfig::X is a target of this build; the package file makes it again from the module it was found as.
get_target_property(outside mageflow_whole MAGEFLOW_OUTSIDE)
set(MAGEFLOW_MODULES)
set(MAGEFLOW_REQUIRES)
foreach(target ${outside})
    if(target MATCHES "^PkgConfig::(.*)$")
        set(prefix ${CMAKE_MATCH_1})
        if(${prefix}_MODULE_NAME)
            set(module ${${prefix}_MODULE_NAME})
        else()
            message(FATAL_ERROR "${target}: find it in cmake/Dependencies.cmake with pkg_search_module, so that its module is known")
        endif()
        list(APPEND MAGEFLOW_MODULES "${prefix}=${module}")
        list(APPEND MAGEFLOW_REQUIRES ${module})
    elseif(NOT target MATCHES "^(Threads::Threads|dl|m|rt|\\$<.*)$" AND NOT target STREQUAL "${CMAKE_DL_LIBS}")
        message(FATAL_ERROR "${target}: cmake/Package.cmake does not know how an installed static library would find it")
    endif()
endforeach()
list(JOIN MAGEFLOW_REQUIRES " " MAGEFLOW_REQUIRES)

configure_package_config_file(cmake/mageflow-config.cmake.in ${package_build_dir}/mageflow-config.cmake
    INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${package_build_dir}/mageflow-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${package_build_dir}/mageflow-config.cmake ${package_build_dir}/mageflow-config-version.cmake
    DESTINATION ${package_dir} COMPONENT Development)

# pkg-config: directories relative to the .pc file where they can be.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(PC_PREFIX ${CMAKE_INSTALL_PREFIX})
    set(PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
    set(PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
    file(RELATIVE_PATH up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
    string(REGEX REPLACE "/$" "" up "${up}")
    set(PC_PREFIX "\${pcfiledir}/${up}")
    set(PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
foreach(pc mageflow mageflow-pool mageflow-testing)
    configure_file(cmake/${pc}.pc.in ${package_build_dir}/${pc}.pc @ONLY)
    install(FILES ${package_build_dir}/${pc}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT Development)
endforeach()

install(FILES LICENSE docs/coming-from-python.md docs/flow-json.md docs/flow.schema.json docs/flows.md docs/messages.md
        docs/operations.md docs/testing.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT Development)
