//! Tells the crate where the Python image lies.
fn main() {
    println!("cargo:rerun-if-changed=wasm/build/python.cwasm");
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".into());
    println!("cargo:rustc-env=SERPENTARIUM_IMAGE={root}/wasm/build/python.cwasm");
}
