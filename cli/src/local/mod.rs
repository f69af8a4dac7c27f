//! A run on this machine: topics on a bus, the runs' actor and the workers in this process. The same engine as in a
//! cluster; what is missing is Kubernetes.

mod adjust;
mod bus;
mod follow;
mod interrupt;
mod resource;
mod session;
mod topics;

pub(crate) use adjust::{check_failing, fail};
pub(crate) use bus::{KafkaAddress, connect};
pub(crate) use resource::finished;
pub(crate) use session::{Session, missing_kind, run};

use std::hash::{BuildHasher as _, Hasher as _};

use orch_core::id::RunUid;

/// A new uid in the form of a UUID of version 4 (RFC 9562). Not secret: it only has to be new.
pub(crate) fn new_uid() -> RunUid {
    // Each `RandomState` has keys of its own, drawn from the operating system.
    let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    let (high, low) = (random(), random());
    RunUid::new(&format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_uuids_and_new() {
        let (a, b) = (new_uid(), new_uid());
        assert_ne!(a, b);
        let lengths: Vec<usize> = a.as_str().split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(a.as_str().as_bytes()[14], b'4');
    }
}
