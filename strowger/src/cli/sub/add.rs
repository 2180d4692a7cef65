//! `strowger sub add`.

use std::io::BufRead;

use auth::hex;
use auth::milenage::Key;
use base::redact::Secret;
use hss::Subscriber;
use hss::profile::FilterCriteria;
use hss::subscriber::{OperatorKey, SubscriberError};

use crate::cli::Failure;
use crate::config::Config;

/// Add a subscriber: a SIM, or a name with a password
///
/// Identities follow from it as TS 23.003 says, and are printed. A secret given as - is read from
/// standard input, where other users of the machine do not see it.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger sub add --imsi 001010000000001 --msisdn 491701 \\\n      \
      --k 465b5ce8b199b49faa5f0a2ee238a6bc --opc cd63cb71954a9f4e48a5994e37a02baf\n  \
    strowger sub add --name alice --password - --msisdn 491702 \\\n      \
      --ifc \"sip:as.example.org:5090 when method=INVITE and case=originating\"")]
pub(in crate::cli) struct Args {
    /// The SIM's IMSI: 6 to 15 digits
    #[arg(long, required_unless_present = "name", conflicts_with_all = ["name", "password"])]
    #[arg(requires = "k")]
    imsi: Option<String>,
    /// A telephone number with its country code; may be repeated
    #[arg(long, value_delimiter = ',', value_name = "NUMBER")]
    msisdn: Vec<String>,
    /// The SIM's key K: 32 hexadecimal digits
    #[arg(long, requires = "imsi", value_name = "HEX")]
    k: Option<String>,
    /// The SIM's OPc: 32 hexadecimal digits
    #[arg(long, requires = "imsi", conflicts_with = "op", value_name = "HEX")]
    opc: Option<String>,
    /// The operator's OP instead of OPc: 32 hexadecimal digits
    #[arg(long, requires = "imsi", value_name = "HEX")]
    op: Option<String>,
    /// Authentication Management Field: 4 hexadecimal digits
    #[arg(long, requires = "imsi", default_value = "8000", value_name = "HEX")]
    amf: String,
    /// The name of a subscriber without a SIM
    #[arg(long, requires = "password")]
    name: Option<String>,
    /// His password
    #[arg(long, requires = "name")]
    password: Option<String>,
    /// Initial filter criteria: which requests an application server sees; may be repeated
    ///
    /// URI [priority=NUMBER] [default=continued|terminated] [part=registered|unregistered]
    /// [service-info=TEXT] [when CONDITIONS]. A condition is method=NAME,
    /// case=originating|terminating|terminating-unregistered|originating-unregistered, uri=TEXT,
    /// header:NAME[=TEXT] or sdp:LINE[=TEXT], with `not` before it, `and` or `or` between, and
    /// parentheses. Without conditions the server sees every initial request.
    #[arg(long, value_name = "CRITERIA")]
    ifc: Vec<String>,
    /// The home domain [default: `domain` of the configuration]
    #[arg(long)]
    domain: Option<String>,
    /// Write over a subscriber of the same private identity
    #[arg(long)]
    pub(super) replace: bool,
}

impl Args {
    /// The subscriber that the arguments tell.
    pub(super) fn subscriber(&self, config: &Config) -> Result<Subscriber, Failure> {
        let domain = self.domain.as_deref().unwrap_or(config.domain());
        let made = if let Some(imsi) = &self.imsi {
            let k = key(self.k.as_deref(), "K")?;
            let operator = match (&self.opc, &self.op) {
                (Some(opc), _) => OperatorKey::Opc(key(Some(opc), "OPc")?),
                (None, Some(op)) => OperatorKey::Op(key(Some(op), "OP")?),
                (None, None) => return Err(refused(&SubscriberError::NoOperatorKey)),
            };
            let amf = hex::decode_array(&self.amf).ok_or_else(|| refused(&SubscriberError::Amf))?;
            Subscriber::from_sim(imsi, &self.msisdn, k, operator, amf, domain)
        } else {
            let password = Secret::new(secret(self.password.as_deref().unwrap_or_default())?);
            let name = self.name.as_deref().unwrap_or_default();
            Subscriber::with_password(name, &password, &self.msisdn, domain)
        };
        let criteria = FilterCriteria::parse_all(self.ifc.iter().map(String::as_str));
        let criteria = criteria.map_err(|error| {
            let example =
                "--ifc \"sip:as.example.org:5090 when method=INVITE and case=originating\"";
            Failure::new(format!("{error}\n  help: such as {example}"))
        })?;
        made.and_then(|made| made.with_criteria(criteria)).map_err(|error| refused(&error))
    }
}

/// A secret as it stands, or from standard input if it is `-`.
fn secret(text: &str) -> Result<String, Failure> {
    let mut line = String::new();
    if text == "-" {
        std::io::stdin().lock().read_line(&mut line).map_err(Failure::new)?;
    } else {
        text.clone_into(&mut line);
    }
    let secret = line.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(Failure::new("the secret is empty")) } else { Ok(secret.to_owned()) }
}

fn key(text: Option<&str>, name: &'static str) -> Result<Key, Failure> {
    let digits: String =
        secret(text.unwrap_or_default())?.chars().filter(|c| !c.is_whitespace()).collect();
    let error = SubscriberError::Key(name);
    hex::decode_array(&digits).map(Secret::new).ok_or_else(|| {
        Failure::new(format!("{error}; these are {} characters", digits.chars().count()))
    })
}

fn refused(error: &SubscriberError) -> Failure {
    let help = match error {
        SubscriberError::NoOperatorKey => "give --opc, or --op if that is what you have",
        SubscriberError::Identity(_) => "digits only, as in --imsi 001010000000001 --msisdn 491701",
        SubscriberError::Impi(_) => "--name takes what stands before the @ of a SIP address",
        SubscriberError::Domain(_) => "--domain takes a host name such as ims.example.org",
        SubscriberError::Criteria(..) => {
            "--ifc takes a server such as sip:as.example.org:5060, each priority once"
        }
        SubscriberError::Twice(_) => "give each number once",
        _ => return Failure::new(error),
    };
    Failure::new(format!("{error}\n  help: {help}"))
}
