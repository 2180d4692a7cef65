//! What a phone can be told to do, as the content of [`base::Order`].

use crate::report::CallId;

/// One order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UeOrder {
    /// Register, and stay registered.
    Register,
    /// Remove the registration.
    Deregister,
    /// Call somebody.
    Call {
        /// A `sip:` or `tel:` URI, the URN of a service, `user@host`, or a number or name of the home
        /// domain.
        to: String,
        /// Comes back in [`crate::What::Calling`], together with the call's name.
        token: u64,
    },
    /// Answer a call that rings here.
    Answer(CallId),
    /// Reject a call that rings here.
    Reject {
        /// The call.
        call: CallId,
        /// The status, 300 to 699.
        status: u16,
    },
    /// End a call, whatever its state.
    Hangup(CallId),
    /// Put the other side on hold.
    Hold(CallId),
    /// Take the other side back.
    Resume(CallId),
    /// Send digits: `0`-`9`, `*`, `#`, `A`-`D`.
    Dtmf {
        /// The call.
        call: CallId,
        /// The digits.
        digits: String,
    },
    /// Hand a call on: the other side calls somebody else instead of us.
    Transfer {
        /// The call.
        call: CallId,
        /// Whom, as in a call.
        to: String,
    },
    /// Hand a call on to the other side of another call, whose place it takes.
    TransferTo {
        /// The call.
        call: CallId,
        /// The call with whom it is handed on to.
        other: CallId,
    },
    /// Send a text, RFC 3428.
    Message {
        /// As in a call.
        to: String,
        /// The text.
        text: String,
        /// Comes back in [`crate::What::MessageResult`].
        token: u64,
    },
    /// Send a text as SMS over IP, TS 24.341.
    ShortMessage {
        /// A number, international with a plus sign, or a `tel:` URI.
        to: String,
        /// The text, of any length.
        text: String,
        /// The service centre's number.
        centre: String,
        /// Whether to ask for a status report: [`crate::What::ShortMessageStatus`].
        status_report: bool,
        /// Comes back in [`crate::What::ShortMessageResult`].
        token: u64,
    },
    /// There is memory for short messages, or there is none.
    Memory {
        /// There is none.
        full: bool,
        /// The service centre's number: it is told when there is memory again.
        centre: String,
    },
    /// Ask what somebody can, RFC 3261 §11.
    Options {
        /// As in a call.
        to: String,
        /// Comes back in [`crate::What::OptionsResult`].
        token: u64,
    },
}
