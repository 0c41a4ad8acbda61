# What the layers stand on, found once, here, so that every folder and the package files speak of the same targets.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# msgpack-c changed its pkg-config name between the versions that distributions carry; the API we use did not change.
pkg_search_module(MSGPACK REQUIRED IMPORTED_TARGET msgpack-c msgpack)
set_package_properties(Threads PROPERTIES PURPOSE "the pool's workers")
set_package_properties(PkgConfig PROPERTIES PURPOSE "finds the C libraries below")
add_feature_info(msgpack-c MSGPACK_FOUND "messages and durable records, version ${MSGPACK_VERSION}")
