//! Going on with a call: its ports are opened, and the packet path is told what another one knew.

use base::log::{Event, Severity};
use base::relay::{Command as Path, Standing};
use base::time::Duration;
use base::{Bytes, Instant};
use ng::{Command, Request, Response};

use super::record;
use crate::call::{Call, Dialogue};
use crate::machine::{Asker, Media, Timer, Waiting, What};
use crate::recording;
use crate::requests::not_found;

/// How long a call's ports are tried: the address that they have may be on its way to this host.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing is tried after ports could not be opened.
const PAUSE: Duration = Duration::from_millis(50);
/// Calls whose ports are opened at a time.
const AT_A_TIME: usize = 64;

/// A call whose ports are being opened.
#[derive(Debug)]
pub(crate) struct Resuming {
    /// Until when that is tried.
    until: Instant,
    was_recorded: bool,
}

impl Media {
    /// Goes on with as many calls as can be at a time.
    pub(crate) fn resume_wanted(&mut self) {
        while self.takeover.resuming.len() < AT_A_TIME && self.takeover.pause <= self.now {
            let Some((call_id, until)) = self.takeover.wanted.pop_front() else { break };
            self.resume(&call_id, until);
        }
        if self.takeover.wanted.is_empty() && self.takeover.resuming.is_empty() {
            let (came, failed) = std::mem::take(&mut self.takeover.came);
            if came + failed > 0 {
                let mut text = format!("{came} calls that their relay left go on here");
                if failed > 0 {
                    text += &format!(
                        ", {failed} cannot: their ports are in use, or their address is not at this host (move it here, \
                         and the next request for such a call brings it)"
                    );
                }
                self.log(Severity::Warning, "media.takeover", text);
            }
        } else if self.takeover.pause > self.now {
            self.set_timer(self.takeover.pause, Timer::Resume);
        }
    }

    /// Opens the ports of a call that is elsewhere. Returns its number here.
    fn resume(&mut self, call_id: &str, until: Instant) -> Option<u64> {
        let record: Bytes = self.takeover.elsewhere.get(call_id).cloned()?;
        if self.by_id.contains_key(call_id) {
            return None;
        }
        let Some((mut call, was_recorded)) = record::read(&record) else {
            let text = format!("the record of {call_id} cannot be read: the call is lost");
            self.note(Event::new(Severity::Error, "media.record", text).call_id(call_id));
            self.takeover.elsewhere.remove(call_id);
            return None;
        };
        let number = self.number();
        call.signalled = self.now;
        for dialogue in call.all_mut() {
            dialogue.id = self.number();
        }
        for leg in call.legs_mut() {
            self.own(leg.port, number);
            let rtp = leg.opened.take();
            self.tell(Path::Open { port: leg.port, address: leg.local, rtp });
        }
        call.resuming = Some(Box::new(Resuming { until, was_recorded }));
        self.takeover.resuming.insert(number);
        self.by_id.insert(call_id.to_owned(), number);
        self.calls.insert(number, call);
        self.resumed(number);
        Some(number)
    }

    /// A port of a call is open. When all are, the packet path goes on where another one was.
    pub(crate) fn resumed(&mut self, number: u64) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        if call.resuming.is_none() || call.legs().any(|leg| leg.opened.is_none()) {
            return;
        }
        let Some(resuming) = call.resuming.take() else { return };
        let mut commands: Vec<Path> = call.all().flat_map(commands).collect();
        commands.extend(call.all_copies());
        let (call_id, deleting, answered) =
            (call.call_id.clone(), call.deleting, call.is_answered());
        commands.into_iter().for_each(|command| self.tell(command));
        self.takeover.elsewhere.remove(&call_id);
        self.takeover.resuming.remove(&number);
        self.takeover.came.0 += 1;
        self.totals.sessions += 1;
        self.arm_final(number);
        self.arm_idle(number);
        if answered {
            self.arm_listening(number);
        }
        if deleting {
            self.arm_delete(number, self.now);
        }
        if resuming.was_recorded {
            let request = Request::about(Command::Query, &call_id, "");
            // Where there is no folder for it, the log says so.
            let _ = self.record(number, &request, recording::Change::Start);
            let commands = self.calls.get_mut(&number).map(Call::record).unwrap_or_default();
            commands.into_iter().for_each(|command| self.tell(command));
        }
        self.changed(number);
        for (asker, request) in self.askers(number) {
            self.request(asker, request);
        }
        self.resume_wanted();
    }

    /// A port of a call cannot be opened: it stays where it is. It may be tried again.
    pub(crate) fn give_up(&mut self, number: u64, again: bool) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(resuming) = call.resuming.take() else { return };
        let askers = self.askers(number);
        let Some(call) = self.calls.remove(&number) else { return };
        self.by_id.remove(&call.call_id);
        call.legs().for_each(|leg| self.close_port(leg.port));
        self.takeover.resuming.remove(&number);
        if again && resuming.until > self.now {
            self.takeover.pause = self.now + PAUSE;
            self.takeover.wanted.push_back((call.call_id, resuming.until));
        } else if again {
            self.takeover.came.1 += 1;
        }
        for (asker, request) in askers {
            let relay = self.takeover.elsewhere.get(request.call_id.as_deref().unwrap_or_default());
            let response = match relay.and_then(|record| record::relay(record)) {
                Some(relay) => Response::error(format!(
                    "The call is with the relay {relay}, and its ports cannot be opened here: ask that relay, or move its \
                     address to this host"
                )),
                None => not_found(&request),
            };
            self.respond(asker, &response);
        }
        self.resume_wanted();
    }

    /// A request for a call that is elsewhere: this relay tries to go on with it. The request is given back if there is
    /// no such call.
    pub(crate) fn fetch(&mut self, asker: Asker, request: Request) -> Option<(Asker, Request)> {
        let call_id = request.call_id.as_deref().unwrap_or_default();
        let resuming = |number: &u64| self.takeover.resuming.contains(number);
        let number = match self.by_id.get(call_id).copied().filter(resuming) {
            Some(number) => Some(number),
            None if self.by_id.contains_key(call_id) => None,
            None => self.resume(call_id, self.now),
        };
        match number {
            // It may be here by now.
            Some(call) if self.takeover.resuming.contains(&call) => {
                self.wait(Waiting { asker, request, call, what: What::Resumed });
                None
            }
            _ => Some((asker, request)),
        }
    }

    /// Who waits for a call that is being resumed.
    fn askers(&mut self, number: u64) -> Vec<(Asker, Request)> {
        let all = self.take_waiting(|waiting| {
            waiting.call == number && matches!(waiting.what, What::Resumed)
        });
        all.into_iter().map(|waiting| (waiting.asker, waiting.request)).collect()
    }
}

/// What a packet path is told to go on with a dialogue: the keys first, so that nothing passes without.
fn commands(dialogue: &Dialogue) -> Vec<Path> {
    let told =
        |leg: &crate::call::Leg| [leg.protected(), leg.connected(), leg.gated(), leg.conversions()];
    let mut commands: Vec<Path> = dialogue.legs().flat_map(told).flatten().collect();
    for (a, b) in dialogue.joins() {
        for side in [a, b] {
            let leg = dialogue.legs().find(|leg| leg.port == side.port);
            let standing: Box<Standing> =
                leg.and_then(|leg| leg.standing.clone()).unwrap_or_default();
            commands.push(Path::Resume { side, standing });
        }
        commands.push(Path::Join { a, b });
    }
    commands
}
