//! The demonstration proves its call, and notices when something is not as it should be.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use base::machine::Function;
use base::{Bytes, Deadline, Input, Instant, Output, Service};
use strowger::demo::{Alter, Demo, Outcome};
use strowger::plan::Role;

fn run(name: &str, change: impl FnOnce(&mut Demo)) -> Outcome {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut demo = Demo::new(out);
    change(&mut demo);
    demo.run().expect("the network starts")
}

/// Changes what one function, or phone, hears or says.
struct Tampered<I, O> {
    inner: Box<dyn Function>,
    input: I,
    output: O,
}

impl<I, O> Function for Tampered<I, O>
where
    I: FnMut(Input) -> Vec<Input> + Send,
    O: FnMut(&mut Output) + Send,
{
    fn handle(&mut self, now: Instant, input: Input) {
        for input in (self.input)(input) {
            self.inner.handle(now, input);
        }
    }

    fn poll(&mut self) -> Option<Output> {
        let mut output = self.inner.poll()?;
        (self.output)(&mut output);
        Some(output)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.inner.deadline()
    }
}

fn tamper<I, O>(name: &'static str, input: I, output: O) -> Option<Alter>
where
    I: FnMut(Input) -> Vec<Input> + Send + Clone + 'static,
    O: FnMut(&mut Output) + Send + Clone + 'static,
{
    Some(Box::new(move |mut spec| {
        if spec.name == name {
            let (input, output) = (input.clone(), output.clone());
            spec.function = Box::new(Tampered { inner: spec.function, input, output });
        }
        spec
    }))
}

#[test]
fn everything_is_as_it_should_be() {
    let outcome = run("good", |_| {});
    assert_eq!(outcome.failures, Vec::<String>::new());
    assert!(outcome.files.iter().all(|(_, path)| path.exists()));
    assert_eq!(outcome.files.len(), 4);
    let capture = std::fs::read(&outcome.files[2].1).expect("the capture");
    let text = String::from_utf8_lossy(&capture);
    assert!(text.contains("ck=\"xxxx") && text.contains("ik=\"xxxx"), "keys are masked");
    let ladder = strowger::demo::screen::ladder(&outcome, 120, false);
    for arrow in ["INVITE", "PRACK", "UPDATE", "Cx LIR", "NG offer", "NG answer", "BYE"] {
        assert!(ladder.contains(arrow), "{arrow} in\n{ladder}");
    }
}

#[test]
fn it_works_with_ipv6() {
    let outcome = run("ipv6", |demo| demo.address = [0, 0, 0, 0, 0, 0, 0, 1].into());
    assert_eq!(outcome.failures, Vec::<String>::new());
}

/// Somebody else is faster: the phone has another port.
#[test]
fn a_port_that_is_taken_meanwhile_is_no_failure() {
    let taken = Mutex::new(None);
    let outcome = run("taken", |demo| {
        demo.alter = Some(Box::new(move |spec| {
            if spec.name == "alice" {
                let take = || UdpSocket::bind(spec.listeners[0].addr).expect("a free port");
                taken.lock().expect("nobody panicked").get_or_insert_with(take);
            }
            spec
        }));
    });
    assert_eq!(outcome.failures, Vec::<String>::new());
}

/// As if the relay had exchanged the payloads of two packets that follow each other.
#[test]
fn two_swapped_payloads_are_noticed() {
    let mut count = 0;
    let mut held = None;
    let swap = move |input: Input| {
        let Input::Received { flow, message } = &input else { return vec![input] };
        if flow.service != Service::Rtp || message.len() != 172 {
            return vec![input];
        }
        count += 1;
        match (count, held.take()) {
            (60, _) => {
                held = Some(message.clone());
                vec![]
            }
            (_, Some(first)) => {
                let received = |head: &Bytes, payload: &Bytes| Input::Received {
                    flow: *flow,
                    message: [&head[..12], &payload[12..]].concat().into(),
                };
                vec![received(&first, message), received(message, &first)]
            }
            _ => vec![input],
        }
    };
    let outcome = run("swapped", |demo| demo.alter = tamper("bob", swap, |_: &mut Output| {}));
    assert!(outcome.failures.iter().any(|f| f.contains("bob did not hear")), "{outcome:?}");
}

#[test]
fn a_wrong_bit_in_res_is_noticed() {
    let flip = |output: &mut Output| {
        let Output::Transmit { message, .. } = output else { return };
        // XRES is SIP-Authorization (610) in a Multimedia-Auth-Answer; keys follow it.
        if let Some(range) = diameter::redact::secrets(message).into_iter().next() {
            let mut bytes = message.to_vec();
            bytes[range.start] ^= 1;
            *message = bytes.into();
        }
    };
    let outcome = run("res", |demo| demo.alter = tamper("hss", |input| vec![input], flip));
    assert!(outcome.failures.iter().any(|f| f.contains("not registered: 403")), "{outcome:?}");
}

#[test]
fn a_stopped_scscf_is_noticed() {
    let outcome = run("stopped", |demo| demo.stop = Some(Role::Scscf));
    assert!(outcome.failures.iter().any(|f| f.contains("not registered: 504")), "{outcome:?}");
}

/// What `--stay` prints is true: the command that it names calls Bob, who answers and speaks.
#[test]
fn a_third_phone_joins_as_it_is_told() {
    let program = env!("CARGO_BIN_EXE_strowger");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut demo = Command::new(program);
    demo.args(["demo", "--stay", "--out", "stay"]).current_dir(&folder);
    let mut demo = demo.stdout(Stdio::piped()).spawn().expect("the program runs");
    let said = BufReader::new(demo.stdout.take().expect("its output")).lines();
    let call = said.map_while(Result::ok).find_map(|line| {
        line.trim()
            .strip_prefix("strowger ")
            .filter(|call| call.starts_with("ue call"))
            .map(str::to_owned)
    });
    let carol = call.map(|call| {
        let play = || Command::new(program).args(call.split(' ')).output();
        let first = play()?;
        // Sound is real time: a machine that stood still for a moment damages it, and may have done so.
        if String::from_utf8_lossy(&first.stderr).contains("heard: damaged") {
            eprintln!("what was heard was damaged; a second attempt is made");
            return play();
        }
        Ok::<_, std::io::Error>(first)
    });
    demo.kill().expect("it still runs");
    demo.wait().expect("it ends");
    let carol = carol.expect("a command is printed").expect("the program runs");
    let heard = String::from_utf8_lossy(&carol.stdout);
    assert!(carol.status.success(), "{}", String::from_utf8_lossy(&carol.stderr));
    assert!(heard.contains("heard: same"), "{heard}");
}
