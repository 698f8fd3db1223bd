//! Messages from name servers; see `for_fuzz` in gopark-net.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gopark_net::for_fuzz::dns_message(data));
