#!/usr/bin/env bash
# Tests the Python examples in the virtual environment that verifier-py/check.sh has made.
#
#   examples/check.sh FOLDER      FOLDER has the virtual environment
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd)/venv/bin
printf '\n== hosts in Python (%ss)\n' "$SECONDS"
sed -e 's/#.*//' -e '/^$/d' "$here/requirements.txt" | while read -r package; do
    "$bin/pip" install --quiet --disable-pip-version-check "$package" </dev/null ||
        echo "skipped: $package does not install here"
done
# Each in its own process, so that one host's library cannot affect the tests of another.
for tests in volatility3 fleet memprocfs; do
    # Exit code 5: all of the folder's tests were skipped; pytest has printed why.
    "$bin/pytest" -ra -p no:cacheprovider "$here/$tests/tests" || [ $? -eq 5 ]
done
