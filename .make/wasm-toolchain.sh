# Sourced: finds a Rust that can build for wasm32-wasip1, says in one line which,
# and defines wasm_cargo, which runs a cargo command with it. Two routes are known,
# since a machine may reach its distribution's packages and not rustup's server.
# shellcheck shell=bash
target=wasm32-wasip1

# Panic messages hold source paths; the module should not tell whose machine built it.
flags="${RUSTFLAGS:-} --remap-path-prefix=$PWD=/session-bearer --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"

has_target() {
    have cargo && [ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/$target/lib" ]
}

# Debian has no standard library built for the target, but its source and a WASI libc
# to build one from, which stable cargo does only with the bootstrap switch.
debian_packages=(rustc-web cargo-web rust-web-src wasi-libc)
use_debian() {
    apt_install "${debian_packages[@]}" || return 1
    llvm=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    apt_install "lld-$llvm" || return 1
    libc=$(dirname "$(dpkg -L wasi-libc | grep '/libc\.a$')")
    target_dir=target/wasm-debian
    wasm_cargo() {
        local command=$1
        shift
        # Cargo would put its home's bin first, rustup's commands with it, were it not on the PATH.
        env PATH="/usr/bin:$PATH:${CARGO_HOME:-$HOME/.cargo}/bin" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            RUSTFLAGS="$flags -L $libc" \
            CARGO_TARGET_WASM32_WASIP1_LINKER="/usr/lib/llvm-$llvm/bin/wasm-ld" \
            /usr/bin/cargo "$command" --locked --target "$target" --target-dir "$target_dir" \
            -Zbuild-std=std,panic_abort "$@"
    }
    say "wasm: Debian's rustc-web with build-std (rustup has no $target here)"
}

use_path() { # WHAT
    target_dir=target
    wasm_cargo() {
        local command=$1
        shift
        RUSTFLAGS=$flags cargo "$command" --locked --target "$target" --target-dir "$target_dir" "$@"
    }
    say "wasm: $1 $target"
}

if has_target; then
    if have rustup; then use_path "rustup target"; else use_path "$(rustc --version | cut -d' ' -f1,2) with"; fi
# A machine that was refused once is not made to wait for the same refusal again.
elif have rustup && [ ! -d target/wasm-debian ] &&
    attempt rustup-target limit 20 rustup target add "$target" && has_target; then
    use_path "rustup target"
elif ! use_debian; then
    die "no Rust for $target: run 'rustup target add $target', or on Debian 12 'apt-get install --no-install-recommends ${debian_packages[*]} lld-22' as root"
fi
