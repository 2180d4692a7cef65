//! What is stored of a text: one record each, by recipient and order.

use base::store::{Change, Table};
use base::{Bytes, Instant};
use serde::{Deserialize, Serialize};
use sms::time_stamp::Zone;
use sms::tpdu::{Carrier, Deliver, StatusReport, Submit, Tpdu};
use sms::{Address, Number, TimeStamp};

/// The table of the texts that wait.
pub const TABLE: Table = Table("ipsmgw.text");

/// A text that waits for its recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Text {
    /// When the centre received it.
    pub(crate) received: Instant,
    /// When it is worth nothing any more.
    pub(crate) end: Instant,
    pub(crate) content: Content,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// A phone sent it.
    Submitted {
        submit: Submit,
        /// The public identity that gets the status report.
        sender: String,
        /// What the recipient sees as sender.
        originator: String,
    },
    /// The centre's own.
    Report(StatusReport),
}

/// The form of a stored value.
#[derive(Serialize, Deserialize)]
struct Stored {
    received: u64,
    end: u64,
    tpdu: Vec<u8>,
    from: Option<From>,
}

#[derive(Serialize, Deserialize)]
struct From {
    sender: String,
    originator: String,
}

impl Text {
    /// The TPDU for the recipient's phone.
    pub(crate) fn tpdu(&self, zone: Zone, more_messages: bool) -> Tpdu {
        match &self.content {
            Content::Submitted { submit, originator, .. } => {
                let originator = address(originator);
                let time_stamp = TimeStamp::new(self.received, zone);
                let data = submit.user_data.clone();
                let mut deliver = Deliver::new(originator, time_stamp, data);
                deliver.more_messages = more_messages;
                deliver.status_report = submit.status_report;
                deliver.reply_path = submit.reply_path;
                deliver.protocol_id = submit.protocol_id;
                Tpdu::Deliver(deliver)
            }
            Content::Report(report) => {
                Tpdu::StatusReport(StatusReport { more_messages, ..report.clone() })
            }
        }
    }

    fn value(&self) -> Bytes {
        let (tpdu, from) = match &self.content {
            Content::Submitted { submit, sender, originator } => {
                let from = From { sender: sender.clone(), originator: originator.clone() };
                (Tpdu::Submit(submit.clone()), Some(from))
            }
            Content::Report(report) => (Tpdu::StatusReport(report.clone()), None),
        };
        let (received, end) = (self.received.unix_micros(), self.end.unix_micros());
        let stored = Stored { received, end, tpdu: tpdu.emit(), from };
        serde_json::to_vec(&stored).expect("numbers and texts are JSON").into()
    }

    pub(crate) fn put(&self, recipient: &str, order: u64) -> Change {
        Change::Put { table: TABLE, key: key(recipient, order), value: self.value() }
    }
}

/// Whether a record of [`TABLE`] can be read.
pub fn is_record(key: &[u8], value: &[u8]) -> bool {
    restore(key, value).is_some()
}

/// A record as it comes back from the store; `None` if it is none of ours.
pub(crate) fn restore(key: &[u8], value: &[u8]) -> Option<(String, u64, Text)> {
    let (recipient, order) = key.split_last_chunk::<8>()?;
    let recipient = std::str::from_utf8(recipient.strip_suffix(&[0])?).ok()?.to_owned();
    let stored: Stored = serde_json::from_slice(value).ok()?;
    let content = match stored.from {
        Some(From { sender, originator }) => {
            match Tpdu::parse(Carrier::DataToNetwork, &stored.tpdu).ok()? {
                Tpdu::Submit(submit) => Content::Submitted { submit, sender, originator },
                _ => return None,
            }
        }
        None => match Tpdu::parse(Carrier::DataToMobile, &stored.tpdu).ok()? {
            Tpdu::StatusReport(report) => Content::Report(report),
            _ => return None,
        },
    };
    let [received, end] = [stored.received, stored.end].map(Instant::from_unix_micros);
    Some((recipient, u64::from_be_bytes(*order), Text { received, end, content }))
}

pub(crate) fn delete(recipient: &str, order: u64) -> Change {
    Change::Delete { table: TABLE, key: key(recipient, order) }
}

fn key(recipient: &str, order: u64) -> Bytes {
    [recipient.as_bytes(), &[0], &order.to_be_bytes()].concat().into()
}

/// An originator as it was written down: a number with a plus sign, or a name of which as much is
/// kept as an address has room for.
pub(crate) fn address(originator: &str) -> Address {
    if originator.starts_with('+')
        && let Ok(number) = Number::international(originator)
    {
        return number.into();
    }
    let mut name = String::new();
    for c in originator.chars() {
        name.push(c);
        if Address::name(&name).is_err() {
            name.pop();
        }
    }
    Address::name(&name).expect("only what fits was kept")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sms::{ShortMessage, Status};

    #[test]
    fn what_is_stored_comes_back() {
        let bob = Address::Number(Number::international("4930201").unwrap());
        let mut submit = Submit::new(7, bob.clone(), ShortMessage::from_text("Grüße").unwrap());
        submit.status_report = true;
        let (sender, originator) = ("sip:alice@ims.test".to_owned(), "+4930200".to_owned());
        let at = Instant::from_unix_micros(1_700_000_000_000_000);
        let scts = TimeStamp::new(at, Zone::UTC);
        let report = StatusReport::new(7, bob, scts, scts, Status::RECEIVED);
        let submitted = Content::Submitted { submit, sender, originator };
        for content in [submitted, Content::Report(report)] {
            let text = Text { received: at, end: at, content };
            let Change::Put { key, value, .. } = text.put("tel:+4930201", 258) else { panic!() };
            assert_eq!(restore(&key, &value), Some(("tel:+4930201".to_owned(), 258, text)));
            assert_eq!(delete("tel:+4930201", 258), Change::Delete { table: TABLE, key });
        }
        assert_eq!((restore(b"x", b"{}"), restore(&[0; 9], b"x")), (None, None));
    }

    #[test]
    fn an_originator_without_a_number_is_a_name() {
        assert_eq!(address("+4930200").to_string(), "+4930200");
        assert_eq!(address("alice").to_string(), "alice");
        assert_eq!(address("дalice-in-wonderland").to_string(), "alice-in-wo");
    }
}
