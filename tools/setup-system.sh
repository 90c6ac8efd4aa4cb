#!/bin/sh
# Installs what tests need beside Python: for emitted C a clang that knows BPF, the headers of
# libbpf and a C compiler, for reports a browser, for the extension for editors its libraries.
# Where that cannot be done it says which tests will be skipped, and goes on.
set -eu
cd "$(dirname "$0")/.."

# The newest that the compiler is tested with comes first.
clang_versions="19 20 21 18 17 16 15"

have_clang() {
    for version in $clang_versions; do
        command -v "clang-$version" >/dev/null && return 0
    done
    command -v clang >/dev/null || return 1
    major=$(clang -dumpversion | cut -d. -f1)
    [ "$major" -ge 15 ]
}

have_libbpf() {
    [ -e /usr/include/bpf/bpf_helpers.h ]
}

have_cc() {
    command -v cc >/dev/null || command -v gcc >/dev/null
}

have_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        command -v "$name" >/dev/null && return 0
    done
    return 1
}

# What package-lock.json asks for; npm writes down what it has installed.
have_libraries() {
    [ editors/vscode/node_modules/.package-lock.json -nt editors/vscode/package-lock.json ]
}

# npm itself is not installed here: with it come hundreds of packages.
install_libraries() {
    command -v npm >/dev/null && command -v node >/dev/null || return 0
    echo "Installing the libraries of editors/vscode ..."
    (cd editors/vscode && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) \
        >/dev/null 2>&1 || true
}

have_all() {
    have_clang && have_libbpf && have_cc && have_browser
}

apt_install() {
    # One by one: a package that cannot be had does not keep the others away.
    for package in "$@"; do
        DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends "$package" >/dev/null 2>&1 ||
            echo "apt-get could not install $package"
    done
}

pick_clang() {
    for version in $clang_versions; do
        if [ -n "$(apt-cache show "clang-$version" 2>/dev/null)" ]; then
            echo "clang-$version"
            return
        fi
    done
    echo clang
}

have_libraries || install_libraries
have_libraries ||
    echo "No libraries of editors/vscode (for Node.js, from npm): tests that need them are skipped."

have_all && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq >/dev/null 2>&1 || true
    packages=
    have_clang || packages="$packages $(pick_clang)"
    have_libbpf || packages="$packages libbpf-dev"
    have_cc || packages="$packages gcc libc6-dev"
    have_browser || packages="$packages chromium"
    echo "Installing$packages ..."
    # shellcheck disable=SC2086 # a list of names
    apt_install $packages
fi

have_clang || echo "No clang 15 or newer: tests that build BPF programs are skipped."
have_libbpf || echo "No headers of libbpf: tests that build BPF programs are skipped."
have_cc || echo "No C compiler: tests that build emitted C for this machine are skipped."
have_browser || echo "No Chromium: tests that look at reports in a browser are skipped."
exit 0
