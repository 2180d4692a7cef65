//! `subscribe request`, `subscribe answer` and `unsubscribe`: somebody hears parties of a call without being one, such as a recorder
//! (SIPREC, RFC 7866) or a supervisor.
//!
//! A subscription is a dialogue of its own: its second party is the subscriber, its first one stands for those who are heard. Copies
//! of their packets enter at the ports that face it, and go the way of all packets from there: in another codec, protected, by ICE.

use std::net::IpAddr;

use base::relay::{Command as Path, PortId, Sound};
use ng::{Dict, Outcome, Request, Response, Value};
use sdp::Session;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Dialogue, Leg, Party, Who};
use crate::machine::{Asker, Media, Waiting, What};
use crate::requests::{UNKNOWN_CALL, description, missing};
use crate::rewrite::MAX_STREAMS;
use crate::words::normal;

const NOBODY: &str = "No monologues matched";

/// Somebody hears parties of a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) dialogue: Dialogue,
    /// Who is heard, one for each stream.
    publishers: Vec<Publisher>,
    answered: bool,
}

/// What one party says in one stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Publisher {
    tag: String,
    /// Which of the party's streams it is, from 1 on, and which of the call's.
    index: u64,
    label: u64,
    kind: String,
    port: PortId,
}

impl Subscription {
    /// Who hears.
    pub(crate) fn subscriber(&self) -> Option<&str> {
        self.dialogue.party(Who::B).tag.as_deref()
    }

    /// Who is heard.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        let tags = self.publishers.iter().map(|publisher| publisher.tag.as_str());
        tags.filter(move |tag| last.replace(*tag) != Some(*tag))
    }

    /// Whether it is this subscriber's.
    pub(crate) fn is(&self, to_tag: &str) -> bool {
        self.dialogue.party(Who::B).is(to_tag)
    }
}

impl Call {
    /// The subscription with this dialogue.
    pub(crate) fn subscription(&self, dialogue: u64) -> Option<&Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.dialogue.id == dialogue)
    }

    /// What everybody says whom a request names, with the leg that faces them.
    fn publishers(&self, request: &Request) -> Vec<(Publisher, &Leg)> {
        let listed = request.other.iter().filter(|(key, _)| normal(key) == "from-tags");
        let listed = listed.flat_map(|(_, list)| list.as_list()).filter_map(Value::as_str);
        let named: Vec<&str> = listed.chain(request.from_tag.as_deref()).collect();
        let all = has_flag(request, "all");
        let mut out = Vec::new();
        let streams = self.dialogues.iter().flat_map(|dialogue| {
            let streams = dialogue.streams.iter().enumerate();
            streams.filter_map(move |(index, stream)| Some((dialogue, index, stream.as_ref()?)))
        });
        let sides = streams.flat_map(|(dialogue, index, stream)| {
            [Who::A, Who::B]
                .map(|who| (dialogue.party(who), index, stream, &stream.legs[who as usize]))
        });
        for (label, (party, index, stream, leg)) in (0..).zip(sides) {
            let wanted = all || named.iter().any(|tag| party.is(tag));
            // The caller of several forks is heard once.
            let known = |(other, _): &(Publisher, &Leg)| {
                Some(&other.tag) == party.tag.as_ref() && other.index == index as u64 + 1
            };
            if let (true, Some(tag), false) = (wanted, party.tag.clone(), out.iter().any(known)) {
                let (kind, port) = (stream.kind.clone(), leg.port);
                out.push((Publisher { tag, index: index as u64 + 1, label, kind, port }, leg));
            }
        }
        out.truncate(MAX_STREAMS);
        // Each party's streams are together.
        out.sort_by(|(a, _), (b, _)| a.tag.cmp(&b.tag).then(a.label.cmp(&b.label)));
        out
    }

    /// Who gets copies now of what those say who are heard in a subscription.
    fn copies(&self, of: &Subscription) -> Vec<Path> {
        let copy = |port| {
            let answered = self.subscriptions.iter().filter(|subscription| subscription.answered);
            let to = answered.flat_map(|subscription| {
                let streams = subscription.publishers.iter().zip(&subscription.dialogue.streams);
                let its = streams.filter(move |(publisher, _)| publisher.port == port);
                its.filter_map(|(_, stream)| Some(stream.as_ref()?.legs[Who::A as usize].port))
            });
            Path::Copy { port, to: to.collect() }
        };
        of.publishers.iter().map(|publisher| copy(publisher.port)).collect()
    }

    /// The same of all subscriptions.
    pub(crate) fn all_copies(&self) -> Vec<Path> {
        self.subscriptions.iter().flat_map(|subscription| self.copies(subscription)).collect()
    }
}

impl Media {
    /// Somebody wants to hear: he is offered what those say whom he names.
    pub(crate) fn subscribe(&mut self, asker: Asker, mut request: Request) {
        match self.offer_subscription(&mut request) {
            Ok((call, dialogue, session)) => {
                let opened = self.open(&request, call, (dialogue, Who::A), &session);
                match opened {
                    Ok(fresh) => {
                        let session = Box::new(session);
                        let what = What::Ports { dialogue, who: Who::A, session, fresh };
                        self.wait(Waiting { asker, request, call, what });
                    }
                    Err(reason) => {
                        self.drop_if_empty(call, dialogue);
                        self.respond(asker, &Response::error(reason));
                    }
                }
            }
            Err(reason) => self.respond(asker, &Response::error(reason)),
        }
    }

    fn offer_subscription(
        &mut self,
        request: &mut Request,
    ) -> Result<(u64, u64, Session), &'static str> {
        let call_id = request.call_id.as_deref().ok_or("No call-id in message")?;
        let number = *self.by_id.get(call_id).ok_or(UNKNOWN_CALL)?;
        let id = self.number();
        let to_tag = match &request.to_tag {
            Some(tag) => tag.clone(),
            None => self.random.token::<16>().to_owned(),
        };
        self.end_subscription(number, &to_tag);
        let now = self.now;
        let call = self.calls.get_mut(&number).ok_or(UNKNOWN_CALL)?;
        let heard = call.publishers(request);
        let address = heard.first().map(|(_, leg)| leg.advertised).ok_or(NOBODY)?;
        let session = describe(id, address, &heard);
        let session = Session::parse(session.as_bytes()).map_err(|_| NOBODY)?;
        let publishers = heard.into_iter().map(|(publisher, _)| publisher).collect();
        let subscriber = Party { tag: Some(to_tag.clone()), ..Party::default() };
        let dialogue = Dialogue {
            id,
            created: now,
            via_branch: None,
            parties: [Party::default(), subscriber],
            streams: Vec::new(),
        };
        call.signalled = now;
        call.subscriptions.push(Subscription { dialogue, publishers, answered: false });
        request.to_tag = Some(to_tag);
        Ok((number, id, session))
    }

    /// The ports of a subscription are open: the offer goes to who asked.
    pub(crate) fn finish_subscription(
        &mut self,
        asker: Asker,
        request: &Request,
        (number, id): (u64, u64),
        mut session: Session,
    ) {
        let proposed = self.propose(request, number, (id, Who::A), &mut session);
        let found = self.calls.get(&number).and_then(|call| call.subscription(id));
        let (Some(mut response), Some(subscription)) = (proposed, found) else {
            return self.respond(asker, &Response::error(UNKNOWN_CALL));
        };
        let tags: Vec<&str> = subscription.tags().collect();
        if has_flag(request, "siprec") {
            response.other.push("tag-medias", tag_medias(&tags, &subscription.publishers));
            response.other.push("media-labels", media_labels(&subscription.publishers));
        }
        if let [tag] = tags[..] {
            response.other.push("from-tag", tag);
        }
        response
            .other
            .push("from-tags", tags.iter().map(|tag| Value::from(*tag)).collect::<Value>());
        response.other.push("to-tag", request.to_tag.as_deref().unwrap_or_default());
        self.respond(asker, &response);
    }

    /// The subscriber says where it is: from here on it hears.
    pub(crate) fn subscribe_answer(&mut self, request: &Request) -> Result<Response, &'static str> {
        let session = description(request)?;
        let call_id = request.call_id.as_deref().ok_or("No call-id in message")?;
        let to = request.to_tag.as_deref().ok_or("No to-tag in message")?;
        let number = *self.by_id.get(call_id).ok_or(UNKNOWN_CALL)?;
        let call = self.calls.get_mut(&number).ok_or(UNKNOWN_CALL)?;
        let found = call.subscriptions.iter_mut().find(|subscription| subscription.is(to));
        let subscription = found.ok_or("To-tag not found")?;
        subscription.answered = true;
        let id = subscription.dialogue.id;
        self.settle(request, number, (id, Who::B), session)?;
        let copies = self.calls.get(&number).and_then(|c| Some(c.copies(c.subscription(id)?)));
        copies.into_iter().flatten().for_each(|command| self.tell(command));
        Ok(Response::new(Outcome::Ok))
    }

    /// He hears no more.
    pub(crate) fn unsubscribe(&mut self, request: &Request) -> Response {
        let Some(call_id) = request.call_id.as_deref() else { return missing("call-id") };
        let Some(to) = request.to_tag.as_deref() else { return missing("to-tag") };
        let Some(number) = self.by_id.get(call_id).copied() else {
            return Response::error(UNKNOWN_CALL);
        };
        self.end_subscription(number, to);
        Response::new(Outcome::Ok)
    }

    fn end_subscription(&mut self, number: u64, to_tag: &str) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(at) = call.subscriptions.iter().position(|s| s.is(to_tag)) else { return };
        let gone = call.subscriptions.remove(at);
        let copies = call.copies(&gone);
        copies.into_iter().for_each(|command| self.tell(command));
        gone.dialogue.legs().for_each(|leg| self.close_port(leg.port));
        self.changed(number);
    }
}

fn has_flag(request: &Request, name: &str) -> bool {
    request.other_flags.iter().any(|flag| flag.eq_ignore_ascii_case(name))
}

/// An offer of what parties say: what they were told that they may send. The address is only a place for another one.
fn describe(id: u64, address: IpAddr, heard: &[(Publisher, &Leg)]) -> String {
    let kind = if address.is_ipv4() { "IP4" } else { "IP6" };
    let mut sdp = format!("v=0\r\no=- {id} 1 IN {kind} {address}\r\ns=-\r\nt=0 0\r\n");
    for (Publisher { kind: media, label, .. }, leg) in heard {
        let codecs = leg.listening.shown();
        let types: Vec<String> = codecs.iter().map(|c| c.payload_type.to_string()).collect();
        sdp += &format!(
            "m={media} 9 RTP/AVP {}\r\nc=IN {kind} {address}\r\na=label:{label}\r\n",
            types.join(" ")
        );
        for codec in codecs {
            let format = leg.sends.iter().find(|format| format.payload_type == codec.payload_type);
            let channels = match format.map(|format| format.sound) {
                Some(Sound::Speech(encoding)) if encoding.described_channels() > 1 => {
                    format!("/{}", encoding.described_channels())
                }
                _ => String::new(),
            };
            let (payload_type, name, rate) = (codec.payload_type, &codec.name, codec.rate);
            sdp += &format!("a=rtpmap:{payload_type} {name}/{rate}{channels}\r\n");
            if let Some(fmtp) = &codec.fmtp {
                sdp += &format!("a=fmtp:{payload_type} {fmtp}\r\n");
            }
        }
        sdp += "a=sendonly\r\n";
    }
    sdp
}

/// Who says what, for whoever writes it down (RFC 7865): by party, and by `a=label`.
fn tag_medias(tags: &[&str], publishers: &[Publisher]) -> Value {
    let medias = |tag: &str| {
        let its = publishers.iter().filter(|publisher| publisher.tag == tag);
        its.map(|p| Value::Dict(facts(p).with("label", p.label.to_string()))).collect::<Value>()
    };
    let party = |tag: &&str| Value::Dict(Dict::new().with("tag", *tag).with("medias", medias(tag)));
    tags.iter().map(party).collect()
}

fn media_labels(publishers: &[Publisher]) -> Dict {
    let mut labels = Dict::new();
    for publisher in publishers {
        let facts = facts(publisher).with("tag", publisher.tag.as_str());
        labels.push(publisher.label.to_string(), facts);
    }
    labels
}

fn facts(publisher: &Publisher) -> Dict {
    let Publisher { index, kind, .. } = publisher;
    Dict::new().with("index", *index).with("type", kind.as_str()).with("mode", "sendrecv")
}
