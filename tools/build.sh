# Sourced by ./dev and tools/test.sh: the build directories. All are Meson's, all can be deleted at any time. Warnings
# are errors in the first two; a sanitizer's instrumentation makes gcc see warnings that are not there.
#
#   build        gcc, optimised, with symbols: what ships, and what the unit and integration tests run
#   build-clang  clang, not optimised: its warnings
#   build-asan   gcc, AddressSanitizer and UndefinedBehaviorSanitizer
#   build-tsan   gcc, ThreadSanitizer

declare -A build_compiler=([build]=gcc [build-clang]=clang [build-asan]=gcc [build-tsan]=gcc)
declare -A build_options=(
    [build]='--buildtype=debugoptimized'
    [build-clang]='--buildtype=debug -Doptimization=0'
    [build-asan]='--buildtype=debug -Doptimization=1 -Dwerror=false -Db_sanitize=address,undefined -Db_lundef=false'
    [build-tsan]='--buildtype=debug -Doptimization=1 -Dwerror=false -Db_sanitize=thread -Db_lundef=false'
)

# Whatever a sanitizer finds ends the program.
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS-halt_on_error=1:print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS-halt_on_error=1:second_deadlock_stack=1:suppressions=$root/tools/tsan.supp}

# configure DIR [MESON OPTIONS]: sets the directory up, or anew when it is damaged, its options changed, or a
# folder came to what is built or went from it (Meson does not see that by itself).
configure() {
    local dir=$1 options setup
    shift
    read -ra options <<<"${build_options[$dir]}"
    options+=("$@")
    setup=$(printf '%s\n' "${options[*]}" && cd "$root" && find . -path "./build*" -prune -o -name meson.build -print | sort)
    if [ -f "$root/$dir/build.ninja" ] && [ "$(cat "$root/$dir/.setup" 2>/dev/null)" = "$setup" ]; then
        ninja -C "$root/$dir" --quiet build.ninja >/dev/null 2>&1 || true # a changed meson.build; compile says what is wrong
        return 0
    fi
    rm -rf "${root:?}/$dir"
    CC=${build_compiler[$dir]} meson setup "$root/$dir" "$root" "${options[@]}" >"$root/.$dir.log" 2>&1 || {
        cat "$root/.$dir.log" >&2
        rm -rf "${root:?}/$dir" "$root/.$dir.log"
        return 1
    }
    rm -f "$root/.$dir.log"
    echo "$setup" >"$root/$dir/.setup"
}

# compile DIR [NINJA TARGETS]: with a progress line on a terminal, else only what is wrong. The program itself,
# where it is built, is then DIR/emp too.
compile() {
    local dir=$1 out
    shift
    if [ -t 1 ]; then
        ninja -C "$root/$dir" "$@" || return
    else
        out=$(ninja -C "$root/$dir" --quiet "$@" 2>&1) || {
            # without what Meson says when it sets itself up anew
            sed -n '/^FAILED:\|ERROR:/,$p' <<<"$out" | grep . || printf '%s\n' "$out"
            return 1
        }
    fi
    [ ! -e "$root/$dir/src/cli/emp" ] || ln -sfn src/cli/emp "$root/$dir/emp"
}
