# What developers do every day; `.ci/run` does the same in one go.

# formatting, lints, documentation, imports, words
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
    cargo xtask edges
    cargo xtask words

# every test
test:
    cargo test --workspace --all-features

# every crate alone, so that none lives on another's features
check-each:
    for crate in document policy registry field-retriever agenda launchers reporters handler-base executor cli samples; do cargo check -p pop-$crate; done

# licences, bans, sources
deny:
    cargo deny --offline check licenses bans sources

# a run of 10,000 operations against a bare spawn loop
bench:
    cargo build --release -p pop-cli && cargo build --release -p pop-launchers --example bare_spawn && docs/speed.sh
