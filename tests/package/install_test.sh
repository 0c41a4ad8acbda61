#!/bin/bash
# install_test.sh BUILD SOURCE [FLAGS]: install, move the tree, and let somebody else's project use it.
#
# Once through find_package and once through pkg-config, shared and static, C and C++. FLAGS are the compiler's, for a
# build with sanitizers, whose programs need the same.
set -euo pipefail
build=$1 source=$2 flags=${3:-}
consumer=$source/tests/package/consumer
cc=${CC:-cc} cxx=${CXX:-c++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
said() { cat "$work/log"; }
quietly() { "$@" > "$work/log" 2>&1 || { said; echo "failed: $*"; exit 1; }; }
# So that the static programs cannot lean on a shared library and no earlier installation is found.
unset LD_LIBRARY_PATH PKG_CONFIG_PATH CMAKE_PREFIX_PATH

# DESTDIR is how a packager installs, and moving afterwards shows that no file holds the prefix.
quietly env DESTDIR="$work/dest" cmake --install "$build" --prefix /opt/somewhere
mv "$work/dest/opt/somewhere" "$work/moved"
prefix=$work/moved
if grep -rIl -e /opt/somewhere -e "$build" "$prefix"; then
    echo "the files above hold the directory of the build or of the installation"
    exit 1
fi

# What the command's help and the headers speak of is there, too.
for page in "$source"/docs/*; do
    if [ -z "$(find "$prefix" -name "${page##*/}")" ]; then
        echo "${page##*/} is not installed"
        exit 1
    fi
done

echo "find_package:"
quietly cmake -G Ninja -S "$consumer" -B "$work/consumer" -D CMAKE_PREFIX_PATH="$prefix" \
    -D CMAKE_C_COMPILER="$cc" -D CMAKE_CXX_COMPILER="$cxx" -D CMAKE_C_FLAGS="$flags" -D CMAKE_CXX_FLAGS="$flags"
quietly cmake --build "$work/consumer"
for program in use_mageflow use_mageflow_static use_testing use_testing_static use_pool use_pool_static; do
    echo "    $program: $("$work/consumer/$program")"
done

# The benchmarks of somebody's own tasks, with a module that was built the same way.
quietly cmake -G Ninja -S "$source/bench" -B "$work/bench" -D CMAKE_PREFIX_PATH="$prefix" \
    -D CMAKE_C_COMPILER="$cc" -D CMAKE_CXX_COMPILER="$cxx" -D CMAKE_C_FLAGS="$flags" -D CMAKE_CXX_FLAGS="$flags"
quietly cmake --build "$work/bench" --target bench_task bench_task_example
quietly "$work/bench/bench/bench_task" --load "$work/bench/bench/example_tasks.so" --tasks 20 --rounds 1 --seconds 0.2 nothing
echo "    bench_task: $(grep -o '20 tasks a round' "$work/log")"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name mageflow.pc)")
export PKG_CONFIG_PATH
libdir=$(dirname "$PKG_CONFIG_PATH")
# by_pkg_config PROGRAM MODULE shared|static SOURCE...
by_pkg_config() {
    local program=$1 module=$2 kind=$3 cflags libs
    shift 3
    cflags=$(pkg-config --cflags "$module")
    if [ "$kind" = static ]; then
        # The system's own libraries stay shared; ours must come from its archive.
        libs=$(pkg-config --libs --static "$module" | sed -E 's/-l(mageflow(-pool|-testing)?)( |$)/-l:lib\1.a\3/')
    else
        libs="$(pkg-config --libs "$module") -Wl,-rpath,$libdir"
    fi
    # shellcheck disable=SC2086 # words are meant
    quietly "$cc" -std=c11 $flags $cflags -o "$work/$program" "$@" $libs
    echo "    $program: $("$work/$program")"
}
echo "pkg-config:"
# shellcheck disable=SC2086
quietly "$cxx" -std=c++17 $flags $(pkg-config --cflags mageflow) -c -o "$work/every.o" "$work/consumer/every_header.cpp"
by_pkg_config shared      mageflow      shared "$consumer/use_mageflow.c" "$work/every.o"
by_pkg_config static      mageflow      static "$consumer/use_mageflow.c" "$work/every.o"
by_pkg_config task_manager mageflow     shared -D_POSIX_C_SOURCE=200809L "$source/examples/mock_adapter.c"
# The README's first program, as it stands there, with the task's body and a main around its calls.
awk '/^```c$/ { in_c = 1; next } /^```$/ { exit } in_c' "$source/README.md" | awk '
    /^mf_client \*mage;/ {
        print "static mf_status resize(mf_context *ctx, const struct resize_in *in, struct resize_out *out, void *user)"
        print "{ (void)ctx, (void)user; out->path = in->path; out->bytes = in->width; return MF_OK; }"
        print "int main(void) { mf_error err; mf_message *result = NULL;"
    }
    { print }
    END {
        print "if (st == MF_OK) puts(\"the swarm is done\"); mf_message_unref(result); mf_run_destroy(run);"
        print "mf_signature_destroy(swarm); mf_client_destroy(mage); return st != MF_OK; }"
    }' | sed '1i #include <stdio.h>\n#include <stdlib.h>' > "$work/readme.c"
by_pkg_config readme      mageflow      shared "$work/readme.c"
by_pkg_config testing     mageflow-testing shared "$consumer/use_testing.c"
by_pkg_config testing_static mageflow-testing static "$consumer/use_testing.c"
by_pkg_config pool        mageflow-pool shared "$consumer/use_pool.c"
by_pkg_config pool_static mageflow-pool static "$consumer/use_pool.c"

# needs FILE PATTERN...: the libraries it names are these and no others.
needs() {
    local file=$1 want=$2 extra
    extra=$(readelf -d "$file" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p' | grep -vE "^($want)$" || true)
    [ -z "$extra" ] || { echo "$(basename "$file") needs more than it should: $extra"; exit 1; }
}
if [ -z "$flags" ]; then
    libc='libc\.so\.6|libpthread\.so\.0|ld-linux.*'
    needs "$libdir/libmageflow-pool.so.0" "$libc"
    needs "$work/pool" "$libc|libmageflow-pool\.so\.0"
    needs "$work/pool_static" "$libc"
    needs "$work/consumer/use_pool" "$libc|libmageflow-pool\.so\.0"
    echo "the pool needs the C library alone"
fi
soname=$(readelf -d "$libdir/libmageflow.so" | sed -nE 's/.*\(SONAME\).*\[(.*)\]/\1/p')
[ "$soname" = libmageflow.so.0 ] || { echo "SONAME is $soname"; exit 1; }
