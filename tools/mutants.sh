#!/usr/bin/env bash
# Proves that the simulator's oracle bites: every patch in tests/sim/mutants/ plants one bug in core, machine or
# policy; each must be caught within SEEDS seeds. For each mutant only the patched file is compiled, into a directory of
# its own, and the seeds program linked anew.
#
#   tools/mutants.sh [NAME...]      all, or those whose names begin with NAME
#
# Prints a table (mutant, seed that caught it, what it saw) and ends with "N of N caught".
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

SEEDS=${EMP_MUTANT_SEEDS-300}
SECONDS_MAX=120 # of one mutant; only one that hangs comes near
out=$root/build-mutants
jobs=$(nproc)
# -w: warnings are the business of other builds
cflags=(-std=gnu17 -O1 -g -Isrc -D_GNU_SOURCE -ffp-contract=off -w)
libs=(-ljson-c -lm)
rooms=(base domain proto policy core machine sim)
if command -v ccache >/dev/null; then cc=(ccache "${CC-gcc}"); else cc=("${CC-gcc}"); fi

object() { # FILE → its object's name
    local name=${1#src/}
    echo "${name//\//_}.o"
}

# Every file as it stands; ninja knows which are stale.
compile_base() {
    local room file files=()
    mkdir -p "$out/base"
    for room in "${rooms[@]}"; do
        while read -r file; do files+=("$file"); done < <(
            find "src/$room" -name '*.c' -not -path 'src/sim/measure/*' | sort)
    done
    files+=(tests/sim/seeds.c)
    {
        printf 'builddir = %s\n' "$out/base"
        printf 'rule cc\n  command = %s -MD -MF $out.d -c $in -o $out\n' "${cc[*]} ${cflags[*]}"
        printf '  depfile = $out.d\n  deps = gcc\n'
        for file in "${files[@]}"; do
            printf 'build %s: cc %s\n' "$out/base/$(object "$file")" "$file"
        done
    } >"$out/base/build.ninja"
    ninja --quiet -f "$out/base/build.ninja"
}

# mutate PATCH: writes "NAME SEED TEXT" or "NAME - TEXT" to its own file.
mutate() {
    local patch=$1 name dir file objects=() status=0
    name=$(basename "$patch" .patch)
    dir=$out/$name
    rm -rf "$dir"
    mkdir -p "$dir"
    file=$(sed -n 's|^--- a/||p' "$patch" | head -1)
    if ! patch -s -o "$dir/$(basename "$file")" "$file" <"$patch" >"$dir/log" 2>&1; then
        echo "$name ! the patch does not apply to $file" >"$dir/result"
        return 0
    fi
    if ! "${cc[@]}" "${cflags[@]}" -c "$dir/$(basename "$file")" -o "$dir/$(object "$file")" >>"$dir/log" 2>&1; then
        echo "$name ! the mutant does not compile" >"$dir/result"
        return 0
    fi
    for object in "$out"/base/*.o; do
        [ "$(basename "$object")" = "$(object "$file")" ] || objects+=("$object")
    done
    "${cc[@]}" "${objects[@]}" "$dir/$(object "$file")" "${libs[@]}" -o "$dir/seeds"
    timeout $SECONDS_MAX "$dir/seeds" 1 "$SEEDS" >"$dir/found" 2>>"$dir/log" || status=$?
    case $status in
    0) echo "$name - survives $SEEDS seeds" ;;
    1) echo "$name $(head -1 "$dir/found")" ;;
    124) echo "$name ! hangs: not done after $SECONDS_MAX s" ;;
    *) echo "$name ! ends with status $status" ;;
    esac >"$dir/result"
    rm -f "$dir/seeds"
}

selected() {
    local patch name wanted
    for patch in tests/sim/mutants/*.patch; do
        name=$(basename "$patch" .patch)
        [ $# -gt 0 ] || { echo "$patch"; continue; }
        for wanted; do
            case $name in "$wanted"*) echo "$patch" ;; esac
        done
    done
}

mapfile -t patches < <(selected "$@")
[ ${#patches[@]} -gt 0 ] || { echo "mutants: none is named so" >&2; exit 2; }
compile_base

# Without a bug nothing may be found.
dir=$out/none
mkdir -p "$dir"
"${cc[@]}" "$out"/base/*.o "${libs[@]}" -o "$dir/seeds"
if ! found=$("$dir/seeds" 1 "$SEEDS"); then
    echo "the code as it stands violates something: seed $found" >&2
    exit 1
fi

running=0
for patch in "${patches[@]}"; do
    mutate "$patch" &
    running=$((running + 1))
    if [ $running -ge "$jobs" ]; then
        wait -n
        running=$((running - 1))
    fi
done
wait

caught=0
printf '%-28s %5s  %s\n' mutant seed "what was seen"
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    read -r _ seed text <"$out/$name/result"
    printf '%-28s %5s  %s\n' "$name" "$seed" "$text"
    case $seed in [0-9]*) caught=$((caught + 1)) ;; esac
done
echo
echo "$caught of ${#patches[@]} caught"
[ $caught = ${#patches[@]} ]
