# Sourced by the scripts beside it: where things are, which Python, what must be installed.
# Sets root, PYTHON (absolute, the interpreter itself) and jobs.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jobs=$(nproc)
missing=()

die()
{
    printf '%s\n' "$*" >&2
    exit 1
}

say()
{
    printf '\n== %s\n' "$*"
}

# need_tool COMMAND PACKAGE: notes the Debian package if the command is not there.
need_tool()
{
    command -v "$1" >/dev/null || missing+=("$2")
}

# need_module MODULE PACKAGE: the same for a pkg-config module.
need_module()
{
    pkg-config --exists "$1" 2>/dev/null || missing+=("$2")
}

# need_python MODULE PACKAGE: the same for what Debian splits off its Python.
need_python()
{
    "$PYTHON" -c "$1" >/dev/null 2>&1 && return
    case $PYTHON in
    /usr/bin/*) missing+=("$2") ;;
    *) die "$PYTHON lacks what this needs ($1); choose another with PYTHON=…" ;;
    esac
}

# Installs what was noted, or says in one line what is missing.
install_missing()
{
    [ ${#missing[@]} -gt 0 ] || return 0
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo)
        [ -t 0 ] || as_root=(sudo -n)
    fi
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
        die "missing, as Debian names them: ${missing[*]} (root or sudo would install them)"
    fi
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get -q update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -q -y --no-install-recommends install "${missing[@]}" ||
        die "could not install: ${missing[*]}"
    missing=()
}

can_compile()
{
    echo '#include <stdlib.h>' | "${CC:-cc}" -x c -c -o /dev/null - 2>/dev/null
}

# What the build needs.
require_build_packages()
{
    { can_compile && command -v c++ >/dev/null; } || missing+=(build-essential)
    need_tool cmake cmake
    need_tool ninja ninja-build
    need_tool pkg-config pkg-config
    need_module liburcu-bp liburcu-dev
    need_module ck libck-dev
    need_module sqlite3 libsqlite3-dev
    need_module libsodium libsodium-dev
    need_module libxxhash libxxhash-dev
    need_module criterion libcriterion-dev
    need_module jansson libjansson-dev
    command -v "${PYTHON:-python3}" >/dev/null || missing+=(python3 python3-dev python3-venv)
    install_missing

    PYTHON=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)') ||
        die "PYTHON=${PYTHON:-python3} does not run"
    local version
    version=$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    need_python 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' \
        "$version-dev"
    need_python 'import ensurepip, venv' "$version-venv"
    install_missing
}

# What the tests need besides.
require_test_packages()
{
    need_tool clang-format clang-format
    need_tool clang-tidy clang-tidy
    need_tool ctags universal-ctags
    need_tool sqlite3 sqlite3
    need_tool spin spin
    need_module zlib zlib1g-dev
    [ -e /usr/include/relacy/relacy.hpp ] || missing+=(relacy-dev)
    install_missing
}

can_fuzz()
{
    echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null
}

# What the fuzz targets need besides.
require_fuzz_packages()
{
    need_tool clang clang
    install_missing
    can_fuzz || missing+=("libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev")
    install_missing
}

# A virtual environment with the pinned test packages, for the chosen interpreter.
make_venv()
{
    local venv=$root/build/venv
    local wanted=$root/bindings/python/requirements-test.txt
    local stamp
    stamp=$(echo "$PYTHON" && cat "$wanted")
    if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]; then
        # One by one: a caller that asks for the status switches `set -e` off in here.
        rm -rf "$venv" && "$PYTHON" -m venv "$venv" &&
            "$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$wanted" &&
            printf '%s\n' "$stamp" >"$venv/stamp" ||
            { echo "could not install the packages of $wanted from Python's index" >&2; return 1; }
    fi
}

# configure_and_build PRESET [CMAKE-ARGUMENT…]
configure_and_build()
{
    local preset=$1
    shift
    # What CMake found out about one interpreter does not fit another.
    local fresh=()
    grep -qs "^Python3_EXECUTABLE:[A-Z]*=$PYTHON\$" "$root/build/$preset/CMakeCache.txt" ||
        fresh=(--fresh)
    cmake -S "$root" --preset "$preset" "${fresh[@]}" -DPython3_EXECUTABLE="$PYTHON" "$@" &&
        cmake --build "$root/build/$preset" --parallel "$jobs"
}
