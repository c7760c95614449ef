//! The differences between native targets and WebAssembly in a JavaScript host: tasks, timers, and parts of reqwest.
//!
//! Both modules have the same names. Those of `native` are tokio's and reqwest's own.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use self::native::*;
#[cfg(target_family = "wasm")]
pub(crate) use self::wasm::*;
