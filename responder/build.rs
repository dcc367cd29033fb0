//! Says which program is built: the one that ships, which has neither std nor a C library (the cfg `bare`), or the one with
//! std, to try and to debug.
//!
//! It is the bare one in the release profile and in every profile that inherits from that, which all end at a panic instead
//! of unwinding, on the processors that `slash32-bare` has an entry for; with the feature `std` it never is.

use std::env::var;

/// No start files and no library of C; the addresses are put right by the program itself, not by a dynamic linker, and each
/// is right and read-only before the first line of `main`.
const LINKED: [&str; 6] = [
    "-nostartfiles",
    "-nostdlib",
    "-static-pie",
    "-Wl,-z,relro,-z,now",
    // What is made read-only begins with a page, and so is one page, not the halves of two.
    "-Wl,-z,separate-loadable-segments",
    // No table for unwinders, which there are none of, and no name of a build.
    "-Wl,--build-id=none,--no-eh-frame-hdr",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(bare)");
    let is = |name: &str, values: &[&str]| var(name).is_ok_and(|it| values.contains(&it.as_str()));
    let bare = is("PROFILE", &["release"])
        && is("CARGO_CFG_TARGET_OS", &["linux"])
        && is("CARGO_CFG_TARGET_ARCH", &["x86_64", "aarch64"])
        && var("CARGO_FEATURE_STD").is_err();
    if bare {
        println!("cargo::rustc-cfg=bare");
        for argument in LINKED {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
