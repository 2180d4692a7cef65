//! What to do about a refusal: one line for each reason that a function gives, and for the statuses of
//! those who give none.

use std::collections::BTreeMap;

use super::Explanation;

/// Something to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advice {
    /// What.
    pub text: String,
    /// The key of the configuration that it is about, such as `trust.networks`.
    pub key: Option<&'static str>,
    /// File and line of that key, if it stands in the file.
    pub place: Option<String>,
}

/// Where the keys of the configuration stand.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Places {
    /// The file's name.
    pub file: Option<String>,
    /// The line of each key.
    pub lines: BTreeMap<String, usize>,
}

impl Places {
    fn of(&self, key: &str) -> Option<String> {
        Some(format!("{}:{}", self.file.as_ref()?, self.lines.get(key)?))
    }
}

/// A reason of a function, a status or 0 for any, what to do, and the key of the configuration.
/// `{to}` and `{from}` are the identities.
type Known = (&'static str, u32, &'static str, Option<&'static str>);

const HSS_AWAY: &str =
    "the HSS did not answer in time: start it, or correct where it is said to be";
const UNBAR: &str = "an identity is barred: `strowger sub unbar {to}`";
const LOOP: &str = "the request went in a circle: look at `strowger trace --last` of this Call-ID";

/// By the function's own words, the most telling first.
const REASONS: &[Known] = &[
    (
        "the answer to the challenge is wrong",
        0,
        "the phone's password or key is not the one that is stored: correct the phone, or give it anew \
      with `strowger sub add … --replace`; `strowger sub show {to}` tells what is stored",
        None,
    ),
    (
        "the user is unknown",
        0,
        "there is no such subscriber: `strowger sub add`; `strowger sub list` tells who there is; the \
      phone's domain must be `domain`",
        Some("domain"),
    ),
    (
        "IMPI and IMPU do not match",
        0,
        "the phone's user name and its identity are of different subscribers, or the identity is new: \
      `strowger sub show {to}`",
        None,
    ),
    (
        "roaming is not allowed",
        0,
        "the HSS does not let the subscriber register in this visited network",
        None,
    ),
    (
        "no S-CSCF answers",
        504,
        "start the S-CSCF, or add another one to `scscf` below `[icscf]`",
        Some("icscf.scscf"),
    ),
    ("no User-Authorization", 504, HSS_AWAY, Some("hss.at")),
    ("no User-Authorization", 403, UNBAR, None),
    ("no User-Authorization", 500, "the HSS failed: its own log says why", None),
    ("no authentication data", 504, HSS_AWAY, Some("hss.at")),
    (
        "no authentication data",
        0,
        "the HSS has no key or password that the phone could be asked for: `strowger sub show {to}`; \
      with a password, `digest` must name an algorithm that it is stored for",
        Some("registration.digest"),
    ),
    ("no usable profile", 504, HSS_AWAY, Some("hss.at")),
    (
        "no usable profile",
        0,
        "the HSS gave no profile that can be used: its own log says why",
        None,
    ),
    (
        "the registration is too short",
        0,
        "the phone asks for less than `min_expires`: it is told how long and may ask again",
        Some("registration.min_expires"),
    ),
    (
        "the REGISTER is out of order",
        0,
        "an older REGISTER came late: the phone is to register anew",
        None,
    ),
    (
        "not from the trust domain",
        0,
        "the sender is no network function: add its address to `networks` below `[trust]`; a phone has to \
      speak to the P-CSCF",
        Some("trust.networks"),
    ),
    (
        "neither a trunk",
        0,
        "the sender is no trunk: add its address to `from` below `[bgcf]`, or, of a network function, to \
      `networks` below `[trust]`",
        Some("bgcf.from"),
    ),
    (
        "what it hands back was not sealed here",
        0,
        "the other network changed the `thig.` token of our Record-Route or Contact, or the BGCF's store, which has \
      the key, was replaced during the call: compare what it got with what it sends, in `strowger trace`",
        None,
    ),
    (
        "neither a centre",
        0,
        "the sender is no emergency centre: add its address to `from` below `[ecscf]`, or, of a network \
      function, to `networks` below `[trust]`",
        Some("ecscf.from"),
    ),
    (
        "no trunk for this number",
        0,
        "add a trunk for the number's beginning to `routes` below `[bgcf]`",
        Some("bgcf.routes"),
    ),
    (
        "no number of this network",
        0,
        "the trunk asks for a number that nobody here has: `strowger sub add --msisdn`",
        None,
    ),
    (
        "no emergency centre is configured",
        0,
        "say who answers: `centre` below `[ecscf]`",
        Some("ecscf.centre"),
    ),
    (
        "the called user is unknown",
        0,
        "nobody here has this name or number: `strowger sub list`; for numbers of other networks, `routes` \
      below `[bgcf]`",
        Some("bgcf.routes"),
    ),
    (
        "the called user is not registered",
        0,
        "the called phone has to register: `strowger explain {to}` tells whether it tried",
        None,
    ),
    (
        "the phone that the GRUU names is not registered",
        0,
        "the user may have other phones, but the one that is meant has to register: `strowger explain {to}`",
        None,
    ),
    (
        "the temporary GRUU is not valid",
        0,
        "the address was for a registration that has ended: call the user by his name or number",
        None,
    ),
    (
        "the Contact is no GRUU of the caller",
        0,
        "the calling phone uses a GRUU of an earlier registration, or somebody else's: it has to register again",
        None,
    ),
    (
        "the called user has no services here",
        0,
        "the called phone has to register: `strowger explain {to}`",
        None,
    ),
    (
        "no contact of the called user can be reached",
        0,
        "the called phone registered with a Contact that leads nowhere: `strowger trace --last {to}`",
        None,
    ),
    ("the phone is no longer registered here", 0, "the called phone has to register again", None),
    ("the phone's registration is gone", 0, "the phone has to register again", None),
    (
        "the flow that the phone registered on is gone",
        0,
        "the called phone's connection ended: it has to register again",
        None,
    ),
    (
        "the phone is registered for emergency calls only",
        0,
        "the phone has to register in the ordinary way, too",
        None,
    ),
    (
        "the phone is not registered on this flow",
        0,
        "the phone has to register first, and to call from the address that it registered from",
        None,
    ),
    (
        "no contact of the called user is what the caller wants",
        0,
        "none of the called phones can what the caller requires (Accept-Contact), or he rejects them (Reject-Contact)",
        None,
    ),
    (
        "the privacy that is critical is not provided here",
        0,
        "the caller asks for privacy that nobody here provides, and rather wants no call: `header`, and `session` \
      without the media relay",
        Some("media.anchor"),
    ),
    ("the called identity is barred", 0, UNBAR, None),
    ("the caller's identity is barred", 0, "`strowger sub unbar {from}`", None),
    (
        "the caller is not registered at this S-CSCF",
        0,
        "the S-CSCF was started without what it knew, or another one took the user over: the phone is told to \
      register anew; one that does not has to be switched off and on",
        None,
    ),
    (
        "the caller is not registered",
        0,
        "the calling phone has to register: `strowger explain {from}`",
        None,
    ),
    (
        "no asserted identity",
        0,
        "the request has no P-Asserted-Identity: it must come through the P-CSCF, or from a host in \
      `networks` below `[trust]`",
        Some("trust.networks"),
    ),
    ("the HSS did not answer the", 0, HSS_AWAY, Some("hss.at")),
    ("the HSS refused the LIR", 0, "the HSS failed: its own log says why", None),
    (
        "no S-CSCF has the capabilities",
        0,
        "the HSS asks for capabilities that no S-CSCF of the I-CSCF has",
        None,
    ),
    (
        "an I-CSCF does not route to others",
        0,
        "the sender has a Route that is not for the I-CSCF: correct it",
        None,
    ),
    (
        "not allowed to watch this registration",
        0,
        "only the user himself and network functions may subscribe to it",
        Some("trust.networks"),
    ),
    ("Max-Forwards is 0", 0, LOOP, None),
    (
        "cannot reach",
        0,
        "nobody listens at that address: a phone that is gone, and back once it registers; or a function or server \
      that is down or elsewhere",
        None,
    ),
    (
        "heard nothing from",
        0,
        "whoever has that address does not answer: a phone that is gone or behind a NAT that forgot it, and back \
      once it registers; or a function or server that is down, or a firewall between",
        None,
    ),
    ("shutting down", 0, "the process was being stopped: try again", None),
    ("no more phones", 0, "the P-CSCF has as many phones as it takes", None),
    ("too many subscriptions", 0, "the registration is watched by as many as there may be", None),
];

const SERVER: &str = "the application server refused it: its own log says why; the criteria that \
    lead there are in `strowger sub show` of the served user and in `ifc` below `[hss]`";

/// Who refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    /// A phone.
    Phone,
    /// An application server that a filter criterion leads to.
    Server,
    /// Anybody else.
    Function,
}

/// Of a phone, by its status.
const PHONES: &[(u32, &str)] = &[
    (408, "the called phone did not answer: is it on, and reached at its Contact?"),
    (480, "the called phone says that it is not available"),
    (486, "the called phone is busy"),
    (488, "the called phone takes none of the codecs or media that were offered"),
    (600, "the called phone is busy everywhere"),
    (603, "the called person declined"),
];

/// Of whoever gives no reason, by its status.
const STATUSES: &[(u32, &str)] = &[
    (408, "nobody answered in time: see where the request stopped with `strowger trace --last`"),
    (430, "the connection of a phone ended: it has to register again"),
    (440, "the request would have been forked too often, RFC 5393: too many contacts"),
    (482, LOOP),
    (483, LOOP),
    (500, "the log of the one who refused it says why"),
    (502, "the next one gave no answer that could be used: `strowger doctor`"),
    (503, "the next one is down or has too much to do: `strowger doctor`"),
    (504, "a function or the HSS did not answer: `strowger doctor` asks each of them"),
];

/// What to do about a refusal with this status.
pub(super) fn advise(told: &Explanation, status: u32, by: By, places: &Places) -> Vec<Advice> {
    let fill =
        |text: &str| text.replace("{to}", word(&told.to)).replace("{from}", word(&told.from));
    let one = |text: &str, key: Option<&'static str>| Advice {
        text: fill(text),
        key,
        place: key.and_then(|key| places.of(key)),
    };
    let mut advice = Vec::new();
    let why = told.refuser.as_ref().and_then(|refuser| refuser.reason.as_deref());
    let fits = |known: &&Known| {
        why.is_some_and(|why| why.starts_with(known.0)) && (known.1 == 0 || known.1 == status)
    };
    if by == By::Server {
        advice.push(one(SERVER, Some("hss.ifc")));
    } else if let Some((_, _, text, key)) = REASONS.iter().find(fits) {
        advice.push(one(text, *key));
    } else {
        let table = if by == By::Phone { PHONES } else { STATUSES };
        let known = table.iter().find(|(of, _)| *of == status);
        advice.extend(known.map(|(_, text)| one(text, None)));
    }
    advice
}

/// A name as it may stand in a command line; what a stranger sent may be anything.
fn word(name: &str) -> &str {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "@:.+-_".contains(c);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(harmless) {
        name
    } else {
        "NAME"
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else {
                *all += &fs::read_to_string(path).unwrap();
            }
        }
    }

    /// A reason that is worded anew would silently lose its advice.
    #[test]
    fn every_reason_is_one_that_a_function_gives() {
        let mut all = String::new();
        for speaker in ["../functions/cscf/src", "../protocols/sip/src/stack"] {
            sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(speaker), &mut all);
        }
        for (why, ..) in REASONS {
            assert!(all.contains(&format!("\"{why}")), "nobody says {why:?}");
        }
    }

    #[test]
    fn every_key_is_one_of_the_configuration() {
        let keys = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md"),
        );
        let keys = keys.unwrap();
        for key in REASONS.iter().filter_map(|known| known.3) {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            let part = keys.split("\n## ").find(|part| part.starts_with(&format!("`[{section}]`")));
            let part = if section.is_empty() { Some(keys.as_str()) } else { part };
            assert!(part.is_some_and(|part| part.contains(&format!("| `{name}` |"))), "{key}");
        }
    }

    #[test]
    fn a_strangers_text_gets_into_no_command() {
        assert_eq!(word("sip:bob@ims.test"), "sip:bob@ims.test");
        for bad in ["sip:$(reboot)@x", "a b", "", "--help", "sip:a;b@c", "tel:`x`"] {
            assert_eq!(word(bad), "NAME");
        }
    }
}
