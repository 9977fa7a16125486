//! Gives the shared library the name that says which interface it has, where names do that.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // The number is VERIFIER_ABI_VERSION; a test holds them equal.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libverifier_capi.so.2");
    }
}
