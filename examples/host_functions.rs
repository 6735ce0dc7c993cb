//! Offers functions of the host to a program.
//!
//! `cargo run --release --example host_functions`

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use serpentarium::sandbox::{HostFunctions, Program, Sandbox};

const CODE: &str = "
import _host, json

def call(name, *args):
    return json.loads(_host.call(name, json.dumps(args)))

total = sum(call('price', name) * count for name, count in input.items())
try:
    call('price', 'unicorn')
except _host.CallError as error:
    print('refused:', error)
return call('round', total)
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let prices = Arc::new(HashMap::from([("apple".to_owned(), 0.3), ("pear".to_owned(), 0.45)]));
    let host = HostFunctions::new()
        .function("price", move |(name,): (String,)| {
            let prices = prices.clone();
            async move { prices.get(&name).copied().ok_or(format!("there is no price of {name}")) }
        })
        .function("round", async |(value,): (f64,)| Ok::<_, Infallible>(value.round()))
        .on_print(|text| print!("{text}"));
    let sandbox = Sandbox::builder().build()?;
    let program = Program::new(CODE).input(HashMap::from([("apple", 10), ("pear", 20)]))?;
    let outcome = sandbox.run(program, host).await;
    println!("total {}", outcome.result?.value);
    Ok(())
}
