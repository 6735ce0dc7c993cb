//! Runs a local broker and a runner with its worker processes in one program, and submits a task.
//!
//! A worker is this program, started as `PROGRAM worker --slots N --lockdown MODE`.
//!
//! `cargo run --release --example embed_runner`

use std::error::Error;

use serde_json::value::to_raw_value;
use serpentarium::{
    broker::{Broker, BrokerConfig, TaskResult},
    protocol::{NodeMode, TaskSettings},
    runner::{self, Credentials, RunnerConfig},
    workers::{self, Pool, PoolConfig},
};
use tokio::sync::oneshot;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [command, _, slots, _, lockdown] = &arguments[..]
        && command == "worker"
    {
        return Ok(workers::run_worker(slots.parse()?, lockdown.parse()?, None)?);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let broker = Broker::start(BrokerConfig::default()).await?;
    let pool = Pool::start(&PoolConfig { workers: 1, ..PoolConfig::default() })?;
    let credentials = Credentials { grant: None, auth: Some(broker.auth_token().clone()) };
    let config = RunnerConfig::new(broker.uri().parse()?, credentials);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let runner = tokio::spawn(runner::run(config, pool, shutdown));

    let items = to_raw_value(&[serde_json::json!({ "json": { "n": 20 } })])?;
    let code = "return [{'json': {'n': _items[0]['json']['n'] + 1}}]";
    let settings = TaskSettings::new(code, NodeMode::AllItems, items);
    match broker.submit(to_raw_value(&settings)?).result().await {
        TaskResult::Done(data) => println!("done: {}", data.result),
        other => println!("not done: {other:?}"),
    }

    let _ = stop.send(());
    runner.await??;
    broker.shutdown().await;
    println!("stopped");
    Ok(())
}
