//! The answer to `query` and `delete`, with rtpengine's keys.

use std::net::{IpAddr, SocketAddr};

use base::Instant;
use base::relay::Counters;
use ng::{Dict, Value};

use crate::call::{Call, Dialogue, Leg, Stream, Who};

/// All that is known of a call.
pub(crate) fn statistics(call: &Call) -> Dict {
    let created = call.created.unix_micros();
    let mut tags = Dict::new();
    let mut sources = Dict::new();
    let mut totals = (Counters::default(), 0);
    for (tag, parts) in &parties(call) {
        let their = call.subscriptions.iter().filter(|s| s.tags().any(|heard| heard == tag));
        let hear = their.filter_map(|subscription| subscription.subscriber());
        tags.push(tag.as_str(), party(parts, &[], &hear.collect::<Vec<_>>()));
    }
    for subscription in &call.subscriptions {
        let heard: Vec<&str> = subscription.tags().collect();
        let parts = [(&subscription.dialogue, Who::B)];
        tags.push(subscription.subscriber().unwrap_or_default(), party(&parts, &heard, &[]));
    }
    for counters in call.legs().map(|leg| &leg.counters) {
        totals.0.packets += counters.packets;
        totals.0.bytes += counters.bytes;
        totals.0.errors += counters.errors;
        totals.1 += counters.rtcp;
        if let Some(ssrc) = counters.ssrc {
            sources.push(ssrc.to_string(), source(counters));
        }
    }
    let (rtp, rtcp) = totals;
    Dict::new()
        .with("created", created / 1_000_000)
        .with("created_us", created % 1_000_000)
        .with("last signal", call.signalled.unix_seconds())
        .with("SSRC", sources)
        .with("tags", tags)
        .with(
            "totals",
            Dict::new()
                .with("RTP", stats(rtp.packets, rtp.bytes, rtp.errors))
                .with("RTCP", stats(rtcp, 0, 0)),
        )
}

fn source(counters: &Counters) -> Dict {
    Dict::new()
        .with("packets", counters.packets)
        .with("bytes", counters.bytes)
        .with("cumulative loss", counters.lost)
        .with("jitter", counters.jitter.as_millis() as u64)
}

/// The parties by tag; a caller of several forks is one party. Who has no tag yet is counted.
fn parties(call: &Call) -> Vec<(String, Vec<(&Dialogue, Who)>)> {
    let mut out: Vec<(String, Vec<_>)> = Vec::new();
    let mut untagged = 0;
    for dialogue in &call.dialogues {
        for who in [Who::A, Who::B] {
            let tag = dialogue.party(who).tag.clone().unwrap_or_else(|| {
                untagged += 1;
                format!("<untagged {untagged}>")
            });
            match out.iter_mut().find(|(other, _)| *other == tag) {
                Some((_, parts)) => parts.push((dialogue, who)),
                None => out.push((tag, vec![(dialogue, who)])),
            }
        }
    }
    out
}

/// A party of a call, with those whom it hears and who hear it without being one.
fn party(parts: &[(&Dialogue, Who)], hears: &[&str], heard_by: &[&str]) -> Dict {
    let mut out = Dict::new();
    let Some((first, who)) = parts.first() else { return out };
    let own = first.party(*who);
    out.push("tag", own.tag.clone().unwrap_or_default());
    if let Some(label) = &own.label {
        out.push("label", label.as_str());
    }
    if let (Who::B, Some(branch)) = (who, &first.via_branch) {
        out.push("via-branch", branch.as_str());
    }
    out.push("created", first.created.unix_seconds());
    let other = |(dialogue, who): &(&Dialogue, Who)| {
        let tag = dialogue.party(who.other()).tag.clone().unwrap_or_default();
        Value::Dict(Dict::new().with("tag", tag).with("type", "offer/answer"))
    };
    let copied = |tag: &&str| Value::Dict(Dict::new().with("tag", *tag).with("type", "pub/sub"));
    for (key, copies) in [("subscriptions", hears), ("subscribers", heard_by)] {
        let others = parts.iter().filter(|_| hears.is_empty()).map(other);
        out.push(key, others.chain(copies.iter().map(copied)).collect::<Value>());
    }
    let medias = parts.iter().flat_map(|(dialogue, who)| {
        let streams = dialogue.streams.iter().enumerate();
        streams.filter_map(|(index, stream)| {
            Some(Value::Dict(media(index, stream.as_ref()?, *who, dialogue.created)))
        })
    });
    out.push("medias", medias.collect::<Value>());
    out
}

fn media(index: usize, stream: &Stream, who: Who, created: Instant) -> Dict {
    let leg = &stream.legs[who as usize];
    let usual = ["initialized", "send", "recv"];
    let flags = usual.into_iter().chain(leg.mux.then_some("rtcp-mux")).chain(leg.ways());
    Dict::new()
        .with("index", index as u64 + 1)
        .with("type", stream.kind.as_str())
        .with("protocol", stream.protocol.as_str())
        .with("streams", Value::from_iter([false, true].map(|rtcp| port(leg, rtcp, created))))
        .with("flags", Value::from_iter(flags.map(Value::from)))
        .with("verdict", leg.listening.verdict.to_string())
}

fn port(leg: &Leg, rtcp: bool, created: Instant) -> Value {
    let counters = &leg.counters;
    let mut out = Dict::new();
    if let Some(port) = leg.opened {
        out.push("local port", u64::from(port) + u64::from(rtcp));
        out.push("local address", leg.local.to_string());
        out.push("family", family(leg.local));
    }
    let said = if rtcp { leg.rtcp } else { leg.rtp };
    let used = leg.learned.filter(|_| !rtcp).or(said);
    for (key, address) in [("endpoint", used), ("advertised endpoint", said)] {
        if let Some(address) = address {
            out.push(key, endpoint(address));
        }
    }
    out.push("last packet", counters.last.unwrap_or(created).unix_seconds());
    let mut flags = vec![Value::from(if rtcp { "RTCP" } else { "RTP" })];
    flags.extend(said.map(|_| Value::from("filled")));
    flags.extend(leg.learned.map(|_| Value::from("confirmed")));
    out.push("flags", Value::List(flags));
    if let Some(ssrc) = counters.ssrc.filter(|_| !rtcp) {
        out.push("SSRC", u64::from(ssrc));
    }
    let (packets, bytes, errors) = match rtcp {
        false => (counters.packets, counters.bytes, counters.errors),
        true => (counters.rtcp, 0, 0),
    };
    out.push("stats", stats(packets, bytes, errors));
    Value::Dict(out)
}

fn endpoint(address: SocketAddr) -> Dict {
    Dict::new()
        .with("family", family(address.ip()))
        .with("address", address.ip().to_string())
        .with("port", u64::from(address.port()))
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn stats(packets: u64, bytes: u64, errors: u64) -> Dict {
    Dict::new().with("packets", packets).with("bytes", bytes).with("errors", errors)
}
