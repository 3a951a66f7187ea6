#!/usr/bin/env bash
# The pages of docs/ that are made by the program itself. docs.sh writes them; docs.sh --check fails on one that is stale.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A pages=(
    [docs/configuration.md]='build/emp config --doc'
    [docs/cli.md]='build/emp help --doc'
)

bad=0
for page in "${!pages[@]}"; do
    fresh=$(mktemp)
    ${pages[$page]} >"$fresh"
    if [ "${1-}" != --check ]; then
        cp "$fresh" "$page"
        echo "$page"
    elif ! diff -u "$page" "$fresh"; then
        echo "$page is not what the program says now: ./dev docs"
        bad=1
    fi
    rm -f "$fresh"
done
exit $bad
