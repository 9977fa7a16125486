#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh virtual environment with what the tests need, and runs
# mypy, stubtest, basedpyright and pytest there. Where a free-threaded interpreter is on the PATH, its own
# wheel is built and the tests that need nothing but pytest run with it. Ends with pytest's closing line;
# fails if anything fails.
#
#   verifier-py/check.sh [FOLDER]      FOLDER holds the virtual environment (default: a temporary one)
#
# PYTHON chooses the interpreter (default python3), CARGO_TARGET_DIR the folder for cargo, PYTEST_ARGS
# what pytest gets beside the tests.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
if [ $# -gt 0 ]; then
    folder=$1
    mkdir -p "$folder"
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
folder=$(cd "$folder" && pwd)
say() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

say "virtual environment"
rm -rf "$folder/venv" "$folder/wheels"
"$python" -m venv "$folder/venv"
bin=$folder/venv/bin
# Packages come in while cargo compiles.
"$bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.16.0,<2'
"$bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements-test.txt" &
packages=$!

say "wheel"
# Stripped, but otherwise the workspace's own release profile: what cargo compiled already serves.
(cd "$here" && "$bin/maturin" build --release --strip --interpreter "$bin/python" --quiet --out "$folder/wheels")
wait "$packages"
ls -l "$folder"/wheels/*.whl
"$bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$folder"/wheels/*.whl

say "mypy"
cd "$here"
"$bin/python" -m mypy --config-file pyproject.toml --cache-dir "$folder/mypy" -p verifier_py
MYPYPATH=tests "$bin/python" -m mypy --config-file pyproject.toml --cache-dir "$folder/mypy" tests

say "stubtest"
"$bin/python" -m mypy.stubtest verifier_py

say "basedpyright"
if "$bin/pip" install --quiet --disable-pip-version-check 'basedpyright>=1.40' 2>"$folder/basedpyright.log"; then
    "$bin/basedpyright" --pythonpath "$bin/python" --level error python
else
    echo "skipped: basedpyright cannot be installed here"
    tail -n 1 "$folder/basedpyright.log"
fi

say "free-threaded"
free=$(command -v python3.14t || command -v python3.13t || true)
if [ -n "$free" ]; then
    "$free" -m venv "$folder/free"
    "$folder/free/bin/pip" install --quiet --disable-pip-version-check 'pytest>=9.0'
    (cd "$here" && "$bin/maturin" build --release --strip --no-default-features --interpreter "$folder/free/bin/python" --quiet --out "$folder/wheels/free")
    "$folder/free/bin/pip" install --quiet --disable-pip-version-check --no-deps "$folder"/wheels/free/*.whl
    "$folder/free/bin/pytest" -p no:cacheprovider tests/test_threads.py tests/test_session.py tests/test_errors.py
else
    echo "skipped: no free-threaded interpreter (python3.14t or python3.13t) is on the PATH"
fi

say "pytest"
# Not `python -m pytest`: that would put this folder before the installed wheel.
"$bin/pytest" -p no:cacheprovider ${PYTEST_ARGS:-}

"$here/../examples/check.sh" "$folder"
