//! Asks the functions of other processes in their own protocols: Diameter CER, SIP OPTIONS, NG ping.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use base::{Bytes, Service, Transport};
use diameter::dictionary::*;
use diameter::header::{Flags, Header};
use diameter::{Frame, ResultCode, frame};
use ng::{Command, Outcome, Request, Response};
use sip::framing::{Framed, frame as sip_frame};
use sip::{HeaderName, Method};

use crate::doctor::facts::{Answer, Cea, Peer, Who, word};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so long a datagram is sent again.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest answer that is read.
const LONGEST: usize = 1 << 16;
/// Questions that are under way at a time.
const AT_ONCE: usize = 64;

/// Whom to ask.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) who: Who,
    pub(super) transport: Transport,
    pub(super) addr: SocketAddr,
    pub(super) name: String,
    /// It is a listener of this process: not to be asked.
    pub(super) ours: bool,
    /// Who we are to a Diameter peer.
    pub(super) identities: Vec<String>,
    pub(super) domain: String,
}

/// Asks all of them at once. While a process runs that has our identities, Diameter peers are only
/// connected to: two connections of one identity would disturb it (RFC 6733 §5.6.4).
pub(super) fn ask(questions: Vec<Question>, running: bool) -> Vec<Peer> {
    let mut peers = Vec::new();
    let mut rest = questions.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(AT_ONCE));
        rest = later;
        let asked = thread::scope(|scope| {
            let asked: Vec<_> =
                now.iter().map(|question| scope.spawn(move || question.ask(running))).collect();
            asked.into_iter().filter_map(|asked| asked.join().ok()).collect::<Vec<_>>()
        });
        peers.extend(asked.into_iter().flatten());
    }
    peers
}

impl Question {
    fn ask(&self, running: bool) -> Vec<Peer> {
        if self.ours {
            return vec![self.peer(Answer::Ourselves, None)];
        }
        match self.service() {
            Service::Sip => vec![self.sip()],
            Service::Diameter => self.diameter(running),
            Service::Ng | Service::Rtp | Service::Resp | Service::Http | Service::Cli => {
                let answer = ping(self.addr).unwrap_or_else(|error| blame(&error));
                vec![self.peer(answer, None)]
            }
        }
    }

    fn service(&self) -> Service {
        match &self.who {
            Who::Function(role) => role.service(),
            Who::Server(_) => Service::Sip,
        }
    }

    fn peer(&self, answer: Answer, instead: Option<Transport>) -> Peer {
        let (who, name) = (self.who.clone(), self.name.clone());
        Peer { who, transport: self.transport, addr: self.addr, name, answer, instead }
    }

    /// Over the transport that is configured; if nobody answers, over the other one too.
    fn sip(&self) -> Peer {
        let over = |transport| {
            let asked = match transport {
                Transport::Tcp => self.options_tcp(),
                _ => self.options_udp(),
            };
            asked.unwrap_or_else(|error| blame(&error))
        };
        let other = match self.transport {
            Transport::Tcp => Transport::Udp,
            _ => Transport::Tcp,
        };
        let answer = over(self.transport);
        let nobody = matches!(answer, Answer::Silent | Answer::Refused | Answer::Closed);
        let instead = nobody && matches!(over(other), Answer::Well | Answer::Sip(_));
        self.peer(answer, instead.then_some(other))
    }

    fn options(&self, local: SocketAddr, transport: Transport) -> Bytes {
        let uri = match &self.who {
            Who::Function(_) => format!("sip:{}", self.name),
            Who::Server(uri) => uri.clone(),
        };
        // Unique for each question of each doctor.
        let nonce = format!("{}-{}-{}", std::process::id(), local.port(), word(transport));
        let protocol = word(transport).to_ascii_uppercase();
        sip::Message::request(Method::Options, uri.clone())
            .with(
                HeaderName::Via,
                format!("SIP/2.0/{protocol} {local};rport;branch=z9hG4bK-doctor-{nonce}"),
            )
            .with(HeaderName::MaxForwards, "70")
            .with(HeaderName::From, format!("<sip:doctor@{}>;tag={nonce}", self.domain))
            .with(HeaderName::To, format!("<{uri}>"))
            .with(HeaderName::CallId, format!("doctor-{nonce}"))
            .with(HeaderName::CSeq, "1 OPTIONS")
            .to_bytes()
    }

    fn options_udp(&self) -> io::Result<Answer> {
        let socket = datagrams(self.addr)?;
        let request = self.options(socket.local_addr()?, Transport::Udp);
        exchange(&socket, &request, |bytes| sip_answer(Bytes::copy_from_slice(bytes)))
    }

    fn options_tcp(&self) -> io::Result<Answer> {
        let mut stream = connect(self.addr)?;
        let request = self.options(stream.local_addr()?, Transport::Tcp);
        stream.write_all(&request)?;
        read(&mut stream, |bytes| match sip_frame(bytes) {
            Framed::Message(length) => sip_answer(Bytes::copy_from_slice(&bytes[..length])),
            Framed::Malformed => Some(gibberish(bytes)),
            Framed::Skip(_) | Framed::Incomplete => None,
        })
    }

    fn diameter(&self, running: bool) -> Vec<Peer> {
        if running || self.identities.is_empty() {
            let connected = connect(self.addr).map_or_else(|error| blame(&error), |_| Answer::Well);
            return vec![self.peer(connected, None)];
        }
        let ask = |identity: &String| {
            let answer = self.cer(identity).unwrap_or_else(|error| blame(&error));
            self.peer(answer, None)
        };
        let mut asked: Vec<Peer> = Vec::new();
        for peer in self.identities.iter().map(ask) {
            // What has nothing to do with who we are is told once.
            let personal = matches!(peer.answer, Answer::Cea(_));
            if !asked.iter().any(|other| same(&other.answer, &peer.answer)) {
                asked.push(peer);
            }
            if !personal {
                break;
            }
        }
        asked
    }

    fn cer(&self, identity: &str) -> io::Result<Answer> {
        let mut stream = connect(self.addr)?;
        let local = stream.local_addr()?.ip();
        let header = |command| Header {
            flags: Flags::REQUEST,
            command,
            application: 0,
            hop_by_hop: std::process::id(),
            end_to_end: std::process::id(),
        };
        let cx = diameter::cx::application(&[]);
        let vendor = cx.vendor.unwrap_or_default();
        let cer = diameter::Message::write(header(CMD_CAPABILITIES_EXCHANGE), |out| {
            out.utf8(ORIGIN_HOST, identity).utf8(ORIGIN_REALM, &self.domain);
            out.address(HOST_IP_ADDRESS, local).u32(VENDOR_ID, 0);
            out.utf8(PRODUCT_NAME, "Strowger").u32(SUPPORTED_VENDOR_ID, vendor);
            out.group(VENDOR_SPECIFIC_APPLICATION_ID, |group| {
                group.u32(VENDOR_ID, vendor).u32(AUTH_APPLICATION_ID, cx.id);
            });
        });
        stream.write_all(cer.bytes())?;
        let answer = read(&mut stream, |bytes| match frame(bytes) {
            Frame::Message(length) => {
                Some(cea(identity, cx.id, Bytes::copy_from_slice(&bytes[..length])))
            }
            Frame::Malformed => Some(gibberish(bytes)),
            Frame::Need(_) => None,
        });
        // A peer that is known says good-bye (RFC 6733 §5.4): the next one to come is ourselves.
        let dpr = diameter::Message::write(header(CMD_DISCONNECT_PEER), |out| {
            out.utf8(ORIGIN_HOST, identity).utf8(ORIGIN_REALM, &self.domain);
            out.u32(DISCONNECT_CAUSE, 0);
        });
        if matches!(answer, Ok(Answer::Cea(_))) && stream.write_all(dpr.bytes()).is_ok() {
            let _ = read(&mut stream, |bytes| match frame(bytes) {
                Frame::Need(_) => None,
                _ => Some(Answer::Well),
            });
        }
        answer
    }
}

fn same(a: &Answer, b: &Answer) -> bool {
    let (Answer::Cea(a), Answer::Cea(b)) = (a, b) else { return false };
    let mut a = a.clone();
    a.asked_as.clone_from(&b.asked_as);
    a == *b
}

fn cea(identity: &str, cx: u32, bytes: Bytes) -> Answer {
    let Ok(message) = diameter::Message::parse(bytes.clone()) else { return gibberish(&bytes) };
    if message.header().command != CMD_CAPABILITIES_EXCHANGE || message.header().is_request() {
        return gibberish(&bytes);
    }
    let is_id =
        |avp: &diameter::Avp<'_>| avp.is(AUTH_APPLICATION_ID) || avp.is(ACCT_APPLICATION_ID);
    let grouped = message.all(VENDOR_SPECIFIC_APPLICATION_ID).flat_map(|avp| avp.members());
    let ids = message.avps().chain(grouped).filter(is_id).filter_map(|avp| avp.u32().ok());
    let mut ids = ids.collect::<Vec<u32>>().into_iter();
    let refusal = match message.outcome() {
        Some(outcome) if outcome.is_success() => None,
        Some(outcome) => Some(outcome.to_string()),
        None => Some("without a result".to_owned()),
    };
    Answer::Cea(Cea {
        asked_as: identity.to_owned(),
        taken: message.outcome() == Some(ResultCode::ELECTION_LOST.into()),
        refusal,
        host: message.origin_host().unwrap_or_default().to_owned(),
        realm: message.origin_realm().unwrap_or_default().to_owned(),
        cx: ids.any(|id| id == cx || id == diameter::node::RELAY),
    })
}

/// The answer of a SIP message; `None` if it is a provisional one or a request.
fn sip_answer(bytes: Bytes) -> Option<Answer> {
    let Ok(message) = sip::Message::parse(bytes.clone()) else { return Some(gibberish(&bytes)) };
    match message.status() {
        0..200 => None,
        200..300 => Some(Answer::Well),
        status => Some(Answer::Sip(status)),
    }
}

fn ping(addr: SocketAddr) -> io::Result<Answer> {
    let socket = datagrams(addr)?;
    let cookie = format!("doctor-{}-{}", std::process::id(), socket.local_addr()?.port());
    let dict = Request::new(Command::Ping).to_dict();
    let request = ng::Message { cookie, encoding: ng::Encoding::Bencode, dict }.emit();
    exchange(&socket, &request, |bytes| {
        let Ok(message) = ng::Message::parse(bytes) else { return Some(gibberish(bytes)) };
        Some(match Response::from_dict(&message.dict) {
            Some(Response { outcome: Outcome::Pong, .. }) => Answer::Well,
            Some(response) => {
                let why = response.error_reason.map(|why| format!(" ({why})"));
                Answer::Ng(response.outcome.as_str().to_owned() + &why.unwrap_or_default())
            }
            None => Answer::Ng(message.dict.text("result").unwrap_or("no result").to_owned()),
        })
    })
}

fn datagrams(addr: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(addr)?;
    Ok(socket)
}

/// Sends a datagram until something comes that `meaning` understands.
fn exchange(
    socket: &UdpSocket,
    request: &[u8],
    meaning: impl Fn(&[u8]) -> Option<Answer>,
) -> io::Result<Answer> {
    let end = Instant::now() + PATIENCE;
    let mut buffer = vec![0; LONGEST];
    while Instant::now() < end {
        socket.send(request)?;
        let again = end.min(Instant::now() + AGAIN);
        while let Some(left) = left(again) {
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    if let Some(answer) = meaning(&buffer[..length]) {
                        return Ok(answer);
                    }
                }
                Err(error) if is_late(&error) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Answer::Silent)
}

fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads until `meaning` understands what has come.
fn read(stream: &mut TcpStream, meaning: impl Fn(&[u8]) -> Option<Answer>) -> io::Result<Answer> {
    let end = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Some(left) = left(end).filter(|_| all.len() < LONGEST) {
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) if all.is_empty() => return Ok(Answer::Closed),
            Ok(0) => return Ok(gibberish(&all)),
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) if is_late(&error) => break,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Answer::Closed),
            Err(error) => return Err(error),
        }
        if let Some(answer) = meaning(&all) {
            return Ok(answer);
        }
    }
    Ok(if all.is_empty() { Answer::Silent } else { gibberish(&all) })
}

fn left(end: Instant) -> Option<Duration> {
    Some(end.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// What an error says of the other end.
fn blame(error: &io::Error) -> Answer {
    match error.kind() {
        ErrorKind::ConnectionRefused => Answer::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Answer::Closed,
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Answer::Silent,
        _ => Answer::Unreachable(error.to_string()),
    }
}

/// The beginning of something foreign.
fn gibberish(bytes: &[u8]) -> Answer {
    let shown: String = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    Answer::Gibberish(shown.lines().next().unwrap_or_default().to_owned())
}
