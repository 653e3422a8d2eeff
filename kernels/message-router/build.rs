//! Link flags that rustc does not set for a `cdylib` by itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return; // the flags below are the ELF linkers'
    }
    // Without a SONAME, a program linked against the file would ask the loader for the path it
    // was built at.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmessage_router.so");
    // rustc's default on Linux today; written out because `hoist check` holds us to it.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
}
