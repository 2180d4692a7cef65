//! What the system allows the process, and what it does to packets.

use crate::doctor::identifiers::{FILES_FEW, MEMORY_SMALL, RECEIVE_BUFFER_SMALL, SIP_HELPER};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

/// Files that are open before the first call: listeners, store, control socket, connections.
const BASIS: u64 = 64;
/// What the engine asks for each listener's receive buffer, in bytes.
const RECEIVE_BUFFER: u64 = 4 << 20;
/// The store's cache takes half of it.
const MEMORY: u64 = 128 << 20;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let machine = &facts.machine;
    let mut found = Vec::new();
    let ports = facts.plan.media_ports.len() as u64;
    let relayed = if facts.runs(Role::Media) { ports } else { 0 };
    // Half of the ports at a time is what a range is made for.
    let wanted = BASIS.saturating_mul(4).max(BASIS + relayed / 2);
    if let Some(files) = machine.files.filter(|files| *files < wanted) {
        let calls = files.saturating_sub(BASIS) / 4;
        let evidence = match relayed {
            0 => format!(
                "{files} files may be open at a time, as doctor was started: each TCP connection is one"
            ),
            _ => format!(
                "{files} files may be open at a time, as doctor was started: enough for {calls} calls, and the {ports} ports of \
                 the relay are for {}",
                ports / 4
            ),
        };
        let fix = format!(
            "`ulimit -n {0}` before the start, or LimitNOFILE={0} in the unit of systemd",
            BASIS * 4 + ports
        );
        found.push(FILES_FEW.found(evidence, fix));
    }
    if let Some(bytes) = machine.receive_buffer.filter(|bytes| *bytes < RECEIVE_BUFFER) {
        let evidence = format!(
            "a listener may buffer {bytes} bytes (net.core.rmem_max) and asks for {RECEIVE_BUFFER}: what \
             comes faster than it is read is lost and must be sent again"
        );
        let fix = format!("`sudo sysctl net.core.rmem_max={RECEIVE_BUFFER}`");
        found.push(RECEIVE_BUFFER_SMALL.found(evidence, fix));
    }
    if let Some(bytes) = machine.memory.filter(|bytes| *bytes < MEMORY) {
        let evidence = format!(
            "{} MiB of memory are allowed; the caches may grow to 64 MiB, and then the system may end the process",
            bytes >> 20
        );
        found.push(
            MEMORY_SMALL.found(evidence, "give the container or the unit 256 MiB (MemoryMax=256M)"),
        );
    }
    if !machine.sip_modules.is_empty() {
        let modules = machine.sip_modules.join(" ");
        let evidence = format!(
            "the kernel has loaded {modules}, which changes addresses inside SIP messages: calls without \
             voice, registrations that fail"
        );
        found.push(SIP_HELPER.found(evidence, format!("`sudo modprobe -r {modules}`")));
    }
    found
}
