//! The lockdown of workers: system calls from inside real workers, what the log says of them, the
//! setting, and a load that the filter must not disturb.

#[cfg(target_arch = "x86_64")]
mod inside;
mod load;
mod setting;
