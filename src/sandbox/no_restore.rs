//! Memory of a pool on systems whose kernel does not tell the written pages: wasmtime makes all of it
//! anew for each instance.

use wasmtime::InstancePre;

use super::state::GuestState;

/// Memory of a pool whose pages stay mapped from one task of a slot to the next: there is none.
pub(crate) enum PoolMemory {}

impl PoolMemory {
    pub(crate) fn new(_image: &InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Err(wasmtime::format_err!("the kernel does not tell the written pages"))
    }

    pub(crate) fn add(&self, _memory: &[u8]) {
        match *self {}
    }

    pub(crate) fn restore(&self, _memory: &mut [u8]) {
        match *self {}
    }
}
