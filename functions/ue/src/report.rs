//! What a phone tells, as the content of [`base::Report`].

use std::net::SocketAddr;

use base::slots::Slot;
use base::time::Duration;
use base::{Bytes, Instant};

/// A call of this phone; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

impl CallId {
    pub(crate) fn slot(self) -> Slot {
        Slot::from_bits(self.0)
    }
}

impl From<Slot> for CallId {
    fn from(slot: Slot) -> CallId {
        CallId(slot.to_bits())
    }
}

/// One report and the time of what it tells.
#[derive(Clone, PartialEq, Debug)]
pub struct UeReport {
    /// When it happened.
    pub at: Instant,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// The registration stands, or was refreshed.
    Registered {
        /// All contacts of the identity, as the registrar wrote them.
        contacts: Vec<String>,
        /// Since the first REGISTER of this registration or refresh.
        delay: Duration,
        /// P-Associated-URI.
        associated: Vec<String>,
        /// The lifetime that was granted, in seconds.
        expires: u32,
    },
    /// It did not come about, or could not be refreshed.
    RegistrationFailed {
        /// The status; 408 and 503 also if nobody answered.
        status: u16,
        /// The phrase, or our own finding.
        reason: String,
        /// When it will be tried again.
        retry: Option<Instant>,
    },
    /// The registration is gone: we removed it, or the network did.
    Deregistered {
        /// Why, if the network did: the event of reg-event (RFC 3680 §5.1), empty
        /// if it gave none that is known.
        event: Option<String>,
    },
    /// An INVITE is on its way.
    Calling {
        /// The call's name from here on.
        call: CallId,
        /// That of the order.
        token: u64,
    },
    /// The other side rings (180).
    Ringing {
        /// The call.
        call: CallId,
        /// Since the INVITE.
        delay: Duration,
    },
    /// Somebody calls.
    Incoming {
        /// The call's name from here on.
        call: CallId,
        /// P-Asserted-Identity, else From, as a URI.
        from: String,
        /// The Request-URI or P-Called-Party-ID.
        called: String,
    },
    /// The call is answered.
    Answered {
        /// The call.
        call: CallId,
        /// Post-dial delay: from INVITE to the first sign of the other side (18x or 2xx).
        pdd: Duration,
        /// From INVITE to the 2xx.
        delay: Duration,
        /// The codec, such as `PCMA`; empty without an agreement yet.
        codec: String,
    },
    /// The first sound arrived.
    MediaFlowing {
        /// The call.
        call: CallId,
        /// Where from.
        from: SocketAddr,
    },
    /// A digit arrived.
    DtmfReceived {
        /// The call.
        call: CallId,
        /// The digit.
        digit: char,
        /// How long it lasted.
        duration: Duration,
    },
    /// The other side is on hold now: our hold was accepted.
    Held(CallId),
    /// Our hold is over.
    Resumed(CallId),
    /// Hold or resume was refused.
    ChangeRefused {
        /// The call.
        call: CallId,
        /// The status.
        status: u16,
    },
    /// The other side holds us, or takes us back.
    HeldByPeer {
        /// The call.
        call: CallId,
        /// Whether it holds us.
        held: bool,
    },
    /// The call is over.
    Ended {
        /// The call.
        call: CallId,
        /// Who ended it.
        by: By,
        /// The final status if it was never answered; 200 after a regular end.
        status: u16,
        /// The phrase, the Reason header field, or our own finding.
        reason: String,
        /// What was said and heard.
        media: Box<MediaReport>,
    },
    /// What became of a call that we handed on; it ends with a success.
    Transferred {
        /// The call.
        call: CallId,
        /// The status that the other side's call ended or was answered with, or that of its refusal.
        status: u16,
    },
    /// The other side hands us on: we call somebody.
    Referred {
        /// The call in which we are asked.
        call: CallId,
        /// Whom we call.
        to: String,
        /// The new call's name from here on.
        new: CallId,
    },
    /// Another call took the place of one.
    Replaced {
        /// The call that ends.
        call: CallId,
        /// The one in its place.
        by: CallId,
    },
    /// A text arrived.
    MessageReceived {
        /// P-Asserted-Identity, else From, as a URI.
        from: String,
        /// The media type.
        content_type: String,
        /// The content.
        body: Bytes,
    },
    /// A text of ours was delivered or not.
    MessageResult {
        /// That of the order.
        token: u64,
        /// The status.
        status: u16,
        /// The phrase.
        reason: String,
    },
    /// What the service centre says to a short message of ours.
    ShortMessageResult {
        /// That of the order.
        token: u64,
        /// Why it, or a part of it, was not accepted; `None` if all was.
        refused: Option<String>,
    },
    /// What became of a short message of ours, from its status report.
    ShortMessageStatus {
        /// That of the order.
        token: u64,
        /// The recipient has it.
        delivered: bool,
        /// TP-Status, TS 23.040 §9.2.3.15.
        status: &'static str,
    },
    /// A short message arrived, whole.
    ShortMessageReceived {
        /// Who sent it: a number or a name.
        from: String,
        /// What it says, unless it is no text.
        text: Option<String>,
    },
    /// The answer to OPTIONS.
    OptionsResult {
        /// That of the order.
        token: u64,
        /// The status.
        status: u16,
        /// Allow of the answer.
        allow: String,
    },
    /// An order could not be carried out.
    OrderRefused {
        /// The call that it was for.
        call: Option<CallId>,
        /// Why.
        reason: String,
    },
}

/// Who ended a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// This phone, as it was told.
    Local,
    /// The other side or the network.
    Remote,
    /// Nobody: something was lost or broke.
    Failure,
}

/// What was said and heard in a call.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MediaReport {
    /// The numbers.
    pub stats: MediaStats,
    /// What was heard, 8000 samples in a second from the first frame on; loss and pauses are zeros.
    pub recording: Vec<i16>,
}

/// The numbers of a call's media.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MediaStats {
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets that arrived, duplicates not counted.
    pub received: u64,
    /// RTP packets that are missing.
    pub lost: u64,
    /// RTP packets that came too late to be played.
    pub late: u64,
    /// RTP packets that came twice.
    pub duplicates: u64,
    /// Interarrival jitter, RFC 3550 §6.4.1.
    pub jitter: Duration,
    /// Round-trip time from RTCP, if there was any.
    pub round_trip: Option<Duration>,
    /// What the other side says that it lost, from RTCP.
    pub lost_there: Option<i32>,
    /// Mean opinion score by the E-model, 1 to 4.5; `None` if nothing arrived.
    pub mos: Option<f64>,
    /// The codec that was sent.
    pub codec: String,
    /// Where we heard.
    pub local: Option<SocketAddr>,
    /// Where we sent to.
    pub remote: Option<SocketAddr>,
    /// Where packets came from.
    pub seen: Option<SocketAddr>,
}
