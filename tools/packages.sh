# Sourced by ./dev: what has to be installed for what, and its installation. Debian 12; elsewhere nothing is
# installed, and the build says what it misses.
#
# An entry is PACKAGE, or PACKAGE=COMMAND where any program of that name will do.

packages_build=(
    gcc=gcc libc6-dev meson=meson ninja-build=ninja pkg-config=pkg-config
    libuv1-dev            # event loop, child processes
    libmicrohttpd-dev     # HTTP server
    libwslay-dev          # WebSocket frames
    libcurl4-openssl-dev  # HTTP client
    libjson-c-dev libyaml-dev
    libsqlite3-dev        # store
    libssl-dev            # hashes, TLS
    libzstd-dev
)
packages_test=(
    libcmocka-dev         # unit tests
    libglpk-dev           # exact optimum that the placement plan is held against
    patch=patch           # planted bugs
    clang=clang           # second compiler
    clang-format=clang-format
    nodejs=node           # integration tests, 18 or newer
)
packages_demo=(
    nodejs=node
    imagemagick           # the package itself: the demo runs what stands in /usr/bin
    tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu tesseract-ocr-fra tesseract-ocr-spa tesseract-ocr-ita
    ffmpeg
    fonts-dejavu-core     # the text in the demo's pictures
    ca-certificates
)
packages_e2e=(
    chromium-headless-shell=chromium-headless-shell  # opens the pages that we write
)
packages_lint=(clang=clang clang-format=clang-format)

package_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

node_recent_enough() {
    local version
    version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge 18 ]
}

entry_present() {
    local package=${1%%=*} command=${1#*=}
    case $1 in
    nodejs=node) node_recent_enough && return ;;
    *=*) command -v "$command" >/dev/null && return ;;
    esac
    package_installed "$package"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# The lists of a fresh container are empty, those of an old machine name versions that are gone.
lists_are_stale() {
    [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mmin -1440 -print -quit 2>/dev/null)" ]
}

install_packages() {
    local options=(-y -qq --no-install-recommends -o Dpkg::Use-Pty=0)
    if lists_are_stale; then as_root apt-get update -qq; fi
    as_root apt-get install "${options[@]}" "$@" >/dev/null && return
    as_root apt-get update -qq && as_root apt-get install "${options[@]}" "$@" >/dev/null
}

# need GROUP...: installs what these groups miss, or says what it is and ends.
need() {
    local group entry list missing=()
    command -v dpkg-query >/dev/null || return 0
    for group; do
        declare -n list="packages_$group"
        for entry in "${list[@]}"; do
            entry_present "$entry" || [[ " ${missing[*]-} " = *" ${entry%%=*} "* ]] ||
                missing+=("${entry%%=*}")
        done
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "${EMP_NO_INSTALL-}" = 1 ]; then
        echo "dev: missing Debian packages (EMP_NO_INSTALL=1 forbids to install them): ${missing[*]}" >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "dev: neither root nor sudo; let somebody install: ${missing[*]}" >&2
        exit 1
    fi
    echo "dev: installing Debian packages (for: $*): ${missing[*]}" >&2
    if ! install_packages "${missing[@]}"; then
        echo "dev: the installation failed; what is missing: ${missing[*]}" >&2
        exit 1
    fi
}
