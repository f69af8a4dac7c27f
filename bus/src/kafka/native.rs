//! What librdkafka can do and rdkafka has no safe function for: the only `unsafe` of the project.

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::bindings::{rd_kafka_brokers_add, rd_kafka_flush};
use rdkafka::client::{Client, ClientContext};

/// Tells the client of more brokers, in the form of `bootstrap.servers`.
pub(super) fn add_brokers<C: ClientContext>(client: &Client<C>, servers: &CStr) {
    // SAFETY: the client lives as long as its reference, the text as long as the call, which copies it.
    #[allow(unsafe_code)]
    unsafe {
        rd_kafka_brokers_add(client.native_ptr(), servers.as_ptr());
    }
}

/// Has a producer send at once what it would keep for `linger.ms`, until all its records are acknowledged or `limit` is
/// over. Somebody else has to poll meanwhile. rdkafka's own `flush` does not wait here: it takes the word back before the
/// client's threads have heard it.
pub(super) fn flush<C: ClientContext>(client: &Client<C>, limit: Duration) {
    // SAFETY: the client lives as long as its reference, and any thread may call this.
    #[allow(unsafe_code)]
    let _all_are_acknowledged = unsafe { rd_kafka_flush(client.native_ptr(), limit.as_millis() as i32) };
}
