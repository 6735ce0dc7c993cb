//! What the rules of all architectures share: control flow, the abstract interpretation of values,
//! and the places that code may access.

pub(crate) mod arithmetic;
pub(crate) mod calls;
pub(crate) mod compare;
pub(crate) mod flow;
pub(crate) mod padding;
pub(crate) mod parallel;
pub(crate) mod place;
pub(crate) mod record;
pub(crate) mod solve;
pub(crate) mod stack;
pub(crate) mod state;
pub(crate) mod value;
pub(crate) mod world;
