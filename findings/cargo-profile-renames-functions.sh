#!/usr/bin/env bash
# An option of a Cargo profile that changes only how code is generated also changes the symbol name of every function, in all
# crates: counts of a profile-guided build that was made with, say, other codegen-units then fit no function, and no warning says so.
#
# Version: cargo and rustc 1.95.0, crate ryu 1.0.20.
# One would expect that `codegen-units`, `lto` or `opt-level` leave the names alone, as flags in RUSTFLAGS do: since Cargo leaves
# those out of the metadata that it gives to rustc, two builds for profile-guided optimization, one with -Cprofile-generate and one
# with -Cprofile-use, agree. So it seems safe to make the build that counts a faster one. Seen here: the name of a function is
# equal with other RUSTFLAGS, and differs with other `codegen-units` or `lto` in the profile, also in a dependency.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "named"
version = "0.1.0"
edition = "2021"

[dependencies]
ryu = "=1.0.20"
TOML
cat >"$folder/src/lib.rs" <<'RUST'
#[inline(never)]
pub fn own(number: f64) -> usize {
    ryu::Buffer::new().format(number).len()
}
RUST
cd "$folder"

# names FLAGS OPTION...: the names of a function of each of the two crates in a release build with these flags of rustc and options of cargo
names() {
    local flags=$1
    shift
    rm -rf target
    RUSTFLAGS=$flags cargo build --quiet --release "$@"
    nm target/release/deps/*.rlib 2>/dev/null | grep -oE '_ZN(5named3own|3ryu6pretty8format64)17h[0-9a-f]+E' | sort -u
}

plain=$(names "")
[ "$(wc -l <<<"$plain")" = 2 ]
said=$(
    is_equal() { if [ "$2" = "$plain" ]; then echo "$1: the same names"; else echo "$1: other names"; fi; }
    is_equal "-Cprofile-generate in RUSTFLAGS" "$(names "-Cprofile-generate=$folder/counts")"
    is_equal "-Ccodegen-units=2 in RUSTFLAGS" "$(names "-Ccodegen-units=2")"
    is_equal "codegen-units = 2 in the profile" "$(names "" --config 'profile.release.codegen-units=2')"
    is_equal 'lto = "off" in the profile' "$(names "" --config 'profile.release.lto="off"')"
)
rustc --version | cut -d' ' -f1-2
echo "$said"
[ "$said" = "-Cprofile-generate in RUSTFLAGS: the same names
-Ccodegen-units=2 in RUSTFLAGS: the same names
codegen-units = 2 in the profile: other names
lto = \"off\" in the profile: other names" ]
