# The everyday commands. `just` lists them.

_default:
    @just --list

# Play October 2026 and serve it
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# Be the master of one user, as slapos proxy is
proxy *ARGS:
    cargo run --release -- proxy {{ARGS}}

# All tests, as CI runs them
test:
    bash tests/run

# The tests that take less than ten minutes
quick:
    bash tests/run quick

# Format, lint, and check licenses and sources
check:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    cargo deny check bans licenses sources

# The binary that docs/benchmarks.md measures
figures:
    cargo build --profile figures -p slapledger-api -p slapledger-tests --bins
