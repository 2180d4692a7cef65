//! What rtpengine answered in `protocols/ng/tests/captures`, asked of us.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use bench::Bench;
use ng::{Dict, Message, Value};

const CLIENT: &str = include_str!("../../../protocols/ng/tests/captures/ng-client.txt");
const KAMAILIO: &str = include_str!("../../../protocols/ng/tests/captures/kamailio.txt");

/// Requests with the relay's responses.
fn pairs(text: &str) -> Vec<(Vec<u8>, Dict)> {
    let literal = |line: &str| {
        let (_, literal) = line.split_once(" b").unwrap();
        literal[1..literal.len() - 1]
            .replace("\\r", "\r")
            .replace("\\n", "\n")
            .replace("\\'", "'")
            .replace("\\\r", "\\r")
            .replace("\\\n", "\\n")
            .into_bytes()
    };
    let lines: Vec<_> = text.lines().collect();
    lines
        .chunks_exact(2)
        .map(|pair| (literal(pair[0]), Message::parse(&literal(pair[1])).unwrap().dict))
        .collect()
}

/// rtpengine writes default attributes out; the relay's ports differ.
fn essence(sdp: &str) -> Vec<String> {
    let added = ["a=rtpmap:8 ", "a=sendrecv", "a=rtcp:"];
    sdp.lines()
        .filter(|line| !added.iter().any(|prefix| line.starts_with(prefix)))
        .map(|line| match line.strip_prefix("m=audio 30") {
            Some(rest) => format!("m=audio PORT{}", &rest[3..]),
            None => line.replace("127.0.0.1", "198.51.100.1"),
        })
        .collect()
}

#[test]
fn we_answer_as_rtpengine_does() {
    let mut compared = 0;
    for (request, theirs) in
        pairs(CLIENT).into_iter().chain(pairs(KAMAILIO)).enumerate().map(|p| p.1)
    {
        let asked = Message::parse(&request).unwrap();
        // Each request meets a relay that has heard what came before about its call.
        let mut bench = Bench::new();
        let name = asked.dict.text("call-id");
        if let Some(name) = name.filter(|name| *name != "nonesuch") {
            for (earlier, _) in pairs(CLIENT).into_iter().chain(pairs(KAMAILIO)) {
                if earlier == request {
                    break;
                }
                if Message::parse(&earlier).unwrap().dict.text("call-id") == Some(name) {
                    bench.bytes(&earlier);
                }
            }
        }
        let replies = bench.bytes(&request);
        let ours = Message::parse(&replies[0]).unwrap();
        assert_eq!((&ours.cookie, ours.encoding), (&asked.cookie, asked.encoding));
        let ours = ours.dict;
        // A delete of rtpengine has no result beside its statistics in the old way.
        if theirs.get("result").is_some() {
            assert_eq!(ours.get("result"), theirs.get("result"), "{asked:?}");
        }
        for key in ["error-reason", "warning"] {
            assert_eq!(ours.get(key), theirs.get(key), "{asked:?}");
        }
        let sdp = |dict: &Dict| dict.text("sdp").map(essence);
        assert_eq!(sdp(&ours), sdp(&theirs));
        for key in theirs.iter().map(|(key, _)| key).filter(|key| *key != "calls") {
            assert!(ours.get(key).is_some(), "{key} in answer to {asked:?}");
        }
        if let Some(tags) = theirs.get("tags").and_then(Value::as_dict) {
            let own = ours.get("tags").and_then(Value::as_dict).unwrap();
            assert_eq!(own.len(), tags.len());
            for (tag, theirs) in tags.iter() {
                let own = own.get(tag).and_then(Value::as_dict);
                let own = own.unwrap_or_else(|| panic!("no tag {tag:?} in {ours:?}"));
                let keys = theirs.as_dict().unwrap().iter().map(|(key, _)| key);
                keys.for_each(|key| assert!(own.get(key).is_some(), "{key} of {tag}"));
            }
        }
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}
