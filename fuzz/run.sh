#!/usr/bin/env bash
# Every fuzz target in turn, one job: fuzz/run.sh [SECONDS_EACH] [TARGET...]
# Needs cargo-fuzz and a nightly toolchain. Seeds, then what earlier runs found worth keeping, are in
# fuzz/corpus; a crash ends the run and is in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-120}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(dump_header paging pdb isf names kernel ring pool_pages render session)
SEED_CORPUS="$PWD/fuzz/corpus" cargo test --quiet -p verifier-fuzz-targets seed_corpus >/dev/null
cd fuzz
for target in "${targets[@]}"; do
    log=$(mktemp)
    # Without the address sanitizer: there is no unsafe code here for it to check.
    if ! cargo +nightly fuzz run -s none "$target" -- -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=1024 -print_final_stats=1 2>"$log"; then
        tail -40 "$log"
        exit 1
    fi
    printf '%-12s %s\n' "$target" "$(grep -E 'number_of_executed_units|new_units_added|peak_rss' "$log" |
        sed -E 's/stat:: *//' | tr '\n' ' ')"
    rm -f "$log"
done
