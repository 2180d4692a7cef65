//! In-memory wires: reliable, ordered, keeping message borders.

use std::collections::BTreeMap;

use base::{Endpoint, Flow, FlowId, Service, Transport, WireId};

use super::FunctionId;

/// The highest bit of the ids of wires, so that they differ from those of sockets.
const WIRE: u64 = 1 << 63;

/// All open wires of a shard. The ends of a wire have ids that differ in the lowest bit: the
/// opener's is even.
#[derive(Debug, Default)]
pub(crate) struct Wires {
    next: u64,
    open: BTreeMap<u64, Wire>,
}

#[derive(Debug)]
struct Wire {
    service: Service,
    ends: [FunctionId; 2],
    /// Whether the end has heard of the wire: the opener has from the start.
    seen: [bool; 2],
    /// Whether a refusal for the end is queued already.
    refused: [bool; 2],
}

impl Wires {
    /// Lays a wire and returns the opener's flow.
    pub(crate) fn open(&mut self, service: Service, opener: FunctionId, other: FunctionId) -> Flow {
        let number = self.next;
        self.next += 1;
        let wire =
            Wire { service, ends: [opener, other], seen: [true, false], refused: [false; 2] };
        let flow = wire.flow(number, 0);
        self.open.insert(number, wire);
        flow
    }

    /// The other end of `from`'s flow: its function and its flow. From here on it knows the wire.
    pub(crate) fn cross(&mut self, from: FunctionId, flow: FlowId) -> Option<(FunctionId, Flow)> {
        let (number, end) = parts(flow)?;
        let wire = self.open.get_mut(&number).filter(|wire| wire.ends[end] == from)?;
        wire.seen[1 - end] = true;
        Some((wire.ends[1 - end], wire.flow(number, 1 - end)))
    }

    /// Takes `from`'s end away; the other end, if it ever heard of the wire.
    pub(crate) fn close(
        &mut self,
        from: FunctionId,
        flow: FlowId,
    ) -> Option<Option<(FunctionId, Flow)>> {
        let (number, end) = parts(flow)?;
        self.open.get(&number).filter(|wire| wire.ends[end] == from)?;
        let wire = self.open.remove(&number)?;
        Some(wire.seen[1 - end].then(|| (wire.ends[1 - end], wire.flow(number, 1 - end))))
    }

    /// Takes all wires of a function away; the ends that others still hold.
    pub(crate) fn release(&mut self, function: FunctionId) -> Vec<(FunctionId, Flow)> {
        let mut left = Vec::new();
        self.open.retain(|number, wire| {
            let Some(end) = wire.ends.iter().position(|f| *f == function) else { return true };
            if wire.seen[1 - end] && wire.ends[1 - end] != function {
                left.push((wire.ends[1 - end], wire.flow(*number, 1 - end)));
            }
            false
        });
        left
    }

    /// Whether a refusal must be told to this end: not if one is queued already.
    pub(crate) fn refuse(&mut self, flow: FlowId) -> bool {
        let Some((number, end)) = parts(flow) else { return false };
        self.open
            .get_mut(&number)
            .is_some_and(|wire| !std::mem::replace(&mut wire.refused[end], true))
    }

    /// The refusal was heard.
    pub(crate) fn refusal_heard(&mut self, flow: FlowId) {
        if let Some((number, end)) = parts(flow)
            && let Some(wire) = self.open.get_mut(&number)
        {
            wire.refused[end] = false;
        }
    }
}

impl Wire {
    fn flow(&self, number: u64, end: usize) -> Flow {
        Flow {
            id: FlowId(WIRE | number << 1 | end as u64),
            service: self.service,
            transport: Transport::Wire,
            local: Endpoint::Wire(WireId(self.ends[end].0)),
            remote: Endpoint::Wire(WireId(self.ends[1 - end].0)),
            proved: false,
        }
    }
}

fn parts(flow: FlowId) -> Option<(u64, usize)> {
    (flow.0 & WIRE != 0).then_some(((flow.0 & !WIRE) >> 1, (flow.0 & 1) as usize))
}
