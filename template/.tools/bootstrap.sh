#!/bin/sh
# Make .tools/venv: the dependency tool that this repository pins, installed from hashes. Nothing outside the
# repository is touched. Owned by the template.
#
#   sh .tools/bootstrap.sh              make it where it is missing or its pins have changed
#   sh .tools/bootstrap.sh find X.Y     print an interpreter of that version, or say how to get one
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# An interpreter counts only if it starts and says the version: a pyenv shim exists for versions that do not.
is_wanted() {
    "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1
}

candidates() {
    for name in "${PYTHON:-}" "python$1" python3 python; do
        command -v "$name" || true
    done
    for folder in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".* \
        "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}/cpython-$1".* \
        "/opt/homebrew/opt/python@$1" "/usr/local/opt/python@$1" /usr/local; do
        if [ -x "$folder/bin/python$1" ]; then echo "$folder/bin/python$1"; fi
    done
}

# The interpreters themselves, not shims that depend on the folder; of several, first the patch version of the image.
find_python() {
    patch=$(sed -n 's/^patch = "\([^"]*\)".*/\1/p' "$here"/../src/*/parity/pins.toml 2>/dev/null) || true
    candidates "$1" | while read -r candidate; do
        if is_wanted "$candidate" "$1"; then
            "$candidate" -c "import platform, sys; print(platform.python_version() != '$patch', sys.executable)"
        fi
    done | sort -s -k 1,1 | sed -n '1s/^[A-Za-z]* //p'
}

require_python() {
    found=$(find_python "$1")
    if [ -z "$found" ]; then
        echo "Python $1 is not on this machine: get it with 'pyenv install $1', with 'uv python install $1'," \
            "or from your system's packages (Debian: python$1-venv), then repeat the command." >&2
        exit 1
    fi
    echo "$found"
}

# Says which other version is on PATH, so that nobody wonders why it was not taken.
announce() { # DISTRIBUTION [COMMAND, where it is called otherwise]
    pinned=$(sed -n "s/^$1==\([^ ]*\).*/\1/p" "$here/requirements.txt")
    path_version=$("${2:-$1}" --version 2>/dev/null | sed -n 's/^[^0-9]*\([0-9][^ ,)]*\).*/\1/p' | head -n 1) || true
    case ${path_version:-none} in
        none) why="$1 is not on PATH" ;;
        "$pinned") why="PATH has the same one, without its hashes checked" ;;
        *) why="PATH has $1 $path_version, which is left alone" ;;
    esac
    echo "Installing $1 $pinned, which this repository pins, into .tools/venv ($why)."
}

install_tool() {
    version=$(cat "$here/../.python-version")
    python=$(require_python "$version")
    # shellcheck disable=SC2046 # one or two words
    announce $(sed -n 's/^# tool: //p' "$here/requirements.txt")
    rm -rf "$here/venv"
    "$python" -m venv "$here/venv" >/dev/null || {
        echo "$python cannot make environments: install its venv package (Debian: 'apt-get install python$version-venv')." >&2
        exit 1
    }
    "$here/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes --only-binary :all: --requirement "$here/requirements.txt"
    cat "$here/requirements.txt" "$here/../.python-version" >"$here/venv/installed"
}

is_current() {
    cat "$here/requirements.txt" "$here/../.python-version" | cmp -s - "$here/venv/installed"
}

case ${1:-install} in
    find) require_python "$2" ;;
    install) is_current || install_tool ;;
    *)
        echo "usage: sh .tools/bootstrap.sh [find X.Y]" >&2
        exit 2
        ;;
esac
