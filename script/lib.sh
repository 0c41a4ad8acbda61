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

# configure PRESET [OPTION...] / build PRESET [TARGET...]
configure() {
    local preset=$1 launcher=()
    shift
    have ccache && launcher=(-D CMAKE_C_COMPILER_LAUNCHER=ccache -D CMAKE_CXX_COMPILER_LAUNCHER=ccache)
    quietly "build/$preset.configure.log" cmake --preset "$preset" "${launcher[@]}" "$@"
}
build() { quietly "build/$1.build.log" cmake --build --preset "$1" -- --quiet -k 0; }
