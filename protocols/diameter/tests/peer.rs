//! The peer state machine against the table of RFC 6733 §5.6: one line of text for each line of it.

use base::{Endpoint, Flow, FlowId, Service, Transport, WireId};
use diameter::peer::{Event, State, wins_election};

fn flow(id: u64) -> Flow {
    Flow {
        id: FlowId(id),
        service: Service::Diameter,
        transport: Transport::Tcp,
        local: Endpoint::Wire(WireId(0)),
        remote: Endpoint::Wire(WireId(0)),
        proved: false,
    }
}

fn name(flow: Flow) -> &'static str {
    if flow.id.0 == 1 { "I" } else { "R" }
}

fn show(state: State) -> String {
    match state {
        State::Closed => "Closed".into(),
        State::WaitConnAck => "Wait-Conn-Ack".into(),
        State::WaitICea { .. } => "Wait-I-CEA".into(),
        State::WaitConnAckElect { .. } => "Wait-Conn-Ack/Elect".into(),
        State::WaitReturns { .. } => "Wait-Returns".into(),
        State::Open { flow } => format!("{}-Open", name(flow)),
        State::Closing { .. } => "Closing".into(),
    }
}

/// Runs a script of events and writes down what happens, one line each.
fn run(events: &[Event]) -> String {
    use diameter::peer::Action::*;
    let mut state = State::Closed;
    let mut wins = false;
    let mut lines = Vec::new();
    for event in events {
        if let Event::Cer { wins: w, .. } = event {
            wins = *w;
        }
        let (next, actions) = state.step(*event, wins);
        let actions: Vec<String> = actions
            .into_iter()
            .map(|action| match action {
                Connect => "I-Snd-Conn-Req".into(),
                Cancel => "Cleanup".into(),
                SendCer(flow) => format!("{}-Snd-CER", name(flow)),
                SendCea(flow) => format!("{}-Snd-CEA", name(flow)),
                Reject(flow) => format!("{}-Reject", name(flow)),
                Disconnect(flow) => format!("{}-Disc", name(flow)),
                SendDpr(flow) => format!("{}-Snd-DPR", name(flow)),
                SendDpa(flow) => format!("{}-Snd-DPA", name(flow)),
                Up(_) => "Up".into(),
                Down(_) => "Down".into(),
            })
            .collect();
        lines.push(format!("{} | {} | {}", show(state), actions.join(" "), show(next)));
        state = next;
    }
    lines.join("\n")
}

fn golden(events: &[Event], expected: &str) {
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(run(events), expected.join("\n"));
}

#[test]
fn initiator() {
    let i = flow(1);
    golden(
        &[
            Event::Start,
            Event::ConnAck(i),
            Event::Cea { flow: i, accepted: true },
            Event::Stop,
            Event::Dpa(i),
        ],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack | I-Snd-CER | Wait-I-CEA
         Wait-I-CEA | Up | I-Open
         I-Open | Down I-Snd-DPR | Closing
         Closing | I-Disc | Closed",
    );
}

#[test]
fn initiator_fails() {
    let i = flow(1);
    golden(
        &[
            Event::Start,
            Event::ConnNack,
            Event::Start,
            Event::ConnAck(i),
            Event::NonCea(i),
            Event::Start,
            Event::ConnAck(i),
            Event::Timeout,
            Event::Start,
            Event::ConnAck(i),
            Event::Disconnected(i),
        ],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack |  | Closed
         Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack | I-Snd-CER | Wait-I-CEA
         Wait-I-CEA | I-Disc | Closed
         Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack | I-Snd-CER | Wait-I-CEA
         Wait-I-CEA | I-Disc | Closed
         Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack | I-Snd-CER | Wait-I-CEA
         Wait-I-CEA |  | Closed",
    );
}

#[test]
fn responder() {
    let (r, other) = (flow(2), flow(3));
    golden(
        &[
            Event::Cer { flow: r, wins: false },
            Event::Cer { flow: other, wins: false },
            Event::Dpr(r),
            Event::Disconnected(r),
        ],
        "Closed | R-Snd-CEA Up | R-Open
         R-Open | R-Reject | R-Open
         R-Open | Down R-Snd-DPA | Closing
         Closing |  | Closed",
    );
}

#[test]
fn election_won() {
    let (i, r) = (flow(1), flow(2));
    golden(
        &[Event::Start, Event::ConnAck(i), Event::Cer { flow: r, wins: true }],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack | I-Snd-CER | Wait-I-CEA
         Wait-I-CEA | I-Disc R-Snd-CEA Up | R-Open",
    );
    golden(
        &[Event::Start, Event::Cer { flow: r, wins: true }, Event::ConnAck(i)],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack |  | Wait-Conn-Ack/Elect
         Wait-Conn-Ack/Elect | I-Disc R-Snd-CEA Up | R-Open",
    );
}

#[test]
fn election_lost() {
    let (i, r) = (flow(1), flow(2));
    golden(
        &[
            Event::Start,
            Event::Cer { flow: r, wins: false },
            Event::ConnAck(i),
            Event::Cea { flow: i, accepted: true },
        ],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack |  | Wait-Conn-Ack/Elect
         Wait-Conn-Ack/Elect | I-Snd-CER | Wait-Returns
         Wait-Returns | R-Disc Up | I-Open",
    );
    golden(
        &[
            Event::Start,
            Event::ConnAck(i),
            Event::Cer { flow: r, wins: false },
            Event::Disconnected(i),
        ],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack | I-Snd-CER | Wait-I-CEA
         Wait-I-CEA |  | Wait-Returns
         Wait-Returns | R-Snd-CEA Up | R-Open",
    );
}

#[test]
fn a_cer_on_the_own_connection_is_no_answer() {
    let (i, r) = (flow(1), flow(2));
    golden(
        &[Event::Start, Event::ConnAck(i), Event::Cer { flow: i, wins: true }],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack | I-Snd-CER | Wait-I-CEA
         Wait-I-CEA | I-Disc | Closed",
    );
    golden(
        &[
            Event::Start,
            Event::ConnAck(i),
            Event::Cer { flow: r, wins: false },
            Event::Cer { flow: i, wins: false },
        ],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack | I-Snd-CER | Wait-I-CEA
         Wait-I-CEA |  | Wait-Returns
         Wait-Returns | I-Disc R-Disc | Closed",
    );
}

#[test]
fn a_repeated_cer_changes_nothing_while_the_election_runs() {
    let (i, r) = (flow(1), flow(2));
    let cer = Event::Cer { flow: r, wins: false };
    golden(
        &[
            Event::Start,
            cer,
            cer,
            Event::ConnAck(i),
            cer,
            Event::Cea { flow: i, accepted: true },
            Event::Stop,
            Event::Cer { flow: i, wins: false },
        ],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack |  | Wait-Conn-Ack/Elect
         Wait-Conn-Ack/Elect |  | Wait-Conn-Ack/Elect
         Wait-Conn-Ack/Elect | I-Snd-CER | Wait-Returns
         Wait-Returns |  | Wait-Returns
         Wait-Returns | R-Disc Up | I-Open
         I-Open | Down I-Snd-DPR | Closing
         Closing |  | Closing",
    );
}

#[test]
fn a_new_wire_replaces_the_old_one() {
    let (old, new) = (flow(1), Flow { transport: Transport::Wire, ..flow(2) });
    golden(
        &[Event::Cer { flow: old, wins: false }, Event::Cer { flow: new, wins: false }],
        "Closed | I-Snd-CEA Up | I-Open
         I-Open | Down I-Disc R-Snd-CEA Up | R-Open",
    );
}

#[test]
fn the_peer_calls_while_we_cannot_reach_it() {
    let r = flow(2);
    golden(
        &[Event::Start, Event::Cer { flow: r, wins: false }, Event::ConnNack],
        "Closed | I-Snd-Conn-Req | Wait-Conn-Ack
         Wait-Conn-Ack |  | Wait-Conn-Ack/Elect
         Wait-Conn-Ack/Elect | R-Snd-CEA Up | R-Open",
    );
}

#[test]
fn elections_compare_octets() {
    assert!(wins_election("b.example", "a.example"));
    assert!(!wins_election("a.example", "a.example"));
    assert!(wins_election("ab", "a"));
}
