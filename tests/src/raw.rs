//! A phone that also sends what it is told to, byte for byte, from where it is registered.

use std::collections::VecDeque;

use base::machine::{Deadline, Function, Input, Order, Output};
use base::{Bytes, Flow, Instant, Service};
use ue::Ue;

/// An order: send these bytes to where the phone's own requests went last.
#[derive(Clone, Debug)]
pub struct Send(pub Bytes);

/// A phone with a second mouth.
pub struct Raw {
    ue: Ue,
    proxy: Option<Flow>,
    outputs: VecDeque<Output>,
}

impl Raw {
    /// A phone that has said nothing yet.
    pub fn new(ue: Ue) -> Raw {
        Raw { ue, proxy: None, outputs: VecDeque::new() }
    }
}

impl Function for Raw {
    fn handle(&mut self, now: Instant, input: Input) {
        let order = match input {
            Input::Order(order) => order,
            input => return self.ue.handle(now, input),
        };
        match order.0.downcast::<Send>() {
            Ok(send) => {
                let flow = self.proxy.expect("the phone has registered");
                self.outputs.push_back(Output::Transmit { flow, message: send.0 });
            }
            Err(order) => self.ue.handle(now, Input::Order(Order(order))),
        }
    }

    fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front().or_else(|| self.ue.poll());
        if let Some(Output::Transmit { flow, .. }) = &output
            && flow.service == Service::Sip
        {
            self.proxy = Some(*flow);
        }
        output
    }

    fn deadline(&self) -> Option<Deadline> {
        self.ue.deadline()
    }

    fn is_busy(&self) -> bool {
        self.ue.is_busy()
    }
}
