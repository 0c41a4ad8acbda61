# What the layers stand on, found once, here, so that every folder and the package files speak of the same targets.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# msgpack-c changed its pkg-config name between the versions that distributions carry; the API we use did not change.
pkg_search_module(MSGPACK REQUIRED IMPORTED_TARGET msgpack-c msgpack)
set_package_properties(Threads PROPERTIES PURPOSE "the pool's workers")
set_package_properties(PkgConfig PROPERTIES PURPOSE "finds the C libraries below")
add_feature_info(msgpack-c MSGPACK_FOUND "messages and durable records, version ${MSGPACK_VERSION}")

# A bridge is on when what it stands on is there; asking for one that cannot be built is an error.
pkg_search_module(OPENSSL IMPORTED_TARGET openssl>=3.0)
pkg_search_module(HIREDIS IMPORTED_TARGET hiredis>=0.14)
set(bridges_on_redis OFF)
if(OPENSSL_FOUND AND HIREDIS_FOUND)
    set(bridges_on_redis ON)
endif()
option(MAGEFLOW_TASKIQ "Build the TaskIQ bridge (needs hiredis and OpenSSL 3)" ${bridges_on_redis})
if(MAGEFLOW_TASKIQ AND NOT bridges_on_redis)
    message(FATAL_ERROR "MAGEFLOW_TASKIQ needs hiredis 0.14 and OpenSSL 3, which pkg-config does not find")
endif()
add_feature_info(openssl OPENSSL_FOUND "TLS for the bridges, version ${OPENSSL_VERSION}")
add_feature_info(hiredis HIREDIS_FOUND "RESP for the bridges on Redis, version ${HIREDIS_VERSION}")
add_feature_info(taskiq MAGEFLOW_TASKIQ "the TaskIQ bridge")

# So is the store that keeps flows in a file.
pkg_search_module(SQLITE IMPORTED_TARGET sqlite3>=3.37)
option(MAGEFLOW_SQLITE "Build the SQLite store (needs SQLite 3.37)" ${SQLITE_FOUND})
if(MAGEFLOW_SQLITE AND NOT SQLITE_FOUND)
    message(FATAL_ERROR "MAGEFLOW_SQLITE needs SQLite 3.37, which pkg-config does not find")
endif()
add_feature_info(sqlite MAGEFLOW_SQLITE "flows kept in one file, SQLite ${SQLITE_VERSION}")
