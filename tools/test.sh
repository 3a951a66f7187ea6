#!/usr/bin/env bash
# The test run: every stage writes one line per case, "PASS|FAIL|SKIP<tab>case", into one file; a case that is
# run twice (again under the sanitizers) is one case, failed if it failed once. The last line says what came of it:
# "N passed, N failed[, N skipped]".
#
#   tools/test.sh                       everything
#   tools/test.sh FILTER...             only what begins with FILTER: unit, unit/core, sim, mutants, lint,
#                                       lint/format, integration/crash, e2e, build; without the sanitizers
#   tools/test.sh --sanitizer asan|tsan [FILTER...]
#                                       the same under a sanitizer (default: unit and sim)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
source tools/build.sh

NODE_FILE_LIMIT=15m # no test file may take longer; the kill -9 runs take two or three minutes

work=$(mktemp -d)
results=$work/results
: >"$results"
started=$SECONDS
child=

# ---------------------------------------------------------------- the last line

finish() {
    local status=$? line
    trap - EXIT
    [ -z "$child" ] || kill "$child" 2>/dev/null || true
    [ $status = 0 ] || record FAIL "run: ended early, with status $status"
    awk -F'\t' '
        { rank = $1 == "FAIL" ? 3 : $1 == "PASS" ? 2 : 1; if (rank > best[$2]) best[$2] = rank }
        $1 == "FAIL" && !said[$2]++ { failed[++f] = $2 }
        END {
            for (c in best) n[best[c]]++
            if (f) { print "\nFailed:"; for (i = 1; i <= f; i++) print "  " failed[i] }
            else if (!n[2]) { f = 1; print "\nNo case was run." }
            printf "%d passed, %d failed%s\n", n[2], f, n[1] ? ", " n[1] " skipped" : ""
            exit f > 0
        }' "$results" >"$work/line" && status=0 || status=1
    printf '\n%s\n' "total: $((SECONDS - started)) s"
    cat "$work/line"
    rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

record() { # VERDICT CASE
    printf '%s\t%s\n' "$1" "$2" >>"$results"
}

# ---------------------------------------------------------------- stages

# stage TITLE COMMAND...: runs it in a shell of its own, where the first error ends it. A stage records its
# cases itself; one that ends badly without having recorded a failure is a failure.
stage() {
    local title=$1 before after status=0 start=$SECONDS
    shift
    echo
    echo "== $title"
    before=$(wc -l <"$results")
    set +e
    (
        set -e
        trap - EXIT
        "$@"
    )
    status=$?
    set -e
    [ $status -lt 128 ] || [ $status -gt 143 ] || exit $status # somebody wants us to stop
    after=$(tail -n "+$((before + 1))" "$results")
    if [ $status != 0 ] && ! grep -q '^FAIL' <<<"$after"; then
        record FAIL "$title: ended with status $status"
        after+=$'\nFAIL'
    fi
    printf '   %d passed, %d failed, %d s\n' "$(grep -c '^PASS' <<<"$after")" \
        "$(grep -c '^FAIL' <<<"$after")" $((SECONDS - start)) || true
    return 0
}

# check CASE COMMAND...: one case, whose output is shown when it fails.
check() {
    local name=$1 out
    shift
    wanted "$name" || return 0
    if out=$("$@" 2>&1); then
        record PASS "$name"
    else
        record FAIL "$name"
        printf -- '-- %s\n%s\n' "$name" "$out"
    fi
}

# wanted CASE: does a filter ask for it? `unit/base` asks for unit/base/arena and not for unit/basement.
filters=()
wanted() {
    local f
    [ ${#filters[@]} -gt 0 ] || return 0
    for f in "${filters[@]}"; do
        f=${f%/}
        case $1/ in "$f/"*) return 0 ;; esac
        case $f/ in "$1/"*) return 0 ;; esac
    done
    return 1
}

# The programs that the filters ask for, when it is only C programs of one or more rooms; else nothing, which is all.
targets() { # DIR
    local f patterns=()
    for f in "${filters[@]}"; do
        case $f in
        unit/?* | sim/?* | fuzz/?*) patterns+=(-e "^tests/$(cut -d/ -f1,2 <<<"$f")/") ;;
        *) return 0 ;;
        esac
    done
    [ ${#patterns[@]} = 0 ] || ninja -C "$1" -t targets rule c_LINKER | grep "${patterns[@]}" || true
}

build_stage() { # DIR CASE
    local programs
    if ! configure "$1" -Dunit_tests=enabled || ! mapfile -t programs < <(targets "$1") ||
        ! compile "$1" "${programs[@]}"; then
        record FAIL "$2"
    elif wanted "$2"; then
        record PASS "$2"
    fi
}

lint_stage() {
    check lint/format tools/lint.sh format
    check lint/headers tools/lint.sh headers
    check lint/scripts tools/lint.sh scripts
    check lint/layers-includes tests/lint/layers.sh includes
    check lint/layers-test tests/lint/layers_test.sh
    built build/gcc || return 0
    check lint/layers-symbols tests/lint/layers.sh symbols build
    if [ -x build/emp ]; then check lint/docs tools/docs.sh --check; fi
}

# Meson's suites hold the C programs. Their log is kept in the build directory: meson-logs/testlog-SUITE.txt.
meson_stage() { # DIR SUITE
    local dir=$1 suite=$2 name names=() factor=2 status=0
    [ "$dir" = build ] || factor=10 # sanitizers, on a loaded machine
    while read -r name; do
        name=${name##* / }
        if wanted "$suite/$name"; then names+=("$name"); fi
    done < <(meson test -C "$dir" --list --no-rebuild --suite "$suite" 2>/dev/null | grep / || true)
    [ ${#names[@]} -gt 0 ] || return 0
    CMOCKA_MESSAGE_OUTPUT=TAP meson test -C "$dir" --no-rebuild --suite "$suite" -t $factor \
        --logbase "testlog-$suite" "${names[@]}" >"$work/meson.out" 2>&1 || status=$?
    local log=$dir/meson-logs/testlog-$suite.txt
    awk -v suite="$suite" -f tools/meson_cases.awk "$log" >"$work/cases"
    cat "$work/cases" >>"$results"
    if grep -q '^FAIL' "$work/cases"; then
        awk -f tools/meson_failures.awk "$log"
    elif [ $status != 0 ]; then
        cat "$work/meson.out"
        return 1
    fi
}

# Planted bugs against the simulator's oracle, a case each.
mutants_stage() {
    local names=() f
    for f in "${filters[@]}"; do
        case $f in mutants/?*) names+=("${f#mutants/}") ;; esac
    done
    tools/mutants.sh "${names[@]}" >"$work/mutants" 2>&1 || true
    awk '$1 == "mutant" && $2 == "seed" { table = 1; next }
        table && NF > 2 && $2 != "of" { print ($2 ~ /^[0-9]+$/ ? "PASS" : "FAIL") "\tmutants/" $1 }' \
        "$work/mutants" >>"$results"
    if ! tail -1 "$work/mutants" | grep -q 'of .* caught$' || grep -q '^FAIL.mutants/' "$results"; then
        cat "$work/mutants"
        return 1
    fi
}

node_stage() { # FOLDER, under tests/
    local folder=$1 file name
    for file in tests/"$folder"/*.test.mjs; do
        name=$folder/$(basename "$file" .test.mjs)
        if [ -e "$file" ] && wanted "$name"; then node_file "$file" "$name"; fi
    done
}

node_file() { # FILE NAME
    local path=$root/$1 name=$2 tap=$work/tap start=$SECONDS status=0 reporter=()
    if node --help | grep -q -- --test-reporter; then reporter=(--test-reporter=tap); fi
    # In a process group of its own, so that nothing it started survives a time-out or our own end.
    trap 'kill "$child" 2>/dev/null; wait "$child"; exit 130' INT TERM
    EMP=$emp timeout -k 20 $NODE_FILE_LIMIT node --test "${reporter[@]}" "$path" >"$tap" 2>&1 </dev/null &
    child=$!
    wait "$child" || status=$?
    child=
    trap - INT TERM
    awk -v name="$name" -v file="$path" -f tools/node_cases.awk "$tap" >"$work/cases"
    if [ $status = 124 ]; then
        printf 'FAIL\t%s: not done after %s\n' "$name" $NODE_FILE_LIMIT >>"$work/cases"
    elif [ $status != 0 ] && ! grep -q '^FAIL' "$work/cases"; then
        printf 'FAIL\t%s: ended with status %s\n' "$name" $status >>"$work/cases"
    fi
    cat "$work/cases" >>"$results"
    printf '   %-32s %4d cases %5d s\n' "$name" "$(wc -l <"$work/cases")" $((SECONDS - start))
    if grep -q '^FAIL' "$work/cases"; then awk -f tools/node_failures.awk "$tap"; fi
}

# ---------------------------------------------------------------- runs

any_wanted() { # GROUP...: does any of them need running?
    local group
    for group; do
        if wanted "$group"; then return 0; fi
    done
    return 1
}

# What a failed build was to be run for is not run: an older program must not stand in for it.
built() { # CASE
    ! grep -qF "FAIL	$1" "$results"
}

run_programs() { # DIR TITLE-END SUITE-OR-FOLDER...
    local dir=$1 end=$2 group
    shift 2
    emp=$root/$dir/emp
    for group; do
        any_wanted "$group" || continue
        case $group in
        unit | sim | fuzz) stage "$group tests$end" meson_stage "$dir" "$group" ;;
        integration | e2e) stage "$group tests$end" node_stage "$group" ;;
        esac
    done
}

run_all() {
    if any_wanted build/gcc unit sim fuzz integration e2e lint/layers-symbols lint/docs; then
        stage "build with gcc" build_stage build build/gcc
    fi
    if any_wanted lint; then stage "lint" lint_stage; fi
    if any_wanted build/clang; then
        stage "build with clang" build_stage build-clang build/clang
    fi
    if any_wanted mutants; then stage "planted bugs" mutants_stage; fi
    if built build/gcc; then run_programs build "" unit sim fuzz integration e2e; fi
    [ ${#filters[@]} = 0 ] || return 0
    stage "build with AddressSanitizer and UndefinedBehaviorSanitizer" \
        build_stage build-asan build/asan
    if built build/asan; then
        run_programs build-asan " again, under the sanitizers" unit sim fuzz
    fi
}

run_sanitized() { # asan|tsan
    export EMP_TEST_SLOW=${EMP_TEST_SLOW-5}
    [ ${#filters[@]} -gt 0 ] || filters=(unit sim fuzz)
    stage "build ($1)" build_stage "build-$1" "build/$1"
    if built "build/$1"; then
        run_programs "build-$1" " ($1)" unit sim fuzz integration e2e
    fi
}

sanitizer=
if [ "${1-}" = --sanitizer ]; then
    sanitizer=$2
    shift 2
fi
filters=("$@")
if [ -n "$sanitizer" ]; then run_sanitized "$sanitizer"; else run_all; fi
