//! Which requests wait for an answer on which flow, so that the end of a flow is the business of these alone,
//! however many others there are: whoever has a phone whose port is closed can make flows end as often as he likes.

use std::collections::BTreeSet;

use base::slots::Slot;
use base::{Endpoint, Flow, FlowId};

/// Client transactions without a final response, by the flow that they were sent on.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeSet<(FlowId, Endpoint, Slot)>);

impl Waiting {
    pub(super) fn begins(&mut self, flow: &Flow, client: Slot) {
        self.0.insert((flow.id, flow.remote, client));
    }

    pub(super) fn ends(&mut self, flow: &Flow, client: Slot) {
        self.0.remove(&(flow.id, flow.remote, client));
    }

    /// All on this flow.
    pub(super) fn on(&self, flow: &Flow) -> Vec<Slot> {
        let end = |slot| (flow.id, flow.remote, slot);
        let all = end(Slot::from_bits(0))..=end(Slot::from_bits(u64::MAX));
        self.0.range(all).map(|(.., client)| *client).collect()
    }
}

#[cfg(test)]
mod tests {
    use base::flow::{FlowId, Service};
    use base::{Bytes, Flow, Instant, Output, Random, Transport};

    use super::super::client::Route;
    use super::super::{ClientId, Hop, Stack, StackConfig};
    use crate::header::HeaderName;
    use crate::message::Message;
    use crate::method::Method;

    fn flow(number: u64) -> Flow {
        let end = |port: u64| std::net::SocketAddr::from(([10, 0, 0, 1], port as u16)).into();
        Flow {
            id: FlowId(number / 2),
            service: Service::Sip,
            transport: Transport::Udp,
            local: end(5060),
            remote: end(6000 + number),
            proved: false,
        }
    }

    fn ask(stack: &mut Stack, now: Instant, method: &Method, flow: Flow) -> ClientId {
        let request = Message::request(method.clone(), "sip:b@10.0.0.2")
            .with(HeaderName::From, "<sip:a@x>;tag=1")
            .with(HeaderName::To, "<sip:b@x>")
            .with(HeaderName::CallId, "call")
            .with(HeaderName::CSeq, format!("1 {method}"))
            .with(HeaderName::MaxForwards, "70");
        stack.request(now, request, Hop::Flow(flow))
    }

    /// Those on each flow, found by looking at every transaction.
    fn all(stack: &Stack, flow: &Flow) -> Vec<ClientId> {
        let on_flow = |route: &Route| matches!(route, Route::Flow(on) if on == flow);
        let clients = stack.clients.iter().map(|(slot, client)| (ClientId(slot), client));
        clients
            .filter(|(id, client)| {
                let running = client.running.as_ref();
                stack.is_pending(*id) && running.is_some_and(|running| on_flow(&running.route))
            })
            .map(|(id, _)| id)
            .collect()
    }

    #[test]
    fn who_waits_is_known_whatever_happens() {
        for seed in 0..200 {
            let mut random = Random::from_u64(seed);
            let mut stack = Stack::new(StackConfig::default(), random.fork());
            let mut now = Instant::EPOCH;
            let mut sent: Vec<(Flow, Message)> = Vec::new();
            let mut asked = Vec::new();
            for _ in 0..60 {
                let on = flow(random.below(4));
                let one = random.below(sent.len().max(1) as u64) as usize;
                match random.below(7) {
                    0 => asked.push(ask(&mut stack, now, &Method::Invite, on)),
                    1 => asked.push(ask(&mut stack, now, &Method::Options, on)),
                    2 => stack.closed(now, on),
                    3 => {
                        for _ in 0..random.below(12) {
                            now = stack.deadline().map_or(now, |next| next.at);
                            stack.timeout(now);
                        }
                    }
                    4 if !asked.is_empty() => {
                        let one = random.below(asked.len() as u64) as usize;
                        stack.cancel(now, asked[one], None);
                    }
                    _ => {
                        let Some((flow, request)) = sent.get(one) else { continue };
                        let status = [100, 180, 200, 408, 486][random.below(5) as usize];
                        let mut answer = Message::answer(request, status);
                        answer.tag_to("2");
                        stack.received(now, *flow, answer.to_bytes());
                    }
                }
                while stack.poll_event().is_some() {}
                while let Some(output) = stack.poll_output() {
                    let Output::Transmit { flow, message } = output else { continue };
                    let parsed = Message::parse(Bytes::clone(&message));
                    sent.extend(parsed.ok().filter(Message::is_request).map(|m| (flow, m)));
                }
                for flow in (0..4).map(flow) {
                    let waiting: Vec<_> =
                        stack.waiting.on(&flow).into_iter().map(ClientId).collect();
                    assert_eq!(waiting, all(&stack, &flow), "seed {seed}");
                }
            }
            // An INVITE that rings has no timer.
            (0..4).map(flow).for_each(|flow| stack.closed(now, flow));
            assert!(stack.waiting.0.is_empty(), "seed {seed}");
        }
    }
}
