//! A pool whose workers follow the orders in the input of their jobs
//! (`tests/servers/puppet_worker.py`).

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serpentarium::workers::{Pool, PoolConfig};

use super::script_broker::python;

/// Starts a pool of such workers.
pub(crate) fn pool(workers: usize) -> Pool {
    Pool::start(&config(workers)).expect("the pool starts")
}

/// Returns the settings of such a pool.
pub(crate) fn config(workers: usize) -> PoolConfig {
    PoolConfig { workers, slots: 16, program: program(), ..PoolConfig::default() }
}

/// Returns the executable: the script behind a line that names its interpreter. A worker has no
/// environment in which to look for one.
pub(crate) fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/puppet_worker.py");
        let name = format!("puppet-worker-{}", std::process::id());
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // Another process writes it: a fork of this one could keep it open and so not executable.
        let write = "import os, sys\n\
                     _, program, script = sys.argv\n\
                     with open(program, 'w') as out, open(script) as text:\n    \
                         out.write(f'#!{sys.executable} -I\\n{text.read()}')\n\
                     os.chmod(program, 0o755)";
        let written = Command::new(python()).args(["-c", write]).arg(&program).arg(script).status();
        assert!(written.expect("Python starts").success());
        program
    };
    PROGRAM.get_or_init(make).clone()
}
