//! Any text: a configuration is taken or refused with a pointer, never with a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strowger::config::Config;

fuzz_target!(|text: &str| {
    match Config::parse(text) {
        Ok(config) => drop(config.plan(None, &[])),
        Err(problems) => {
            for problem in problems {
                let _ = problem.show("strowger.toml", text);
            }
        }
    }
});
