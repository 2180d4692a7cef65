//! Measures what the live loop costs for each datagram: user and system time of its thread while it
//! echoes a flood. `cargo run --release -p strowger-engine --example udp_overhead [window]`
#![allow(clippy::print_stdout, missing_docs)]

use std::collections::VecDeque;
use std::net::UdpSocket;
use std::time::{Duration, Instant as Wall};

use base::{Deadline, Function, Input, Instant, Output, Service, Transport};
use engine::{FunctionSpec, Listener, Live, LiveConfig};

#[derive(Default)]
struct Echo(VecDeque<Output>);

impl Function for Echo {
    fn handle(&mut self, _: Instant, input: Input) {
        if let Input::Received { flow, message } = input {
            self.0.push_back(Output::Transmit { flow, message });
        }
    }
    fn poll(&mut self) -> Option<Output> {
        self.0.pop_front()
    }
    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

/// User and system clock ticks (10 ms) of the thread that calls it.
fn ticks() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("procfs is mounted");
    let rest = stat.rsplit(") ").next().expect("the command ends with a parenthesis");
    let words: Vec<u64> = rest.split(' ').map(|word| word.parse().unwrap_or(0)).collect();
    (words[11], words[12])
}

fn main() -> std::io::Result<()> {
    let window: usize = std::env::args().nth(1).and_then(|w| w.parse().ok()).unwrap_or(64);
    let mut live = Live::new(LiveConfig::default())?;
    let addr = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener { service: Service::Sip, transport: Transport::Udp, addr };
    let spec = FunctionSpec {
        name: "echo".into(),
        hosts: vec![],
        function: Box::<Echo>::default(),
        listeners: vec![listener],
        tables: &[],
    };
    live.add(spec).map_err(std::io::Error::other)?;
    let addr = live.listening()[0].1.addr;
    let handle = live.handle();
    let thread = std::thread::spawn(move || {
        live.run((), ()).expect("the loop runs");
        ticks()
    });
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(addr)?;
    client.set_read_timeout(Some(Duration::from_millis(100)))?;
    let (message, mut room) = ([b'x'; 1200], [0; 2000]);
    let (begin, mut answered) = (Wall::now(), 0u64);
    while begin.elapsed() < Duration::from_secs(5) {
        for _ in 0..window {
            client.send(&message)?;
        }
        for _ in 0..window {
            answered += u64::from(client.recv(&mut room).is_ok());
        }
    }
    handle.stop().map_err(std::io::Error::other)?;
    let (user, system) = thread.join().expect("the loop ended well");
    let each = |ticks: u64| ticks as f64 * 10_000.0 / answered as f64;
    println!(
        "window {window}: {answered} echoed, {:.0}/s; user {:.2} us, system {:.2} us each",
        answered as f64 / begin.elapsed().as_secs_f64(),
        each(user),
        each(system)
    );
    Ok(())
}
