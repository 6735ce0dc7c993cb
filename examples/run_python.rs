//! Runs a piece of Python, and prints what it prints and returns.
//!
//! `cargo run --release --example run_python`

use serpentarium::sandbox::{HostFunctions, Program, Sandbox};

const CODE: &str = "
print('adding', len(input), 'numbers')
return {'sum': sum(input)}
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::builder().build()?;
    let program = Program::new(CODE).input([1, 2, 3])?;
    let host = HostFunctions::new().on_print(|text| print!("{text}"));
    let outcome = sandbox.run(program, host).await;
    println!("{}", outcome.result?.value);
    Ok(())
}
