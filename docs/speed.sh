#!/usr/bin/env bash
# Runs no-op operations by pop and by a bare spawn loop, alternated, and prints medians and ratios (docs/speed.md).
set -euo pipefail
cd "$(dirname "$0")/.."
pop=$PWD/target/release/pop
bare=$PWD/target/release/examples/bare_spawn
rounds=${ROUNDS:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# agenda COUNT NEEDS > FILE: NEEDS is an awk expression for the number of the operation that each depends on
agenda() {
    awk -v count="$1" "BEGIN {
        printf \"{\\\"operations\\\":[\"
        for (i = 0; i < count; i++) {
            needs = $2
            printf \"%s{\\\"name\\\":\\\"op%d\\\",\\\"type\\\":\\\"exec\\\",\\\"payload\\\":{\\\"command\\\":[\\\"/bin/true\\\"]}\", (i ? \",\" : \"\"), i
            if (needs >= 0) printf \",\\\"params\\\":{\\\"dependsOn\\\":\\\"op%d\\\"}\", needs
            printf \"}\"
        }
        print \"]}\"
    }"
}

seconds() {
    local from to
    from=$(date +%s%N)
    "$@" >/dev/null 2>&1
    to=$(date +%s%N)
    echo $(((to - from) / 1000))
}

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

measure() {
    local name=$1 count=$2 width=$3 file=$4 round
    : >"$work/pop" && : >"$work/bare" && : >"$work/ratio"
    for ((round = 0; round < rounds; round++)); do
        local a b
        b=$(seconds "$bare" "$count" "$width" /bin/true)
        a=$(seconds "$pop" run "$file" -j "$width" --runs "$work/runs")
        echo "$a" >>"$work/pop" && echo "$b" >>"$work/bare"
        awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f\n", a / b }' >>"$work/ratio"
        rm -rf "$work/runs"
    done
    printf '%-8s %7d at %d   pop %8.3f s   bare %8.3f s   ratio %s\n' "$name" "$count" "$width" \
        "$(awk -v us="$(median <"$work/pop")" 'BEGIN { print us / 1e6 }')" \
        "$(awk -v us="$(median <"$work/bare")" 'BEGIN { print us / 1e6 }')" "$(median <"$work/ratio")"
}

agenda 10000 -1 >"$work/wide.json"
agenda 2000 'i - 1' >"$work/chain.json"
agenda 2000 'i - 40' >"$work/layers.json"
measure wide 10000 2 "$work/wide.json"
measure chain 2000 1 "$work/chain.json"
measure layers 2000 2 "$work/layers.json"
