#!/usr/bin/env bash
# Builds the wheel and the command, installs the wheel and the tests' packages into a fresh virtual
# environment, and runs mypy, stubtest, basedpyright and pytest there. Tries the wheel with each CPython from
# 3.10 on that is on the PATH or installed by pyenv. If a free-threaded interpreter is on the PATH, builds a
# wheel for it and runs the tests that need only pytest; else compiles that configuration. Ends with pytest's
# last line; fails if anything fails.
#
#   verifier-py/check.sh [FOLDER]      FOLDER has the virtual environment (default: a temporary one)
#
# PYTHON chooses the interpreter (default python3), CARGO_TARGET_DIR the folder for cargo, PYTEST_ARGS
# further arguments for pytest.
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
# Install packages while cargo compiles.
"$bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.16.0,<2'
"$bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements-test.txt" &
packages=$!

say "wheel"
# Stripped, but otherwise the workspace's own release profile, so crates that cargo has compiled are reused.
(cd "$here" && "$bin/maturin" build --release --strip --interpreter "$bin/python" --quiet --out "$folder/wheels")
# The tests compare the tables with this command.
(cd "$here" && cargo build --release --quiet -p verifier-host --bin verifier)
target=$(cd "$here" && cargo metadata --format-version 1 --no-deps --offline |
    "$bin/python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
export VERIFIER_COMMAND=$target/release/verifier
wait "$packages"
ls -l "$folder"/wheels/*.whl
"$bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$folder"/wheels/*.whl

say "mypy"
cd "$here"
"$bin/python" -m mypy --config-file pyproject.toml --cache-dir "$folder/mypy" -p verifier_py
MYPYPATH=tests "$bin/python" -m mypy --config-file pyproject.toml --cache-dir "$folder/mypy" tests

say "stubtest"
"$bin/python" -m mypy.stubtest --allowlist stubtest-allowlist.txt verifier_py

say "basedpyright"
if "$bin/pip" install --quiet --disable-pip-version-check 'basedpyright>=1.40' 2>"$folder/basedpyright.log"; then
    "$bin/basedpyright" --pythonpath "$bin/python" --level error python
else
    echo "skipped: basedpyright cannot be installed here"
    tail -n 1 "$folder/basedpyright.log"
fi

say "other interpreters"
# One wheel for all of them: a program imports it, opens a dump and reads a table.
"$bin/python" -c 'import verifier_py, sys; verifier_py.demo(sys.argv[1])' "$folder/sample"
for minor in 10 11 12 13 14 15; do
    other=
    # A name on the PATH may be a pyenv shim without an interpreter.
    for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python; do
        if "$candidate" -c 'import sys; sys.exit(sys.implementation.name != "cpython")' 2>/dev/null; then
            other=$candidate
            break
        fi
    done
    [ -n "$other" ] || continue
    rm -rf "$folder/3.$minor"
    "$other" -m zipfile -e "$folder"/wheels/*.whl "$folder/3.$minor"
    PYTHONPATH=$folder/3.$minor "$other" - "$folder/sample" <<'SMOKE'
import pickle
import sys

import verifier_py

dump = verifier_py.open(sys.argv[1] + "/memory.dmp", symbols=sys.argv[1] + "/symbols")
pool = dump.pool()
assert len(pool) == len(list(pool)) == len(pool.to_dicts()) == 10 and pool.problems == ()
assert pickle.loads(pickle.dumps(pool)) == pool and pool[0].caller_symbol
assert dump.leaks()[0].count == 10 and dump.log("pool")[::-1] and hash(dump.settings())
print("ok:", sys.version.split()[0], verifier_py.__version__)
SMOKE
done

say "free-threaded"
free=$(command -v python3.14t || command -v python3.13t || true)
if [ -n "$free" ]; then
    "$free" -m venv "$folder/free"
    "$folder/free/bin/pip" install --quiet --disable-pip-version-check 'pytest>=9.0'
    (cd "$here" && "$bin/maturin" build --release --strip --no-default-features --interpreter "$folder/free/bin/python" --quiet --out "$folder/wheels/free")
    "$folder/free/bin/pip" install --quiet --disable-pip-version-check --no-deps "$folder"/wheels/free/*.whl
    "$folder/free/bin/pytest" -p no:cacheprovider tests/test_threads.py tests/test_session.py tests/test_errors.py
else
    echo "no free-threaded interpreter (python3.14t or python3.13t) is on the PATH: compiled only"
    printf '%s\n' implementation=CPython version=3.14 shared=true abi3=false lib_name=python3.14t \
        pointer_width=64 build_flags=Py_GIL_DISABLED >"$folder/free-threaded.cfg"
    (cd "$here" && PYO3_CONFIG_FILE=$folder/free-threaded.cfg \
        cargo check --quiet -p verifier-py --no-default-features)
fi

say "pytest"
# Not `python -m pytest`, which would put this folder before the installed wheel.
"$bin/pytest" -p no:cacheprovider ${PYTEST_ARGS:-}

"$here/../examples/check.sh" "$folder"
