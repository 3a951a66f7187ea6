#!/usr/bin/env bash
# One check each: lint.sh format | headers | scripts. Says what is wrong and where; exit status 1 if something is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

sources() { # NAME PATTERNS for find
    local folders=() f
    for f in src tests bench; do [ ! -d $f ] || folders+=("$f"); done
    find "${folders[@]}" \( "$@" \) -not -path '*/node_modules/*' | sort
}

lint_format() {
    local f bad=0
    while read -r f; do
        if ! clang-format --dry-run --Werror "$f" >/dev/null 2>&1; then
            echo "$f is not formatted: ./dev fmt"
            bad=1
        fi
    done < <(sources -name '*.[ch]')
    return $bad
}

# Every header can be included alone, and twice.
lint_headers() {
    local f bad=0 flags
    read -ra flags < <(pkg-config --cflags libuv libmicrohttpd libcurl json-c yaml-0.1 sqlite3 2>/dev/null || true)
    while read -r f; do
        f=${f#src/}
        if ! printf '#include "%s"\n#include "%s"\n' "$f" "$f" |
            gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -Isrc "${flags[@]}" -xc -; then
            echo "src/$f cannot be included by itself"
            bad=1
        fi
    done < <(find src -name '*.h' | sort)
    return $bad
}

lint_scripts() {
    local f bad=0
    for f in dev .ci/run demo/up tools/*.sh tests/lint/*.sh; do
        bash -n "$f" || bad=1
    done
    while read -r f; do
        node --check "$f" || bad=1
    done < <(find tests tools demo bench -name '*.mjs' -not -path '*/node_modules/*' 2>/dev/null | sort)
    return $bad
}

case ${1-} in
format | headers | scripts) "lint_$1" ;;
*) sed -n '2s/^# //p' "$0"; exit 2 ;;
esac
