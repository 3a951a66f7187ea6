#!/usr/bin/env bash
# Proves that layers.sh bites: offences planted in a little house of their own are all reported, and a clean house is not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT
failed=0

plant() { # FILE LINE
    mkdir -p "$house/src/$(dirname "$1")"
    printf '%s\n' "$2" >"$house/src/$1"
}

expect() { # STATUS PATTERN COMMAND...: the exit status, and a line that matches
    local status=$1 pattern=$2 out got=0
    shift 2
    out=$("$@" 2>&1) || got=$?
    if [ "$got" != "$status" ] || ! grep -qE -- "$pattern" <<<"$out"; then
        printf 'expected status %s and /%s/ from %s, got %s:\n%s\n' "$status" "$pattern" "$*" "$got" "$out"
        failed=1
    fi
}

includes() { "$here/layers.sh" includes "$house/src"; }

plant core/good.c '#include "policy/route.h"'
plant core/deep.c '#include "base/arena.h"' # through policy and domain
plant cli/top.c '#include "sim/run.h"'
plant agent/connectors/deep.c '#include "machine/machine.h"'
expect 0 '' includes

for offence in 'core/bad.c|#include "store/store.h"|core may not include store' \
    'base/up.h|#  include	"os/log.h"|base may not include os' \
    'machine/side.c|#include "core/core.h"|machine may not include core' \
    'agent/connectors/bad.c|#include "broker/broker.h"|agent may not include broker' \
    'base/table.def|#include "domain/job.h"|base may not include domain' \
    'domain/short.c|#include "job.h"|write includes from src/' \
    'domain/dots.c|#include "../store/store.h"|write includes from src/' \
    'domain/dots.c|#include "domain/../store/store.h"|write includes from src/' \
    'domain/odd.c|#include "attic/job.h"|no such room' \
    'attic/x.c|#include "base/arena.h"|no such room in layers.txt'; do
    IFS='|' read -r file line pattern <<<"$offence"
    plant "$file" "$line"
    expect 1 "^$house/src/$file:1: $pattern" includes
    rm "$house/src/$file"
done
expect 0 '' includes

# Symbols: a brain that reads the clock, one that allocates by itself, one that calls into a room it may not know.
compile() { # ROOM CODE
    mkdir -p "$house/build/src/$1"
    printf '%s\n' "$2" | "${CC:-cc}" -O1 -w -x c -c -o "$house/build/$1.o" -
    rm -f "$house/build/src/$1/lib$1.a"
    ar rcs "$house/build/src/$1/lib$1.a" "$house/build/$1.o"
}
symbols() { "$here/layers.sh" symbols "$house/build"; }

expect 1 'no libraries' symbols
compile base 'void *calloc(unsigned long, unsigned long); void *emp_a(void) { return calloc(1, 9); }'
compile core 'void *emp_a(void); void *emp_b(void) { return emp_a(); }'
compile machine 'int emp_c(void) { return 1; }'
expect 0 '' symbols
compile core 'long time(long *); long emp_b(void) { return time(0); }'
expect 1 'libcore.a: time is not' symbols
compile core 'void *calloc(unsigned long, unsigned long); void *emp_b(void) { return calloc(1, 9); }'
expect 1 'libcore.a: calloc is not' symbols
compile core 'int emp_c(void); int emp_b(void) { return emp_c(); }'
expect 1 'libcore.a: emp_c is not' symbols

[ $failed = 0 ] && echo "every planted offence was reported"
exit $failed
