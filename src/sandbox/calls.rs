//! The five host functions of the image. `call` waits for an answer. `start` begins a call, and
//! `wait` waits for the first completed one. `take` fetches an answer. `notify` has no answer.
//!
//! Only the host knows how long an answer is. So `call` and `wait` return its length, and the guest
//! allocates a buffer for `take`. Layouts and return values: wasm/ABI.md.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::task::JoinError;
use wasmtime::{Caller, Linker};

use super::{
    abi::{FORGET, HOST_MODULE, MAX_NAME, WAIT_IS_ENDLESS},
    host::{PendingAnswer, is_call_name},
    limits::Exceeded,
    offload::{self, BadParams},
    pending::{AnswerText, CompletedCall, answer_text, limit_answer, time_out, too_large},
    state::{GuestState, charge, consumed, memory},
    turns::yield_now,
};

/// Bytes of an answer or of parameters that are copied between two yields: less than a millisecond,
/// page faults included.
const PIECE: usize = 2 << 20;

/// A call that only a hostile or broken guest makes. It traps.
#[derive(Debug, thiserror::Error)]
enum Misuse {
    #[error("the guest took an answer of {asked} bytes where {waiting} were waiting")]
    Take { asked: u32, waiting: usize },
}

pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.func_wrap_async(HOST_MODULE, "call", |mut caller, args: (u32, u32, u32, u32)| {
        Box::new(async move { call(&mut caller, args).await })
    })?;
    linker.func_wrap_async(HOST_MODULE, "start", |mut caller, args: (u32, u32, u32, u32)| {
        Box::new(async move { start(&mut caller, args).await })
    })?;
    linker.func_wrap_async(HOST_MODULE, "wait", |mut caller, (seconds, number): (f64, u32)| {
        Box::new(async move { wait(&mut caller, seconds, number).await })
    })?;
    linker.func_wrap_async(HOST_MODULE, "take", |mut caller, (ptr, len): (u32, u32)| {
        Box::new(async move { take(&mut caller, ptr, len).await })
    })?;
    linker.func_wrap_async(HOST_MODULE, "notify", |mut caller, args: (u32, u32, u32, u32)| {
        Box::new(async move { notify(&mut caller, args).await })
    })?;
    Ok(())
}

/// Returns the answer's length, or for a failure `-1 - length` of its text.
async fn call(
    caller: &mut Caller<'_, GuestState>,
    args: (u32, u32, u32, u32),
) -> wasmtime::Result<i32> {
    let request = request(caller, args).await?;
    let answer = ask(caller.data(), request).await;
    let answer = limit_answer(answer_text(answer), caller.data().limits.call_bytes);
    offer(caller, answer).await
}

/// Returns the call's number. Any refusal comes through [`wait`] as the call's answer.
async fn start(
    caller: &mut Caller<'_, GuestState>,
    args: (u32, u32, u32, u32),
) -> wasmtime::Result<u32> {
    let request = request(caller, args).await?;
    let size = request.as_ref().map_or(0, |(_, params)| params.get().len() as u64);
    let state = caller.data_mut();
    let mut pending = std::mem::take(&mut state.pending);
    let number = pending.begin(size, &state.limits, || ask(state, request));
    state.pending = pending;
    Ok(number?)
}

/// Waits for the next completed call for at most `seconds` (negative or infinite: without limit),
/// and writes its number to the address `number`; 0 means none. Returns as [`call`] does, or
/// [`WAIT_IS_ENDLESS`].
///
/// A virtual clock advances by a wait that ends without an answer. An answer takes no virtual time,
/// because the host's speed would otherwise change what a deterministic task sees.
async fn wait(
    caller: &mut Caller<'_, GuestState>,
    seconds: f64,
    number: u32,
) -> wasmtime::Result<i32> {
    let time = Duration::try_from_secs_f64(seconds).ok();
    let completed = match time {
        None if caller.data().pending.is_empty() => None,
        None => Some(caller.data_mut().pending.next_completed().await?),
        Some(time) => completed_within(caller.data_mut(), time).await?,
    };
    let which = completed.as_ref().map_or(0, |completed| completed.number);
    memory(caller, number, 4)?.0.copy_from_slice(&which.to_le_bytes());
    match completed {
        Some(completed) => offer(caller, completed.answer).await,
        None if time.is_some() => Ok(0),
        None => Ok(WAIT_IS_ENDLESS),
    }
}

/// Returns the next completed call, if one completes within this time.
async fn completed_within(
    state: &mut GuestState,
    time: Duration,
) -> Result<Option<CompletedCall>, JoinError> {
    let GuestState { pending, clock, .. } = state;
    if !pending.is_empty() {
        // A guest that polls with a time of 0 must still give its calls a turn.
        tokio::task::yield_now().await;
        let completed = match time {
            Duration::ZERO => pending.next_completed().now_or_never(),
            _ => tokio::time::timeout(time, pending.next_completed()).await.ok(),
        };
        if completed.is_none() {
            clock.pass(time);
        }
        return completed.transpose();
    }
    if !time.is_zero() {
        clock.sleep(time).await;
    }
    Ok(None)
}

/// Sends a request to the host. Answers a refused request with its refusal.
fn ask(state: &GuestState, request: Request) -> PendingAnswer {
    match request {
        Ok((name, params)) => {
            time_out(state.limits.call_time, &name, state.host.call(&name, params))
        }
        Err(refused) => Box::pin(std::future::ready(Err(refused))),
    }
}

/// Keeps an answer for [`take`]; returns its length, or for a failure `-1 - length`.
async fn offer(
    caller: &mut Caller<'_, GuestState>,
    (ok, text): AnswerText,
) -> wasmtime::Result<i32> {
    charge(caller, text.len() as u64).await?;
    // `limit_answer` has checked that the length fits.
    let len = text.len() as i32;
    caller.data_mut().answer = Some(text);
    Ok(if ok { len } else { -1 - len })
}

/// Copies the last offered answer to `ptr`. `len` must be exactly its length.
async fn take(caller: &mut Caller<'_, GuestState>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    let answer = caller.data_mut().answer.take().unwrap_or_default();
    if answer.len() != len as usize {
        return Err(Misuse::Take { asked: len, waiting: answer.len() }.into());
    }
    for (index, piece) in answer.as_bytes().chunks(PIECE).enumerate() {
        if index > 0 {
            yield_now().await;
        }
        memory(caller, ptr, len)?.0[index * PIECE..][..piece.len()].copy_from_slice(piece);
    }
    Ok(())
}

/// Drops a notification that is not valid: no answer could carry the error.
async fn notify(
    caller: &mut Caller<'_, GuestState>,
    args: (u32, u32, u32, u32),
) -> wasmtime::Result<()> {
    let limit = caller.data().limits.call_bytes;
    if u64::from(args.3) > limit {
        return Err(Exceeded::CallBytes(limit).into());
    }
    if let Ok((name, params)) = request(caller, args).await? {
        if name == FORGET {
            if let Ok([number]) = serde_json::from_str::<[u32; 1]>(params.get()) {
                caller.data_mut().pending.forget(number);
                // The aborted call frees its parameters before the guest can begin another one.
                tokio::task::yield_now().await;
            }
            return Ok(());
        }
        let fuel = consumed(caller)?;
        let state = caller.data_mut();
        state.notified += params.get().len() as u64;
        if state.notified > state.limits.notified {
            return Err(Exceeded::Notified(state.limits.notified).into());
        }
        // Keeps the order of what the task shows.
        state.flush_stderr();
        state.host.notify_at(&name, params, fuel);
    }
    Ok(())
}

/// The name and parameters of a call, or the reason of its refusal.
type Request = Result<(String, Box<RawValue>), String>;

/// Counts, checks and copies a request out of the guest's memory.
async fn request(
    caller: &mut Caller<'_, GuestState>,
    (name_ptr, name_len, params_ptr, params_len): (u32, u32, u32, u32),
) -> wasmtime::Result<Request> {
    let state = caller.data_mut();
    if state.calls >= state.limits.calls {
        return Err(Exceeded::Calls(state.limits.calls).into());
    }
    state.calls += 1;
    if u64::from(params_len) > state.limits.call_bytes {
        return Ok(Err(too_large("The parameters of a host call are", state.limits.call_bytes)));
    }
    charge(caller, u64::from(params_len)).await?;
    if name_len as usize > MAX_NAME {
        return Ok(Err(format!("the name of a host call has at most {MAX_NAME} characters")));
    }
    let name = memory(caller, name_ptr, name_len)?.0.to_vec();
    let name = match String::from_utf8(name) {
        Ok(name) if is_call_name(&name) => name,
        _ => {
            let text = "the name of a host call is made of ASCII letters, digits, dots, dashes \
                        and underscores";
            return Ok(Err(text.into()));
        }
    };
    let params = copy(caller, params_ptr, params_len).await?;
    let params = offload::parse(params, offload::call_params).await;
    Ok(params
        .unwrap_or(Err(BadParams::NotJson))
        .map(|params| (name, params))
        .map_err(|error| error.to_string()))
}

/// Copies a range out of the guest's memory.
async fn copy(
    caller: &mut Caller<'_, GuestState>,
    ptr: u32,
    len: u32,
) -> wasmtime::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(memory(caller, ptr, len)?.0.len());
    while let rest = &memory(caller, ptr, len)?.0[bytes.len()..]
        && !rest.is_empty()
    {
        bytes.extend_from_slice(&rest[..rest.len().min(PIECE)]);
        if bytes.len() < len as usize {
            yield_now().await;
        }
    }
    Ok(bytes)
}
