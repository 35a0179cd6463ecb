#!/usr/bin/env bash
# Makes the Debian package in target/debian from target/release/slapledger: `packaging/build.sh [OPTION OF cargo deb]...`.
set -euo pipefail
cd "$(dirname "$0")/.."

program=target/release/slapledger
[ -x "$program" ] || { echo "$program is not built: cargo build --release -p slapledger-api" >&2 && exit 1; }
made=target/packaging
rm -rf "$made"
mkdir -p "$made/completions"
"$program" man --out "$made/man"
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$made/completions/$shell"
done
exec cargo deb --package slapledger-api --no-build --no-strip "$@"
