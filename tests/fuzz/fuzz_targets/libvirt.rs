#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| slash32_properties::libvirt(input));
