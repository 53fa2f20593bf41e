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

# the tests that build the toolkit anew: `pop new` in Rust, from nothing to a run
test-new:
    cargo test --workspace --all-features --test pop -- --ignored

# the tests that need a Docker Engine
test-docker:
    cargo test -p pop-stand-in --test stand_in -- --ignored docker

# the tables of promises, written anew from their rows and what the tests say
tables:
    cargo test --workspace --all-features 2>&1 | tee target/results.txt
    for table in faults rows; do cargo xtask $table target/results.txt; done

# every crate alone, so that none lives on another's features
check-each:
    for crate in document policy registry field-retriever agenda launchers reporters handler-base executor assembly conformance scaffold cli samples stand-in; do cargo check -p pop-$crate; done

# random agendas killed at random moments: five kills each or so
chaos agendas="200":
    CHAOS_SEEDS={{agendas}} cargo test --release -p pop-cli --test pop -- --nocapture f1_killed_at_random

# licences, bans, sources
deny:
    cargo deny --offline check licenses bans sources

# pop against a bare spawn loop and other tools; `just bench --quick` tries whether all of it works
bench *options:
    bench/run {{options}}

# what an operation costs in the pure core and the journal, and its memory
bench-core:
    cargo bench -p pop-agenda -p pop-executor --bench core --bench memory --bench journal

# every fuzz target for some seconds each (needs `cargo install cargo-fuzz`)
fuzz seconds:
    fuzz/run {{seconds}}
