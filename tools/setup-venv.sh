#!/bin/sh
# Makes a virtual environment and installs policyc into it, editable.
#
#   setup-venv.sh DIRECTORY EXTRA     EXTRA is one of pyproject.toml
#
# PYTHON says which interpreter. Exit status 3: something must be installed by hand first.
set -eu

venv=$1
extra=$2
python=${PYTHON:-python3}

give_up() {
    echo "policyc: $1" >&2
    exit 3
}

install_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "Installing $* ..."
    apt-get update -qq >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1
}

if ! command -v "$python" >/dev/null; then
    install_packages python3 python3-venv || true
    command -v "$python" >/dev/null ||
        give_up "there is no $python; install Python 3.11 or newer (Debian: python3 python3-venv)"
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    give_up "$("$python" --version) is too old; say PYTHON=... with 3.11 or newer"

if ! [ -x "$venv/bin/pip" ]; then
    rm -rf "$venv"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        # Debian keeps a part of the venv module in a package of its own.
        version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        install_packages "$version-venv" || install_packages python3-venv || true
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            give_up "$python cannot make virtual environments: as root, apt-get install $version-venv"
    fi
    echo "Making $venv ..."
    "$python" -m venv "$venv"
fi

echo "Installing policyc into $venv ($extra) ..."
"$venv/bin/pip" install -qq --disable-pip-version-check -e ".[$extra]" ||
    give_up "pip could not install the packages named in pyproject.toml"
