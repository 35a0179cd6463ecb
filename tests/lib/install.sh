# Debian packages that the tests need. Sourced by tests/run.

# need PACKAGE COMMAND...: installs a Debian package unless the command succeeds.
missing_packages=()
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing_packages+=("$package")
}

install_packages() {
    need strace command -v strace
    need gcc command -v cc
    need curl command -v curl
    need openssl command -v openssl
    need nginx command -v /usr/sbin/nginx
    need haproxy command -v /usr/sbin/haproxy
    need python3 command -v python3
    need python3-venv python3 -c 'import ensurepip, venv'
    need python3-dev python3 -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
    need nodejs command -v node
    need npm command -v npm
    need chromium command -v chromium
    need util-linux command -v setpriv
    need mount command -v mount
    need e2fsprogs command -v mkfs.ext4
    need xz-utils command -v xz
    need passwd command -v useradd
    need hledger command -v hledger
    need ledger command -v ledger
    need golang-go command -v go
    need golang-golang-x-mod-dev test -d /usr/share/gocode/src/golang.org/x/mod/sumdb
    need prometheus command -v promtool
    need adduser command -v adduser
    need dpkg-dev command -v dpkg-shlibdeps
    need systemd command -v systemd-analyze
    need zsh command -v zsh
    need fish command -v fish
    if [ ${#missing_packages[@]} = 0 ]; then
        echo 'nothing to install'
        return
    fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: ${missing_packages[*]}. Only root can install them, with apt-get; please do:" >&2
        echo "    apt-get install --no-install-recommends ${missing_packages[*]}" >&2
        return 1
    fi
    echo "installing ${missing_packages[*]}"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "${missing_packages[@]}" </dev/null
}

CARGO_DEB=3.6.3

# prepare_cargo_deb: puts cargo-deb on PATH, built once.
prepare_cargo_deb() {
    local tools=$PWD/tests/.cache/cargo-deb-$CARGO_DEB
    if [ ! -x "$tools/bin/cargo-deb" ]; then
        # Compiled fast: packages are made by xz of the system.
        CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=0 cargo install -q --locked --no-default-features --version "$CARGO_DEB" --root "$tools" cargo-deb
    fi
    PATH=$tools/bin:$PATH
}
