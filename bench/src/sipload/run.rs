//! The loop: starts units of work, answers what comes in, sends again what was not answered.
use bench::{hist::Hist, now_ns};
use std::collections::VecDeque;

use crate::message::{credentials, parse, reply, sdp, Msg};
use crate::net::Net;
use crate::phones::{Phones, Registration, Unit, Work};

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    Free,
    First,   // first request sent
    Proceed, // INVITE answered with 1xx: no more retransmission
    Second,  // REGISTER with credentials sent
    Holding, // call is up
    Bye,     // BYE sent
}

struct Slot {
    stage: Stage,
    unit: Unit,
    started: u64,
    sent_at: u64,
    tries: u32,
    last: Vec<u8>,
    ack: Vec<u8>,
    bye: Vec<u8>,
}

#[derive(Default)]
pub struct Outcome {
    pub done: u64,
    pub failed: u64,
    pub retrans: u64,
    pub stray: u64,
    pub bad_status: u64,
    pub wall_ns: u64,
    pub peak_per_s: u64,
    pub first: Hist, // time to the final answer of the first transaction (call: INVITE to 200)
    pub total: Hist,
    pub bye: Hist,
    pub peak_in_flight: usize,
}

pub struct Limits {
    pub count: u64,
    pub window: usize,
    /// Phones that take turns.
    pub phones: usize,
    pub rate: f64,
    pub seconds: u64,
    pub hold_ns: u64,
    /// Distinguishes this run's Call-IDs.
    pub run: u64,
}

struct Run<'a> {
    net: &'a mut Net,
    phones: &'a mut Phones,
    work: Work,
    hold_ns: u64,
    run: u64,
    slots: Vec<Slot>,
    free: Vec<usize>,
    holding: VecDeque<(u64, usize, u32)>,
    out: Outcome,
}

pub fn run(net: &mut Net, phones: &mut Phones, work: Work, l: &Limits) -> Outcome {
    let slot = |slot| Slot {
        stage: Stage::Free,
        unit: Unit { slot, gen: 0, run: l.run, phone: 0 },
        started: 0,
        sent_at: 0,
        tries: 0,
        last: Vec::new(),
        ack: Vec::new(),
        bye: Vec::new(),
    };
    let mut r = Run {
        net,
        phones,
        work,
        hold_ns: l.hold_ns,
        run: l.run,
        slots: (0..l.window).map(slot).collect(),
        free: (0..l.window).rev().collect(),
        holding: VecDeque::new(),
        out: Outcome::default(),
    };
    let t0 = now_ns();
    let mut launched = 0u64;
    let (mut sec_start, mut sec_done) = (t0, 0u64);
    let mut last_scan = t0;
    let mut inbox = Vec::new();
    loop {
        let now = now_ns();
        let elapsed = now - t0;
        let allowed =
            if l.rate > 0.0 { (elapsed as f64 * 1e-9 * l.rate) as u64 + 1 } else { u64::MAX };
        let open = elapsed < l.seconds * SECOND;
        while open && launched < l.count && launched < allowed {
            let Some(i) = r.free.pop() else { break };
            r.launch(i, launched as usize % l.phones, now);
            launched += 1;
        }
        let in_flight = l.window - r.free.len();
        r.out.peak_in_flight = r.out.peak_in_flight.max(in_flight);
        if in_flight == 0 && (launched >= l.count || !open) {
            break;
        }
        r.hang_up(now);
        r.net.flush();
        r.net.receive(if l.rate > 0.0 || l.hold_ns > 0 { 1 } else { 20 }, &mut inbox);
        for (end, raw) in inbox.drain(..) {
            match parse(&raw) {
                Some(m) if m.status == 0 => r.called(end, &m),
                Some(m) => r.answered(&m, &raw),
                None => r.out.stray += 1,
            }
        }
        if now - sec_start >= SECOND {
            let per_s = (r.out.done - sec_done) * SECOND / (now - sec_start);
            r.out.peak_per_s = r.out.peak_per_s.max(per_s);
            (sec_start, sec_done) = (now, r.out.done);
        }
        if now - last_scan > SECOND / 10 {
            last_scan = now;
            r.send_again(now);
        }
    }
    // The last ACKs and answers.
    r.net.flush();
    r.out.wall_ns = now_ns() - t0;
    r.out
}

impl Run<'_> {
    fn launch(&mut self, i: usize, phone: usize, now: u64) {
        let unit = &mut self.slots[i].unit;
        unit.gen += 1;
        unit.phone = phone;
        if self.work == Work::Churn {
            self.phones.rounds[phone] += 1;
        }
        let unit = &self.slots[i].unit;
        let msg = match self.work {
            Work::Options => self.phones.options(self.net, unit),
            Work::Register | Work::Churn => self.phones.register(self.net, unit, None),
            Work::Call => self.phones.invite(self.net, unit),
        };
        self.slots[i].started = now;
        self.send(i, msg, Stage::First);
    }

    /// Sends a request and waits for its answer.
    fn send(&mut self, i: usize, msg: Vec<u8>, stage: Stage) {
        let s = &mut self.slots[i];
        self.net.send(self.phones.end(s.unit.phone), &msg);
        s.last = msg;
        s.stage = stage;
        s.sent_at = now_ns();
        s.tries = 0;
    }

    fn end(&mut self, i: usize, ok: bool) {
        self.slots[i].stage = Stage::Free;
        self.free.push(i);
        if ok {
            self.out.done += 1;
        } else {
            self.out.failed += 1;
        }
    }

    /// Calls whose talk time is over.
    fn hang_up(&mut self, now: u64) {
        while let Some(&(at, i, gen)) = self.holding.front() {
            if at > now {
                break;
            }
            self.holding.pop_front();
            if self.slots[i].unit.gen == gen && self.slots[i].stage == Stage::Holding {
                let bye = std::mem::take(&mut self.slots[i].bye);
                self.send(i, bye, Stage::Bye);
            }
        }
    }

    /// A request to a phone that is called.
    fn called(&mut self, end: usize, m: &Msg<'_>) {
        match m.method {
            "INVITE" => {
                let contact = format!("<{}>", m.uri);
                self.net.send(end, &reply(m, "180 Ringing", Some(&contact), ""));
                let answer = sdp(*self.net.addrs[end].ip(), 20002);
                self.net.send(end, &reply(m, "200 OK", Some(&contact), &answer));
            }
            "ACK" => {}
            _ => self.net.send(end, &reply(m, "200 OK", None, "")),
        }
    }

    /// A response. Its Call-ID is slot-generation-run@load.
    fn answered(&mut self, m: &Msg<'_>, raw: &[u8]) {
        let mut it = m.call_id.trim_end_matches("@load").splitn(3, '-');
        let mut number = || it.next().and_then(|x| x.parse::<u64>().ok()).unwrap_or(u64::MAX);
        let (i, gen, run) = (number() as usize, number(), number());
        if i >= self.slots.len() || u64::from(self.slots[i].unit.gen) != gen || run != self.run {
            self.out.stray += 1;
            return;
        }
        let now = now_ns();
        let s = &mut self.slots[i];
        let phone = s.unit.phone;
        match (s.stage, m.status) {
            (Stage::Free, _) => self.out.stray += 1,
            (Stage::First, 100..=199) if self.work == Work::Call => s.stage = Stage::Proceed,
            (Stage::First | Stage::Second | Stage::Proceed, 100..=199) => {}
            // A REGISTER that was sent again before its challenge came is challenged again.
            (Stage::Second, 401) if m.cseq.starts_with("1 ") => self.out.stray += 1,
            (Stage::First, 401) if self.work.registers() => {
                let uri = format!("sip:{}", self.phones.domain);
                let user = self.phones.name(phone);
                let password = &self.phones.password;
                let auth = credentials(m.challenge, &user, password, "REGISTER", &uri);
                let msg = self.phones.register(self.net, &s.unit, Some(&auth));
                self.send(i, msg, Stage::Second);
            }
            (Stage::First | Stage::Second, 200) if self.work != Work::Call => {
                self.out.first.add(now - s.sent_at);
                self.out.total.add(now - s.started);
                if self.work.registers() {
                    self.phones.registrations[phone] = Registration::learn(self.net, m);
                }
                self.end(i, true);
            }
            (Stage::First | Stage::Proceed, 200) if m.method == "INVITE" => {
                self.out.first.add(now - s.started);
                let ack = self.phones.in_dialog(self.net, &s.unit, m, "ACK", 1);
                let bye = self.phones.in_dialog(self.net, &s.unit, m, "BYE", 2);
                self.net.send(self.phones.end(phone), &ack);
                s.ack = ack;
                if self.hold_ns == 0 {
                    self.send(i, bye, Stage::Bye);
                } else {
                    s.bye = bye;
                    s.stage = Stage::Holding;
                    self.holding.push_back((now + self.hold_ns, i, s.unit.gen));
                }
            }
            (Stage::Holding | Stage::Bye, 100..=199) => {}
            (Stage::Holding | Stage::Bye, 200) if m.method == "INVITE" => {
                self.out.retrans += 1;
                self.net.send(self.phones.end(phone), &s.ack);
            }
            (Stage::Bye, 200) if m.method == "BYE" => {
                self.out.bye.add(now - s.sent_at);
                self.out.total.add(now - s.started);
                self.end(i, true);
            }
            (stage, status) => {
                if self.out.bad_status == 0 {
                    eprintln!("unexpected {status} at {stage:?}: {}", String::from_utf8_lossy(raw));
                }
                self.out.bad_status += 1;
                if status >= 300 {
                    self.end(i, false);
                }
            }
        }
    }

    /// Retransmission over UDP after 500 ms, doubling; given up after 8 s.
    fn send_again(&mut self, now: u64) {
        for i in 0..self.slots.len() {
            let s = &mut self.slots[i];
            let waiting = matches!(s.stage, Stage::First | Stage::Second | Stage::Bye);
            let age = now.saturating_sub(s.sent_at);
            if (waiting || s.stage == Stage::Proceed) && age > 8 * SECOND {
                if self.out.failed == 0 {
                    eprintln!("no answer: {}", String::from_utf8_lossy(&s.last));
                }
                self.end(i, false);
            } else if waiting && !self.net.tcp && age > SECOND / 2 * ((1 << (s.tries + 1)) - 1) {
                s.tries += 1;
                self.out.retrans += 1;
                self.net.send(self.phones.end(s.unit.phone), &s.last);
            }
        }
    }
}
