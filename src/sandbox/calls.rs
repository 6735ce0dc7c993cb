//! The three host functions by which a guest asks and tells: `call`, `take` (the answer of the last call) and `tell`.
//!
//! A call is two steps because only the host knows how long the answer is: `call` waits and returns the length, `take`
//! copies the answer into a buffer that the guest has made for it.

use serde_json::value::RawValue;
use wasmtime::{Caller, Linker};

use super::{
    Exceeded, aside,
    state::{State, burnt, charge, memory},
};

const MODULE: &str = "host";

/// Bytes of the longest name of a call.
const MAX_NAME: usize = 64;

/// What the guest did that only hostile or broken code does.
#[derive(Debug, thiserror::Error)]
enum Misuse {
    #[error("the guest took an answer of {asked} bytes where {waiting} were waiting")]
    Take { asked: u32, waiting: usize },
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "call", |mut caller, args: (u32, u32, u32, u32)| {
        Box::new(async move { call(&mut caller, args).await })
    })?;
    linker.func_wrap(MODULE, "take", take)?;
    linker.func_wrap_async(MODULE, "tell", |mut caller, args: (u32, u32, u32, u32)| {
        Box::new(async move { tell(&mut caller, args).await })
    })?;
    Ok(())
}

/// Asks the host. Returns the answer's length, or for a failure `-1 - length` of its text.
async fn call(caller: &mut Caller<'_, State>, args: (u32, u32, u32, u32)) -> wasmtime::Result<i32> {
    let answer = match request(caller, args).await? {
        Ok((name, params)) => caller.data().host.call(&name, params).await,
        Err(refused) => Err(refused.into()),
    };
    let (ok, text) = match answer {
        Ok(value) => (true, String::from(Box::<str>::from(value))),
        Err(text) => (false, text),
    };
    let limit = caller.data().limits.call_bytes;
    let len = i32::try_from(text.len()).ok().filter(|_| text.len() as u64 <= limit);
    let len = len.ok_or(Exceeded::CallBytes(limit))?;
    charge(caller, text.len() as u64).await?;
    caller.data_mut().answer = Some(text);
    Ok(if ok { len } else { -1 - len })
}

/// Copies the waiting answer to `ptr`; `len` must be exactly its length.
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
    if let Ok((name, params)) = request(caller, args).await? {
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
type Request = Result<(String, Box<RawValue>), &'static str>;

/// Counts, checks and copies a request out of the guest's memory.
async fn request(caller: &mut Caller<'_, State>, (np, nl, pp, pl): (u32, u32, u32, u32)) -> wasmtime::Result<Request> {
    let state = caller.data_mut();
    if state.calls >= state.limits.calls {
        return Err(Exceeded::Calls(state.limits.calls).into());
    }
    state.calls += 1;
    if u64::from(pl) > state.limits.call_bytes {
        return Err(Exceeded::CallBytes(state.limits.call_bytes).into());
    }
    charge(caller, u64::from(pl)).await?;
    if nl as usize > MAX_NAME {
        return Ok(Err("the name of a host call has at most 64 characters"));
    }
    let name = memory(caller, np, nl)?.0.to_vec();
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let name = match String::from_utf8(name) {
        Ok(name) if !name.is_empty() && name.bytes().all(|byte| is_name_byte(&byte)) => name,
        _ => {
            return Ok(Err("the name of a host call is made of ASCII letters, digits, dots, dashes and underscores"));
        }
    };
    let params = memory(caller, pp, pl)?.0.to_vec();
    let params = aside::parse(params, |params| RawValue::from_string(String::from_utf8(params).ok()?).ok()).await;
    Ok(params.flatten().map(|params| (name, params)).ok_or("the parameters of a host call are one JSON value"))
}
