# Recipes for everyday development; `.ci/run` runs all checks at once.

# check formatting, lints, documentation, imports and wording
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
    cargo xtask edges
    cargo xtask words

# run all tests
test:
    cargo test --workspace --all-features

# run the tests that build the toolkit from scratch: `pop new` in Rust, up to a run
test-new:
    cargo test --workspace --all-features --test pop -- --ignored

# run the tests that need a Docker Engine
test-docker:
    cargo test -p pop-stand-in --test stand_in -- --ignored docker

# write the tables of promises from their rows and the test results
tables:
    cargo test --workspace --all-features 2>&1 | tee target/results.txt
    for table in faults rows cases; do cargo xtask $table target/results.txt; done

# check each crate alone, so that none depends on features that another crate enables
check-each:
    for crate in document policy registry field-retriever agenda launchers reporters handler-base executor assembly conformance scaffold report operator operator-runtime cli samples stand-in; do cargo check -p pop-$crate; done

# kill runs of random agendas at random moments, about five times each
chaos agendas="200":
    CHAOS_SEEDS={{agendas}} cargo test --release -p pop-cli --test pop -- --nocapture f1_run_killed_at_random

# check licences, bans and sources
deny:
    cargo deny --offline check licenses bans sources

# compare pop with a bare spawn loop and other tools; `just bench --quick` only tests the setup
bench *options:
    bench/run {{options}}

# measure time and memory per operation in the pure core and the journal
bench-core:
    cargo bench -p pop-agenda -p pop-executor --bench core --bench memory --bench journal

# run every fuzz target for that many seconds (needs `cargo install cargo-fuzz`)
fuzz seconds:
    fuzz/run {{seconds}}
