#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: PostgreSQL's server binaries, curl, rustfmt, clippy, cargo-nextest.
# Does nothing, and asks for no rights, if all are there.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "cannot run \`$*\`: it needs root, and there is no sudo; run it as root, then try again"
        exit 1
    fi
}

has_postgres() {
    command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1 && return
    local initdb
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$initdb" ] && [ -x "$(dirname "$initdb")/postgres" ] && return
    done
    return 1
}

if ! has_postgres; then
    if ! command -v apt-get >/dev/null 2>&1; then
        say "PostgreSQL's server binaries are missing and there is no apt-get; install PostgreSQL (12 or newer)"
        say "so that \`initdb\` and \`postgres\` are in PATH, then try again"
        exit 1
    fi
    say "installing PostgreSQL's server binaries"
    as_root apt-get update -qq
    install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; }
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        # Debian's package would start a server of its own; the tests start theirs.
        install postgresql-common
        echo 'create_main_cluster = false' | as_root tee -a /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    install postgresql
    has_postgres || { say "the package \`postgresql\` brought no initdb"; exit 1; }
fi

if ! command -v curl >/dev/null 2>&1; then
    if ! command -v apt-get >/dev/null 2>&1; then
        say "\`curl\` is missing and there is no apt-get; install it, then try again"
        exit 1
    fi
    say "installing curl"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl ca-certificates
fi

cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

if ! cargo nextest --version >/dev/null 2>&1; then
    say "installing cargo-nextest"
    # Apart from the project's own target folder and profile.
    env -u CARGO_TARGET_DIR cargo install cargo-nextest --locked
fi
