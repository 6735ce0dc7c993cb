//! The six functions of [WASI preview 1] that the image imports: clocks, randomness, standard
//! streams, sleep and exit.
//!
//! They reach no file, directory, environment, argument or socket. An image that imports another
//! function does not link. Layouts and numbers are those of the specification.
//!
//! [WASI preview 1]: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md

use std::time::Duration;

use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::{
    abi::WASI_MODULE,
    state::{BadAddress, GuestState, charge, memory},
};

/// Error numbers that these functions return (`errno` of the specification).
mod errno {
    pub(crate) const SUCCESS: i32 = 0;
    pub(crate) const BADF: i32 = 8;
    pub(crate) const INVAL: i32 = 28;
    pub(crate) const IO: i32 = 29;
}

/// Buffers of one read or write, and subscriptions of one poll. More is `EINVAL`: the host walks
/// them without a yield.
const MAX_VECTORS: u32 = 1024;

/// Units of fuel for each buffer of a read or write, beside one unit for each byte.
const BUFFER_FUEL: u64 = 48;

/// The guest called `proc_exit` with this exit code.
#[derive(Debug, thiserror::Error)]
#[error("the guest exited with code {0}")]
pub(crate) struct ProcExit(pub i32);

type Errno = wasmtime::Result<i32>;

/// Bytes that one read or write moves at most. The guest calls again for the rest, and other tasks
/// run in between.
const MAX_TRANSFER: usize = 4 << 20;

/// Bytes of randomness between two charges of fuel, so that a large request yields and respects the
/// fuel limit.
const RANDOM_CHUNK: u32 = 256 << 10;

/// Units of fuel for one byte of randomness: the kernel takes about as long for it as a guest for
/// 10 operations.
const RANDOM_FUEL: u64 = 10;

pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.func_wrap(WASI_MODULE, "clock_time_get", clock_time_get)?;
    linker.func_wrap_async(WASI_MODULE, "random_get", |mut caller, (ptr, len): (u32, u32)| {
        Box::new(async move { random_get(&mut caller, ptr, len).await })
    })?;
    linker.func_wrap_async(
        WASI_MODULE,
        "fd_read",
        |mut caller, (fd, vectors, count, out): (u32, u32, u32, u32)| {
            Box::new(
                async move { fd_read(&mut caller, fd, Vectors { ptr: vectors, count }, out).await },
            )
        },
    )?;
    linker.func_wrap_async(
        WASI_MODULE,
        "fd_write",
        |mut caller, (fd, vectors, count, out): (u32, u32, u32, u32)| {
            Box::new(async move {
                fd_write(&mut caller, fd, Vectors { ptr: vectors, count }, out).await
            })
        },
    )?;
    linker.func_wrap_async(
        WASI_MODULE,
        "poll_oneoff",
        |mut caller, (subs, events, count, out): (u32, u32, u32, u32)| {
            Box::new(async move { poll_oneoff(&mut caller, subs, events, count, out).await })
        },
    )?;
    linker.func_wrap(WASI_MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(ProcExit(code).into())
    })?;
    Ok(())
}

fn clock_time_get(mut caller: Caller<'_, GuestState>, id: u32, _precision: u64, out: u32) -> Errno {
    let Some(now) = now(caller.data_mut(), id) else { return Ok(errno::INVAL) };
    put_u64(&mut caller, out, u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))?;
    Ok(errno::SUCCESS)
}

/// Returns the time of a `clockid`: 0 is the wall clock; 1 to 3 are monotonic, process and thread
/// time.
fn now(state: &mut GuestState, id: u32) -> Option<Duration> {
    match id {
        0 => Some(state.clock.wall()),
        1..=3 => Some(state.clock.monotonic()),
        _ => None,
    }
}

async fn random_get(caller: &mut Caller<'_, GuestState>, ptr: u32, len: u32) -> Errno {
    let mut done = 0;
    while done < len {
        let chunk = (len - done).min(RANDOM_CHUNK);
        charge(caller, u64::from(chunk) * RANDOM_FUEL).await?;
        let (bytes, state) = memory(caller, ptr.checked_add(done).ok_or(BadAddress)?, chunk)?;
        if state.random.fill(bytes).is_err() {
            return Ok(errno::IO);
        }
        done += chunk;
    }
    Ok(errno::SUCCESS)
}

/// An array of `iovec` in the guest's memory: address and length of each buffer, 4 bytes both.
#[derive(Clone, Copy)]
struct Vectors {
    ptr: u32,
    count: u32,
}

impl Vectors {
    fn get(
        self,
        caller: &mut Caller<'_, GuestState>,
        index: u32,
    ) -> Result<(u32, u32), BadAddress> {
        let ptr = self.ptr.checked_add(index * 8).ok_or(BadAddress)?;
        let (bytes, _) = memory(caller, ptr, 8)?;
        Ok((u32::from_le_bytes(array(bytes, 0)), u32::from_le_bytes(array(bytes, 4))))
    }
}

async fn fd_read(
    caller: &mut Caller<'_, GuestState>,
    fd: u32,
    vectors: Vectors,
    out: u32,
) -> Errno {
    if fd != 0 {
        return Ok(errno::BADF);
    }
    if vectors.count > MAX_VECTORS {
        return Ok(errno::INVAL);
    }
    let mut total = 0;
    for index in 0..vectors.count {
        let (ptr, len) = vectors.get(caller, index)?;
        let (buffer, state) = memory(caller, ptr, len)?;
        let chunk =
            state.input.split_to(buffer.len().min(state.input.len()).min(MAX_TRANSFER - total));
        buffer[..chunk.len()].copy_from_slice(&chunk);
        total += chunk.len();
        if state.input.is_empty() {
            // An empty `Bytes` still keeps its whole buffer alive.
            state.input = Bytes::new();
        }
        if chunk.len() < len as usize {
            break;
        }
    }
    finish(caller, vectors.count, total, out).await
}

async fn fd_write(
    caller: &mut Caller<'_, GuestState>,
    fd: u32,
    vectors: Vectors,
    out: u32,
) -> Errno {
    if fd != 1 && fd != 2 {
        return Ok(errno::BADF);
    }
    if vectors.count > MAX_VECTORS {
        return Ok(errno::INVAL);
    }
    let mut total = 0;
    for index in 0..vectors.count {
        let (ptr, len) = vectors.get(caller, index)?;
        let (bytes, state) = memory(caller, ptr, len)?;
        let chunk = &bytes[..bytes.len().min(MAX_TRANSFER - total)];
        if fd == 1 {
            state.write_stdout(chunk, len as usize)?
        } else {
            state.write_stderr(chunk)
        }
        total += chunk.len();
        if chunk.len() < len as usize {
            break;
        }
    }
    finish(caller, vectors.count, total, out).await
}

/// Charges for the buffers and bytes of a read or write, and writes the number of bytes to `out`.
async fn finish(
    caller: &mut Caller<'_, GuestState>,
    buffers: u32,
    total: usize,
    out: u32,
) -> Errno {
    put_u32(caller, out, u32::try_from(total).unwrap_or(u32::MAX))?;
    charge(caller, u64::from(buffers) * BUFFER_FUEL + total as u64).await?;
    Ok(errno::SUCCESS)
}

/// The fields of a `subscription` that are used. `source` is a clock's id or a stream's number,
/// which share their offset.
struct Subscription {
    userdata: u64,
    kind: u8,
    source: u32,
    timeout: u64,
    absolute: bool,
}

const SUBSCRIPTION_SIZE: u32 = 48;
const EVENT_SIZE: u32 = 32;
const KIND_CLOCK: u8 = 0;
const KIND_READ: u8 = 1;

impl Subscription {
    fn read(caller: &mut Caller<'_, GuestState>, ptr: u32) -> Result<Self, BadAddress> {
        let (bytes, _) = memory(caller, ptr, SUBSCRIPTION_SIZE)?;
        Ok(Self {
            userdata: u64::from_le_bytes(array(bytes, 0)),
            kind: bytes[8],
            source: u32::from_le_bytes(array(bytes, 16)),
            timeout: u64::from_le_bytes(array(bytes, 24)),
            absolute: u16::from_le_bytes(array(bytes, 40)) & 1 != 0,
        })
    }

    /// Returns the time until the subscription is due. A stream is always ready.
    fn wait(&self, state: &mut GuestState) -> Option<Duration> {
        if self.kind != KIND_CLOCK {
            return Some(Duration::ZERO);
        }
        let timeout = Duration::from_nanos(self.timeout);
        let now = now(state, self.source)?;
        Some(if self.absolute { timeout.saturating_sub(now) } else { timeout })
    }

    /// Returns the number of readable bytes of its stream.
    fn readable(&self, state: &GuestState) -> u64 {
        if (self.kind, self.source) == (KIND_READ, 0) { state.input.len() as u64 } else { 0 }
    }
}

/// Sleeps until the first subscription is due, and reports all that are.
async fn poll_oneoff(
    caller: &mut Caller<'_, GuestState>,
    subs: u32,
    events: u32,
    count: u32,
    out: u32,
) -> Errno {
    if count == 0 || count > MAX_VECTORS {
        return Ok(errno::INVAL);
    }
    charge(caller, u64::from(count) * u64::from(SUBSCRIPTION_SIZE)).await?;
    let mut waits = Vec::with_capacity(count as usize);
    for index in 0..count {
        let ptr = subs.checked_add(index * SUBSCRIPTION_SIZE).ok_or(BadAddress)?;
        let subscription = Subscription::read(caller, ptr)?;
        let Some(wait) = subscription.wait(caller.data_mut()) else {
            return Ok(errno::INVAL);
        };
        waits.push((wait, subscription));
    }
    let first = waits.iter().map(|(wait, _)| *wait).min().unwrap_or_default();
    if !first.is_zero() {
        caller.data_mut().clock.sleep(first).await;
    }
    let mut due = 0;
    for (_, subscription) in waits.iter().filter(|(wait, _)| *wait <= first) {
        let ptr = events.checked_add(due * EVENT_SIZE).ok_or(BadAddress)?;
        let (event, state) = memory(caller, ptr, EVENT_SIZE)?;
        event.fill(0);
        event[..8].copy_from_slice(&subscription.userdata.to_le_bytes());
        event[10] = subscription.kind;
        event[16..24].copy_from_slice(&subscription.readable(state).to_le_bytes());
        due += 1;
    }
    put_u32(caller, out, due)?;
    Ok(errno::SUCCESS)
}

/// Returns `N` bytes from `start`. Panics if the slice is too short: the callers have asked
/// `memory` for enough.
fn array<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[start..start + N]);
    out
}

fn put_u32(caller: &mut Caller<'_, GuestState>, ptr: u32, value: u32) -> Result<(), BadAddress> {
    memory(caller, ptr, 4)?.0.copy_from_slice(&value.to_le_bytes());
    Ok(())
}

fn put_u64(caller: &mut Caller<'_, GuestState>, ptr: u32, value: u64) -> Result<(), BadAddress> {
    memory(caller, ptr, 8)?.0.copy_from_slice(&value.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_standard_input_says_how_much_can_be_read() {
        let mut state = GuestState::idle();
        state.input = Bytes::from_static(b"12345");
        let readable = |kind, source| {
            Subscription { userdata: 0, kind, source, timeout: 0, absolute: false }.readable(&state)
        };
        assert_eq!(
            [(KIND_READ, 0), (KIND_READ, 1), (KIND_CLOCK, 0)]
                .map(|(kind, source)| readable(kind, source)),
            [5, 0, 0]
        );
    }
}
