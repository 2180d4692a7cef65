//! Result-Code and Experimental-Result, RFC 6733 §7.1 and TS 29.229 §6.2.

use core::fmt;

use crate::avp::{Avps, Writer};
use crate::dictionary::{
    self, EXPERIMENTAL_RESULT, EXPERIMENTAL_RESULT_CODE, RESULT_CODE, VENDOR_3GPP, VENDOR_ID,
};
use crate::fault::Fault;

/// A Result-Code of the base protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResultCode(pub u32);

/// An Experimental-Result-Code of 3GPP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExperimentalCode(pub u32);

macro_rules! codes {
    ($type:ident: $($name:ident = $code:literal)*) => {
        #[allow(missing_docs)]
        impl $type {
            $(pub const $name: $type = $type($code);)*
        }
    };
}

codes! { ResultCode:
    SUCCESS = 2001
    LIMITED_SUCCESS = 2002
    COMMAND_UNSUPPORTED = 3001
    UNABLE_TO_DELIVER = 3002
    REALM_NOT_SERVED = 3003
    TOO_BUSY = 3004
    LOOP_DETECTED = 3005
    APPLICATION_UNSUPPORTED = 3007
    INVALID_HDR_BITS = 3008
    INVALID_AVP_BITS = 3009
    UNKNOWN_PEER = 3010
    ELECTION_LOST = 4003
    AVP_UNSUPPORTED = 5001
    AUTHORIZATION_REJECTED = 5003
    INVALID_AVP_VALUE = 5004
    MISSING_AVP = 5005
    AVP_OCCURS_TOO_MANY_TIMES = 5009
    NO_COMMON_APPLICATION = 5010
    UNSUPPORTED_VERSION = 5011
    UNABLE_TO_COMPLY = 5012
    INVALID_AVP_LENGTH = 5014
    INVALID_MESSAGE_LENGTH = 5015
}

codes! { ExperimentalCode:
    FIRST_REGISTRATION = 2001
    SUBSEQUENT_REGISTRATION = 2002
    UNREGISTERED_SERVICE = 2003
    SUCCESS_SERVER_NAME_NOT_STORED = 2004
    USER_DATA_NOT_AVAILABLE = 4100
    PRIOR_UPDATE_IN_PROGRESS = 4101
    ERROR_USER_UNKNOWN = 5001
    ERROR_IDENTITIES_DONT_MATCH = 5002
    ERROR_IDENTITY_NOT_REGISTERED = 5003
    ERROR_ROAMING_NOT_ALLOWED = 5004
    ERROR_IDENTITY_ALREADY_REGISTERED = 5005
    ERROR_AUTH_SCHEME_NOT_SUPPORTED = 5006
    ERROR_IN_ASSIGNMENT_TYPE = 5007
    ERROR_TOO_MUCH_DATA = 5008
    ERROR_NOT_SUPPORTED_USER_DATA = 5009
    ERROR_FEATURE_UNSUPPORTED = 5011
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(dictionary::value("Result-Code", self.0).unwrap_or("Result-Code"))?;
        write!(f, " ({})", self.0)
    }
}

impl fmt::Display for ExperimentalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = dictionary::value("Experimental-Result-Code", self.0);
        write!(f, "{} ({})", name.unwrap_or("Experimental-Result-Code"), self.0)
    }
}

/// How a request ended: exactly one of the two kinds of code, RFC 6733 §7.6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Result-Code.
    Base(ResultCode),
    /// Experimental-Result of 3GPP (of any vendor, when parsed).
    Experimental(ExperimentalCode),
}

impl Outcome {
    /// The outcome that an answer tells; `None` if it tells none.
    pub fn parse(avps: Avps<'_>) -> Option<Outcome> {
        if let Some(avp) = avps.clone().find(RESULT_CODE) {
            return avp.u32().ok().map(|code| Outcome::Base(ResultCode(code)));
        }
        let code = avps.find(EXPERIMENTAL_RESULT)?.members().find(EXPERIMENTAL_RESULT_CODE)?;
        code.u32().ok().map(|code| Outcome::Experimental(ExperimentalCode(code)))
    }

    /// Writes Result-Code or Experimental-Result.
    pub fn write(self, out: &mut Writer) {
        match self {
            Outcome::Base(code) => out.u32(RESULT_CODE, code.0),
            Outcome::Experimental(code) => out.group(EXPERIMENTAL_RESULT, |group| {
                group.u32(VENDOR_ID, VENDOR_3GPP).u32(EXPERIMENTAL_RESULT_CODE, code.0);
            }),
        };
    }

    /// The number, whichever kind it is.
    pub const fn number(self) -> u32 {
        match self {
            Outcome::Base(code) => code.0,
            Outcome::Experimental(code) => code.0,
        }
    }

    /// Whether it is one of 2xxx.
    pub const fn is_success(self) -> bool {
        self.number() / 1000 == 2
    }

    /// Whether the answer carries the E-bit: 3xxx of the base protocol, RFC 6733 §7.1.3.
    pub const fn is_protocol_error(self) -> bool {
        matches!(self, Outcome::Base(code) if code.0 / 1000 == 3)
    }
}

impl From<ResultCode> for Outcome {
    fn from(code: ResultCode) -> Outcome {
        Outcome::Base(code)
    }
}

impl From<ExperimentalCode> for Outcome {
    fn from(code: ExperimentalCode) -> Outcome {
        Outcome::Experimental(code)
    }
}

impl From<&Fault> for Outcome {
    fn from(fault: &Fault) -> Outcome {
        Outcome::Base(fault.code)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Base(code) => code.fmt(f),
            Outcome::Experimental(code) => code.fmt(f),
        }
    }
}
