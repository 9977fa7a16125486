#!/usr/bin/env bash
# Reads the dump of a test run under Driver Verifier, writes reports, and fails the build if drivers leak.
#
#   check_leaks.sh DUMP SYMBOLS [FOLDER]
#
# FOLDER (default: leaks) gets leaks.md, leaks.json, leaks.sarif and leaks.xml (JUnit).
#
#   LEAKS_BASELINE       known leaks; only others count
#   LEAKS_SOURCE_ROOT    OLD=NEW: where the sources of the build are; NEW is the folder of the checkout, or
#                        empty for paths that are relative to it
#   LEAKS_LIMIT          how many new blocks fail the build (default: 1)
#   GITHUB_STEP_SUMMARY  set by GitHub Actions: the summary gets the Markdown, the log the annotations
#
# Exit codes are those of the command: 0 no new leak, 1 the dump cannot be read, 2 wrong usage, 3 new leaks,
# 4 cannot tell: part of the dump is missing.
set -euo pipefail
dump=$1
symbols=$2
folder=${3:-leaks}
mkdir -p "$folder"

options=(--symbols "$symbols" --fail-on "${LEAKS_LIMIT:-1}")
for output in markdown=leaks.md json=leaks.json sarif=leaks.sarif junit=leaks.xml; do
    options+=(--output "${output%%=*}=$folder/${output#*=}")
done
if [ -n "${LEAKS_BASELINE:-}" ]; then options+=(--baseline "$LEAKS_BASELINE"); fi
if [ -n "${LEAKS_SOURCE_ROOT:-}" ]; then options+=(--source-root "$LEAKS_SOURCE_ROOT"); fi
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then options+=(--output github=-); fi

code=0
verifier leaks "$dump" "${options[@]}" || code=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$folder/leaks.md" ]; then
    cat "$folder/leaks.md" >>"$GITHUB_STEP_SUMMARY"
fi
case $code in
0) echo "No new leak." ;;
3) echo "Drivers leak: see $folder/leaks.md." >&2 ;;
4) echo "The dump does not say whether drivers leak: take a complete one." >&2 ;;
esac
exit "$code"
