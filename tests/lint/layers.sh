#!/usr/bin/env bash
# Holds the rooms apart.
#
#   layers.sh includes [SRC]     every #include "room/..." in SRC (default: src/) against layers.txt
#   layers.sh symbols BUILD      undefined symbols of the pure rooms' libraries in BUILD against symbols.txt
#
# Prints file:line (or library: symbol) for each offence; exit status 1 if there was one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
pure_rooms=(base domain proto policy core machine)

# "room permitted permitted …", one line a room, closed under "and what they name"; every room may include itself.
closure() {
    awk -F: '
        /^#/ || !NF { next }
        { room[++n] = $1; direct[$1] = $2 }
        END {
            for (i = 1; i <= n; i++) { # a room names only rooms above it
                all = room[i]; split(direct[room[i]], names, " ")
                for (k in names) all = all " " closed[names[k]]
                closed[room[i]] = all
                print room[i], all
            }
        }' "$here/layers.txt"
}

includes() {
    local src=$1 files
    mapfile -t files < <(find "$src" -name '*.[ch]' -o -name '*.def' -o -name '*.h.in' | sort)
    [ ${#files[@]} -gt 0 ] || { echo "no sources under $src"; return 1; }
    awk -v src="$src/" '
        FNR == NR { for (i = 1; i <= NF; i++) may[$1, $i] = 1; known[$1] = 1; next }
        FNR == 1 { room = substr(FILENAME, length(src) + 1); sub(/\/.*/, "", room) }
        FNR == 1 && !(room in known) { offence("no such room in layers.txt: " room) }
        match($0, /^[ \t]*#[ \t]*include[ \t]*"[^"]*"/) {
            path = substr($0, RSTART, RLENGTH); gsub(/^[^"]*"|"$/, "", path)
            other = path; sub(/\/.*/, "", other)
            if (path !~ /\// || path ~ /(^|\/)\.\.?\//) offence("write includes from src/: \"" path "\"")
            else if (!(other in known)) offence("no such room: \"" path "\"")
            else if (!((room, other) in may)) offence(room " may not include " other ": \"" path "\"")
        }
        function offence(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad = 1 }
        END { exit bad }' <(closure) "${files[@]}"
}

# Undefined symbols of a library that no permitted room defines.
foreign_symbols() {
    local build=$1 room=$2 permitted other libs=()
    read -r _ permitted < <(closure | grep "^$room ")
    for other in $permitted; do
        [ ! -e "$build/src/$other/lib$other.a" ] || libs+=("$build/src/$other/lib$other.a")
    done
    comm -23 \
        <(nm -u "$build/src/$room/lib$room.a" | awk '$1 == "U" || $1 == "w" { print $2 }' | sort -u) \
        <(nm --defined-only "${libs[@]}" | awk 'NF == 3 { print $3 }' | sort -u)
}

allowed_for() {
    awk -F: -v room="$1" '
        /^#/ { next }
        (" " $1 " ") ~ (" " room " ") || $1 == "all" { n = split($2, s, " "); for (i = 1; i <= n; i++) print s[i] }
    ' "$here/symbols.txt"
}

symbols() {
    local build=$1 room bad=0 seen=0
    for room in "${pure_rooms[@]}"; do
        [ -e "$build/src/$room/lib$room.a" ] || continue
        seen=1
        foreign_symbols "$build" "$room" | awk -v lib="lib$room.a" '
            FNR == NR { if (sub(/\*$/, "")) prefix[$0]; else exact[$0]; next }
            $0 in exact { next }
            { for (p in prefix) if (index($0, p) == 1) next }
            { print lib ": " $0 " is not in tests/lint/symbols.txt"; bad = 1 }
            END { exit bad }' <(allowed_for "$room") - || bad=1
    done
    [ $seen = 1 ] || { echo "no libraries under $build: build first"; return 1; }
    return $bad
}

case ${1-} in
includes) includes "${2:-$root/src}" ;;
symbols) symbols "${2:?build directory}" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
