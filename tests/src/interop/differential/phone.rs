//! The answer of a phone that takes what it is shown: the first codec of each section and digits, keys, a handshake,
//! candidates.

use sdp::{Media, Session};

/// Its answer.
///
/// # Panics
/// If the offer cannot be read.
pub(super) fn answer_to(offer: &str) -> String {
    let session = Session::parse(offer.as_bytes()).expect("a description");
    let mut out =
        "v=0\r\no=callee 21 22 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
            .to_owned();
    for (index, media) in session.media().iter().enumerate() {
        section(media, 5000 + 2 * index, &mut out);
    }
    out
}

fn section(media: &Media, port: usize, out: &mut String) {
    let line = media.line().expect("a line of media");
    let codecs = media.codecs();
    let digits = codecs.iter().find(|codec| codec.is_telephone_event());
    let first = codecs.iter().find(|codec| !codec.is_telephone_event());
    let taken: Vec<_> = first.into_iter().chain(digits).collect();
    let port = if line.port == 0 { 0 } else { port };
    let mut say = |text: String| {
        out.push_str(&text);
        out.push_str("\r\n");
    };
    let formats: Vec<String> = match taken.is_empty() {
        true => line.formats.clone(),
        false => taken.iter().map(|codec| codec.payload_type.to_string()).collect(),
    };
    say(format!("m={} {port} {} {}", line.kind, line.protocol, formats.join(" ")));
    if port == 0 {
        return;
    }
    for codec in taken {
        let channels = media.rtpmap(codec.payload_type).map_or(1, |map| map.channels);
        let channels = if channels > 1 { format!("/{channels}") } else { String::new() };
        say(format!("a=rtpmap:{} {}/{}{channels}", codec.payload_type, codec.name, codec.rate));
    }
    let has = |name: &str| media.section().has_attribute(name);
    if let Some(mid) = media.section().attribute("mid") {
        say(format!("a=mid:{mid}"));
    }
    if has("rtcp-mux") {
        say("a=rtcp-mux".to_owned());
    }
    if has("fingerprint") {
        let octets: Vec<String> = (0x40..0x60).map(|octet| format!("{octet:02X}")).collect();
        say(format!("a=fingerprint:sha-256 {}", octets.join(":")));
        say("a=setup:active".to_owned());
    } else if let Some(line) = media.section().attributes("crypto").next() {
        let mut words = line.split(' ');
        let (tag, suite) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let length = words.next().map_or(40, |key| key.trim_start_matches("inline:").len());
        let key: String = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBRPS1uQCVeeCFCanVmcjkpPywj"
            .chars()
            .take(length)
            .collect();
        say(format!("a=crypto:{tag} {suite} inline:{key}"));
    }
    if has("ice-ufrag") || has("candidate") {
        say("a=ice-ufrag:efgh".to_owned());
        say("a=ice-pwd:vutsrqponmlkjihgfedcba".to_owned());
        say(format!("a=candidate:1 1 UDP 2130706431 192.0.2.2 {port} typ host"));
        if !has("rtcp-mux") {
            say(format!("a=candidate:1 2 UDP 2130706430 192.0.2.2 {} typ host", port + 1));
        }
    }
}
