#![no_main]

libfuzzer_sys::fuzz_target!(init: verifier_fuzz_targets::quiet_caught_panics(), |data: &[u8]| {
    verifier_fuzz_targets::names(data);
});
