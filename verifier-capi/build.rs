//! Gives the shared library a name with the version of its interface, on systems with such names.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // The number is VERIFIER_ABI_VERSION; a test checks that they are equal.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libverifier_capi.so.2");
    }
}
