//! Two programs written for std::net, and the same two on gopark. Of each pair only lines that begin with `use` differ,
//! which a test sees to: `tests/ported.rs`. What a program has to do besides is to start the runtime, in `main`.

pub mod file_server;
pub mod file_server_std;
pub mod key_value;
pub mod key_value_std;
