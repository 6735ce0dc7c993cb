//! The five host functions by which a guest asks and tells: `call` waits for an answer; `start` begins a call and `wait`
//! waits for the first of those in flight; `take` fetches the answer of either; `tell` expects none.
//!
//! An answer is two steps because only the host knows how long it is: `call` and `wait` return the length, `take` copies
//! the answer into a buffer that the guest has made for it.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::task::JoinError;
use wasmtime::{Caller, Linker};

use super::{
    Exceeded, PendingAnswer, aside,
    flight::{Landed, Text, fitting, refusal, text, within},
    state::{State, burnt, charge, memory},
};

const MODULE: &str = "host";

/// What the guest tells the sandbox itself: `[number]` of a call in flight whose answer it does not want any more.
const FORGET: &str = "sandbox.forget";

/// Bytes of the longest name of a call.
const MAX_NAME: usize = 64;

/// What `wait` returns where nothing is in flight and there is no end to the waiting.
const NOTHING_COMES: i32 = -1;

/// What the guest did that only hostile or broken code does.
#[derive(Debug, thiserror::Error)]
enum Misuse {
    #[error("the guest took an answer of {asked} bytes where {waiting} were waiting")]
    Take { asked: u32, waiting: usize },
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "call", |mut caller, args: (u32, u32, u32, u32)| {
        Box::new(async move { call(&mut caller, args).await })
    })?;
    linker.func_wrap_async(MODULE, "start", |mut caller, args: (u32, u32, u32, u32)| {
        Box::new(async move { start(&mut caller, args).await })
    })?;
    linker.func_wrap_async(MODULE, "wait", |mut caller, (seconds, number): (f64, u32)| {
        Box::new(async move { wait(&mut caller, seconds, number).await })
    })?;
    linker.func_wrap(MODULE, "take", take)?;
    linker.func_wrap_async(MODULE, "tell", |mut caller, args: (u32, u32, u32, u32)| {
        Box::new(async move { tell(&mut caller, args).await })
    })?;
    Ok(())
}

/// Asks the host. Returns the answer's length, or for a failure `-1 - length` of its text.
async fn call(caller: &mut Caller<'_, State>, args: (u32, u32, u32, u32)) -> wasmtime::Result<i32> {
    let request = request(caller, args).await?;
    let answer = ask(caller.data(), request).await;
    let answer = fitting(text(answer), caller.data().limits.call_bytes);
    hand_out(caller, answer).await
}

/// Begins a call; returns its number. Whatever becomes of it comes through [`wait`].
async fn start(
    caller: &mut Caller<'_, State>,
    args: (u32, u32, u32, u32),
) -> wasmtime::Result<u32> {
    let request = request(caller, args).await?;
    let size = request.as_ref().map_or(0, |(_, params)| params.get().len() as u64);
    let state = caller.data_mut();
    let mut flight = std::mem::take(&mut state.flight);
    let number = flight.begin(size, &state.limits, || ask(state, request));
    state.flight = flight;
    Ok(number?)
}

/// Waits for the first of the calls in flight that has its answer, but no longer than `seconds` (negative or infinite:
/// without limit), and puts its number at `number`: 0 where none had. Returns as [`call`] does; [`NOTHING_COMES`] with the
/// number 0 where waiting would never end.
///
/// Where the clock is virtual, the time that went by without an answer is added to it; an answer takes none.
async fn wait(caller: &mut Caller<'_, State>, seconds: f64, number: u32) -> wasmtime::Result<i32> {
    let time = Duration::try_from_secs_f64(seconds).ok();
    let landed = match time {
        None if caller.data().flight.is_empty() => None,
        None => Some(caller.data_mut().flight.landed().await?),
        Some(time) => land_within(caller.data_mut(), time).await?,
    };
    let which = landed.as_ref().map_or(0, |landed| landed.number);
    memory(caller, number, 4)?.0.copy_from_slice(&which.to_le_bytes());
    match landed {
        Some(landed) => hand_out(caller, landed.answer).await,
        None if time.is_some() => Ok(0),
        None => Ok(NOTHING_COMES),
    }
}

/// The first call that has its answer within this time.
async fn land_within(state: &mut State, time: Duration) -> Result<Option<Landed>, JoinError> {
    let State { flight, clock, .. } = state;
    if !flight.is_empty() {
        // A call that begins or ends just now gets its turn, also where the guest only looks.
        tokio::task::yield_now().await;
        let landed = match time {
            Duration::ZERO => flight.landed().now_or_never(),
            _ => tokio::time::timeout(time, flight.landed()).await.ok(),
        };
        if landed.is_none() {
            clock.pass(time);
        }
        return landed.transpose();
    }
    if !time.is_zero() {
        clock.sleep(time).await;
    }
    Ok(None)
}

/// Sends a request to the host. A refusal is an answer as well.
fn ask(state: &State, request: Request) -> PendingAnswer {
    match request {
        Ok((name, params)) => within(state.limits.call_time, &name, state.host.call(&name, params)),
        Err(refused) => Box::pin(std::future::ready(Err(refused))),
    }
}

/// Keeps an answer until the guest takes it; returns its length, or for a failure `-1 - length`.
async fn hand_out(caller: &mut Caller<'_, State>, (ok, text): Text) -> wasmtime::Result<i32> {
    charge(caller, text.len() as u64).await?;
    // The length was checked.
    let len = text.len() as i32;
    caller.data_mut().answer = Some(text);
    Ok(if ok { len } else { -1 - len })
}

/// Copies the answer that was handed out last to `ptr`; `len` must be exactly its length.
fn take(mut caller: Caller<'_, State>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    let answer = caller.data_mut().answer.take().unwrap_or_default();
    if answer.len() != len as usize {
        return Err(Misuse::Take { asked: len, waiting: answer.len() }.into());
    }
    memory(&mut caller, ptr, len)?.0.copy_from_slice(answer.as_bytes());
    Ok(())
}

/// Tells the host. What the host cannot accept is dropped: nobody waits for an answer.
async fn tell(caller: &mut Caller<'_, State>, args: (u32, u32, u32, u32)) -> wasmtime::Result<()> {
    let limit = caller.data().limits.call_bytes;
    if u64::from(args.3) > limit {
        return Err(Exceeded::CallBytes(limit).into());
    }
    if let Ok((name, params)) = request(caller, args).await? {
        if name == FORGET {
            if let Ok([number]) = serde_json::from_str::<[u32; 1]>(params.get()) {
                caller.data_mut().flight.forget(number);
                // What the call held is let go before anything else begins.
                tokio::task::yield_now().await;
            }
            return Ok(());
        }
        let fuel = burnt(caller)?;
        let state = caller.data_mut();
        state.told += params.get().len() as u64;
        if state.told > state.limits.told {
            return Err(Exceeded::Told(state.limits.told).into());
        }
        state.host.tell_at(&name, params, fuel);
    }
    Ok(())
}

/// A checked request, or why it is refused.
type Request = Result<(String, Box<RawValue>), String>;

/// Counts, checks and copies a request out of the guest's memory.
async fn request(
    caller: &mut Caller<'_, State>,
    (np, nl, pp, pl): (u32, u32, u32, u32),
) -> wasmtime::Result<Request> {
    let state = caller.data_mut();
    if state.calls >= state.limits.calls {
        return Err(Exceeded::Calls(state.limits.calls).into());
    }
    state.calls += 1;
    if u64::from(pl) > state.limits.call_bytes {
        return Ok(Err(refusal("The parameters of a host call are", state.limits.call_bytes)));
    }
    charge(caller, u64::from(pl)).await?;
    if nl as usize > MAX_NAME {
        return Ok(Err("the name of a host call has at most 64 characters".into()));
    }
    let name = memory(caller, np, nl)?.0.to_vec();
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let name = match String::from_utf8(name) {
        Ok(name) if !name.is_empty() && name.bytes().all(|byte| is_name_byte(&byte)) => name,
        _ => {
            return Ok(Err(
                "the name of a host call is made of ASCII letters, digits, dots, dashes and underscores".into()
            ));
        }
    };
    let params = memory(caller, pp, pl)?.0.to_vec();
    let params =
        aside::parse(params, |params| RawValue::from_string(String::from_utf8(params).ok()?).ok())
            .await;
    Ok(params
        .flatten()
        .map(|params| (name, params))
        .ok_or("the parameters of a host call are one JSON value".into()))
}
