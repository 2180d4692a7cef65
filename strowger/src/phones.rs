//! One or hundreds of test phones that do one thing: register, call, answer, or send a text.
//!
//! `run` takes a [`Setup`], runs every phone as a [`ue::Ue`] in one live loop of its own, and gives
//! a [`Outcome`]: what each phone, call and text came to. `driver` decides what is done when;
//! [`outcome`] is what scripts and people read.

mod driver;
pub mod outcome;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use base::{Event, Instant, Report, Service, Severity, Transport};
use engine::net::ListenError;
use engine::net::tls::Tls;
use engine::shard::{Console, Crossing, Direction};
use engine::{FunctionId, FunctionSpec, Listener, Live, LiveConfig};
use ue::{Ue, UeConfig, UeReport};

use driver::Driver;
pub use outcome::Outcome;

/// How often another free port is asked for when somebody else was faster.
pub(crate) const TRIES: u32 = 16;

/// One phone and where it listens.
#[derive(Clone, Debug)]
pub struct Phone {
    /// The phone; `contact` is set when its port is known.
    pub config: UeConfig,
    /// Where it hears SIP; port 0 is any free one.
    pub listen: SocketAddr,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The phones, 65535 at most.
    pub phones: Vec<Phone>,
    /// Whether they register first.
    pub register: bool,
    /// What they do then.
    pub work: Work,
    /// How many phones begin in a second.
    pub rate: f64,
    /// Whom they believe, if they go over TLS.
    pub tls: Option<Tls>,
}

/// What the phones do once they are registered. Afterwards they deregister.
#[derive(Clone, Debug)]
pub enum Work {
    /// They stay registered for so long.
    Register(Duration),
    /// Each calls.
    Call {
        /// Whom, one for each phone.
        to: Vec<String>,
        /// How long an answer may take.
        patience: Duration,
        /// What happens in the call.
        talk: Talk,
    },
    /// They answer calls as their configuration says.
    Answer {
        /// All are done after so many calls; `None` goes on until they are told to stop.
        calls: Option<u64>,
        /// What happens in each call.
        talk: Talk,
    },
    /// Each sends a text.
    Message {
        /// To whom, one for each phone.
        to: Vec<String>,
        /// The text.
        text: String,
        /// As SMS over IP; otherwise as a SIP MESSAGE of its own.
        sms: Option<Sms>,
    },
}

/// How a text goes as SMS over IP.
#[derive(Clone, Debug)]
pub struct Sms {
    /// The service centre's number.
    pub centre: String,
    /// How long to wait for the status report; `None` asks for none.
    pub report: Option<Duration>,
}

/// What happens in a call from the answer on.
#[derive(Clone, Default, Debug)]
pub struct Talk {
    /// We hang up after so long; `None` leaves that to the other side.
    pub length: Option<Duration>,
    /// Digits, and when they are sent.
    pub digits: Option<(String, Duration)>,
    /// When the other side is put on hold, and for how long.
    pub hold: Option<(Duration, Duration)>,
    /// What must be heard: samples at 8 kHz.
    pub expect: Option<Vec<i16>>,
    /// The file that what is heard is written to; with several calls their number is appended.
    pub record: Option<PathBuf>,
}

/// Why phones cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum PhonesError {
    /// No socket for SIP.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system refuses something else.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
}

/// Tells running phones to hang up, to deregister and to end.
#[derive(Clone, Debug)]
pub struct Stop(Sender<News>);

impl Stop {
    /// Now. Phones that have ended already do not mind.
    pub fn stop(&self) {
        let _ = self.0.send(News::Stop);
    }
}

/// What the driver hears.
#[derive(Debug)]
enum News {
    Report(usize, Box<UeReport>),
    /// A phone of ours answered a challenge by a resynchronisation.
    Resynchronised(usize),
    Log(String, Event),
    Stop,
    Ended(std::io::Result<()>),
}

/// Phones that are about to run.
pub struct Phones {
    setup: Setup,
    live: Live,
    sender: Sender<News>,
    news: Receiver<News>,
}

impl Phones {
    /// Builds the phones and opens their listeners.
    ///
    /// # Errors
    /// The first listener that cannot be opened.
    pub fn build(setup: Setup) -> Result<Phones, PhonesError> {
        let framings = crate::framing::framings;
        let orders = 1024.max(4 * setup.phones.len());
        let tls = setup.tls.clone();
        let mut live = Live::new(LiveConfig { framings, orders, tls, ..LiveConfig::default() })?;
        for (number, phone) in setup.phones.iter().enumerate() {
            add(&mut live, number, phone)?;
        }
        let (sender, news) = channel();
        Ok(Phones { setup, live, sender, news })
    }

    /// Ends them from another thread.
    pub fn stop(&self) -> Stop {
        Stop(self.sender.clone())
    }

    /// Runs them until all is done. `progress` hears one line for each thing that happens.
    ///
    /// # Errors
    /// If the loop cannot run.
    pub fn run(self, progress: &mut dyn FnMut(&str)) -> Result<Outcome, PhonesError> {
        let Phones { setup, live, sender, news } = self;
        let handle = live.handle();
        let (tap, ended) = (sender.clone(), sender.clone());
        let watch = move |_: Instant, crossing: &Crossing<'_>| watch(&tap, crossing);
        let run = move || {
            let result = live.run(watch, Telling(sender));
            let _ = ended.send(News::Ended(result));
        };
        let thread = std::thread::Builder::new().name("shard".to_owned()).spawn(run)?;
        let result = Driver::new(&setup, &handle, progress).run(&news);
        let _ = handle.stop();
        let _ = thread.join();
        Ok(result?)
    }
}

/// Takes a phone in; a port that nobody named is looked for until it is ours.
fn add(live: &mut Live, number: usize, phone: &Phone) -> Result<(), PhonesError> {
    let mut tries = 0;
    loop {
        let mut at = phone.listen;
        if at.port() == 0 {
            // With the phone's address known to be wrong, the listener's own error is told.
            at = free_port(at.ip()).unwrap_or(at);
        }
        let mut config = phone.config.clone();
        config.contact = at.to_string();
        let listener = |transport| Listener { service: Service::Sip, transport, addr: at };
        let mut listeners = vec![listener(Transport::Udp)];
        if config.transport == Transport::Tcp {
            listeners.push(listener(Transport::Tcp));
        }
        let random = live.random();
        let spec = FunctionSpec {
            name: format!("phone-{number}"),
            hosts: Vec::new(),
            function: Box::new(Ue::new(config, random)),
            listeners,
            tables: &[],
        };
        match live.add(spec) {
            Err(ListenError::InUse { .. }) if phone.listen.port() == 0 && tries < TRIES => {
                tries += 1;
            }
            result => return Ok(result.map(drop)?),
        }
    }
}

/// A port that is free for UDP and TCP: until somebody else takes it.
pub(crate) fn free_port(address: IpAddr) -> std::io::Result<SocketAddr> {
    let mut last = None;
    for _ in 0..64 {
        let udp = UdpSocket::bind((address, 0))?;
        let at = udp.local_addr()?;
        match TcpListener::bind(at) {
            Ok(_) => return Ok(at),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("no port is free for UDP and TCP")))
}

/// AUTS in what a phone sends is a resynchronisation, RFC 3310 §3.4.
fn watch(news: &Sender<News>, crossing: &Crossing<'_>) {
    if crossing.service != Service::Sip || crossing.direction != Direction::Sent {
        return;
    }
    let auts = b"auts=\"";
    let number = crossing.from.name.and_then(|name| name.strip_prefix("phone-")?.parse().ok());
    if let Some(number) = number.filter(|_| crossing.bytes.windows(auts.len()).any(|w| w == auts)) {
        let _ = news.send(News::Resynchronised(number));
    }
}

/// Hands on what the phones say.
struct Telling(Sender<News>);

impl Console for Telling {
    fn log(&mut self, _: Instant, from: &str, event: Event) {
        // A failed registration is reported, too.
        if event.severity >= Severity::Warning && event.counter != "ue.registration_failed" {
            let _ = self.0.send(News::Log(from.to_owned(), event));
        }
    }

    fn report(&mut self, _: Instant, function: FunctionId, _: &str, report: Report) {
        // Phones are the only functions of this loop: their ids count them.
        if let Ok(report) = report.0.downcast::<UeReport>() {
            let _ = self.0.send(News::Report(usize::from(function.0), report));
        }
    }
}
