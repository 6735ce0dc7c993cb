//! Runs training tasks in the instrumented image, and turns their counts into branch hints.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use wasmtime::{Engine, InstancePre, Module, OptLevel, Result, Store, ensure, error::Context};
use wasmtime_wasi::{p1::WasiP1Ctx, p2::pipe::MemoryOutputPipe};

use crate::{
    blocks::{self, Function},
    counters, hints, host,
};

/// The kinds of small tasks: directory in `tasks`, node mode, and the field of the reply.
const KINDS: [(&str, &str, &str); 3] = [
    ("all_items", "runOnceForAllItems", "result"),
    ("each_item", "runOnceForEachItem", "result"),
    ("raises", "runOnceForAllItems", "error"),
];

/// Bytes that a task may reply and print.
const OUTPUT: usize = 1 << 20;

/// A task: its settings, and the field that its reply must have.
struct Task {
    file: PathBuf,
    settings: Vec<u8>,
    field: &'static str,
}

/// Adds branch hints to a module, from the tasks in a directory.
///
/// `tasks/` has small tasks with their items, and `programs.py`. That task gets the programs of the
/// directory as its items, and runs them.
pub fn hints(module: &[u8], directory: &Path) -> Result<Vec<u8>> {
    let functions = blocks::functions(module)?;
    let counts = count(&counters::add(module, &functions)?, &functions, &tasks(directory)?)?;
    hints::add(module, &functions, &counts)
}

fn tasks(directory: &Path) -> Result<Vec<Task>> {
    let items: Value = serde_json::from_slice(&fs::read(directory.join("tasks/items.json"))?)?;
    let mut tasks = Vec::new();
    for (kind, mode, field) in KINDS {
        for file in python_files(&directory.join("tasks").join(kind))? {
            tasks.push(Task::new(file, mode, &items, field)?);
        }
    }
    let program = |file: PathBuf| {
        let name = file.file_stem().map(|name| name.to_string_lossy());
        Ok(json!({"json": {"name": name, "text": fs::read_to_string(&file)?}}))
    };
    let programs: Value =
        python_files(directory)?.into_iter().map(program).collect::<Result<_>>()?;
    tasks.push(Task::new(
        directory.join("tasks/programs.py"),
        "runOnceForAllItems",
        &programs,
        "result",
    )?);
    Ok(tasks)
}

fn python_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "py"));
    files.sort();
    Ok(files)
}

impl Task {
    fn new(file: PathBuf, mode: &str, items: &Value, field: &'static str) -> Result<Self> {
        let code =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let settings = json!({
            "code": code, "nodeMode": mode, "items": items,
            "continueOnFail": false, "nodeName": "Code",
        });
        Ok(Self { file, settings: serde_json::to_vec(&settings)?, field })
    }

    /// Runs the task in an instance of its own, and returns the bytes at the addresses `counters`.
    async fn run(&self, image: &InstancePre<WasiP1Ctx>, counters: Range<usize>) -> Result<Vec<u8>> {
        let output = MemoryOutputPipe::new(OUTPUT);
        let mut store =
            Store::new(image.module().engine(), host::wasi(self.settings.clone(), &output));
        let instance = image.instantiate_async(&mut store).await?;
        let memory =
            instance.get_memory(&mut store, "memory").context("the module exports no memory")?;
        // The interpreter's start left stack contents at these addresses.
        memory.data_mut(&mut store)[counters.clone()].fill(0);
        instance
            .get_typed_func::<(), i32>(&mut store, "run_task")?
            .call_async(&mut store, ())
            .await?;
        let reply: Value = serde_json::from_slice(&output.contents()).unwrap_or_default();
        let printed = String::from_utf8_lossy(&output.contents()).into_owned();
        ensure!(reply.get(self.field).is_some(), "no field {} in {printed:?}", self.field);
        Ok(memory.data(&store)[counters].to_vec())
    }
}

/// Counts the entries of each basic block over all tasks.
fn count(module: &[u8], functions: &[Function], tasks: &[Task]) -> Result<Vec<u64>> {
    // Compiling takes longer than running, so it must be quick.
    let engine = Engine::new(host::config().cranelift_opt_level(OptLevel::None))?;
    let module = Module::new(&engine, module)?;
    let image = host::linker(&engine, &module)?.instantiate_pre(&module)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut counts = vec![0; blocks::count(functions)];
    // Once each: a second run would count the same.
    for task in tasks {
        let bytes = runtime.block_on(task.run(&image, counters::addresses(functions)));
        let bytes = bytes.with_context(|| format!("{} failed", task.file.display()))?;
        for (count, more) in counts.iter_mut().zip(counters::read(&bytes)) {
            *count += more;
        }
    }
    Ok(counts)
}
