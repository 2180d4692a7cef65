//! What a person sees of a demonstration: the ladder of the call, then one screen of results.

use std::fmt::Write;
use std::time::Duration;

use ladder::text::span;
use rtp::likeness::Verdict;

use super::{DOMAIN, Heard, Join, Outcome};

/// The call as a ladder; empty if there was no call.
pub fn ladder(outcome: &Outcome, width: usize, colour: bool) -> String {
    let correlation = ladder::Correlation::new(outcome.records.iter().cloned());
    let options = ladder::text::Options { width, colour, ..ladder::text::Options::default() };
    let call = correlation.calls().next();
    call.map_or_else(String::new, |call| ladder::text::render(&correlation.ladder(call), &options))
}

/// The results.
pub fn results(outcome: &Outcome) -> String {
    let mut out = String::new();
    let took = |time: Option<Duration>| time.map_or("-".to_owned(), span);
    let [alice, bob] = outcome.registration;
    let _ = writeln!(out, "  ready             {} after the start", span(outcome.ready));
    let _ = writeln!(out, "  registration      alice {}, bob {}", took(alice), took(bob));
    let _ = writeln!(out, "  post-dial delay   {}", took(outcome.post_dial_delay));
    let _ = writeln!(out, "  talk              {}", span(outcome.talk));
    let _ = writeln!(out);
    let _ = writeln!(out, "  leg             packets  lost  jitter    MOS   the words");
    let legs = ["bob → alice", "alice → bob"];
    for (leg, heard) in legs.iter().zip(&outcome.heard) {
        let _ = writeln!(out, "  {leg:<14}  {}", heard.as_ref().map_or("-".to_owned(), line));
    }
    let _ = writeln!(out);
    for (what, path) in &outcome.files {
        let _ = writeln!(out, "  {what:<16}  {}", path.display());
    }
    let _ = writeln!(out);
    if outcome.failures.is_empty() {
        let _ = writeln!(out, "  Everything is as it should be.");
    }
    for failure in &outcome.failures {
        let _ = writeln!(out, "  FAILED: {failure}");
    }
    out
}

/// How to join with a softphone, or with our own.
pub fn join(join: &Join) -> String {
    let Join { proxy, name, password, call } = join;
    format!(
        "
  The network goes on; end it with Ctrl-C. Join with any SIP phone:

    account         sip:{name}@{DOMAIN}
    password        {password}
    outbound proxy  sip:{proxy};lr  (UDP or TCP)
    call            tel:+{call} or sip:+{call}@{DOMAIN}: bob's phone answers and speaks

  With the phone of this program, in another terminal:

    strowger ue call tel:+{call} --user {name} --password {password} --domain {DOMAIN} \
--server {proxy} --expect bob

  For baresip, this line in ~/.baresip/accounts:

    <sip:{name}@{DOMAIN}>;auth_pass={password};outbound=\"sip:{proxy}\"
"
    )
}

fn line(heard: &Heard) -> String {
    let stats = &heard.stats;
    let mos = stats.mos.map_or("-".to_owned(), |mos| format!("{mos:.1}"));
    let words = match heard.likeness.verdict() {
        Verdict::Same => format!("heard, {:.0} % alike", heard.likeness.mean * 100.0),
        Verdict::Damaged => "damaged".to_owned(),
        Verdict::Other => "something else".to_owned(),
        Verdict::Silent => "silence".to_owned(),
    };
    let jitter = span(stats.jitter);
    format!("{:>7}  {:>4}  {jitter:<8}  {mos:<4}  {words}", stats.received, stats.lost)
}
