//! Who the phones are and where their server is.

use std::io::BufRead;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;

use auth::hex;
use auth::milenage::{Key, opc};
use auth::sqn::Sqn;
use base::identity::{Imsi, Plmn};
use base::machine::Name;
use base::redact::Secret;
use base::{Service, Transport};
use engine::net::tls::Tls;
use ue::{Credential, UeConfig};

use super::{seconds, wrong};
use crate::cli::Failure;
use crate::config::Config;
use crate::phones::Phone;
use crate::plan::SERVICE_CENTRE;
use crate::run::config_file;

/// Many phones differ by their number: the IMSI counts up, and `{n}` in patterns is the number. Help
/// texts write `{N}`: clap would break the line at the other.
#[derive(clap::Args)]
#[command(next_help_heading = "Identity")]
pub(super) struct Account {
    /// The SIM's IMSI; needs --k and --opc or --op. The phone with number N has IMSI + N - FIRST
    #[arg(long, conflicts_with = "user")]
    imsi: Option<String>,
    /// The SIM's key K: 32 hexadecimal digits; - reads standard input [default: $STROWGER_K]
    #[arg(long, requires = "imsi", value_name = "HEX")]
    k: Option<String>,
    /// The SIM's OPc: 32 hexadecimal digits [default: $STROWGER_OPC]
    #[arg(long, requires = "imsi", conflicts_with = "op", value_name = "HEX")]
    opc: Option<String>,
    /// The operator's OP instead of OPc [default: $STROWGER_OP]
    #[arg(long, requires = "imsi", value_name = "HEX")]
    op: Option<String>,
    /// Authentication Management Field: 4 hexadecimal digits
    #[arg(long, requires = "imsi", default_value = "8000", value_name = "HEX")]
    amf: String,
    /// The sequence number that the SIM accepted last: 12 hexadecimal digits
    #[arg(long, requires = "imsi", default_value = "000000000000", value_name = "HEX")]
    sqn: String,
    /// The user of a SIP account; {N} is the phone's number
    #[arg(long)]
    user: Option<String>,
    /// Its password; - reads standard input [default: $STROWGER_PASSWORD]
    #[arg(long, requires = "user", conflicts_with = "password_file")]
    password: Option<String>,
    /// The file whose first line is the password
    #[arg(long, requires = "user", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The user name in credentials [default: --user; of a SIM IMSI@DOMAIN]
    #[arg(long, value_name = "NAME")]
    auth_user: Option<String>,
    /// The public identity [default: sip:USER@DOMAIN; of a SIM sip:IMSI@DOMAIN]
    #[arg(long, value_name = "URI")]
    identity: Option<String>,
    /// The home domain [default: of a SIM ims.mncMNC.mccMCC.3gppnetwork.org; of a user the server's
    /// name. If --server is an address: `domain` of the configuration, with --no-ims the address]
    #[arg(long)]
    domain: Option<String>,
    /// The mobile country code [default: the first three digits of the IMSI]
    #[arg(long, requires = "imsi")]
    mcc: Option<String>,
    /// The mobile network code [default: the next two digits; three where MCC is 302 or 31x]
    #[arg(long, requires = "imsi")]
    mnc: Option<String>,
    /// How many phones: 1 to 1000. The IMSI counts up; {N} in --user, --auth-user, --password,
    /// --identity and TO is the phone's number, {N:4} with at least four digits
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    count: u64,
    /// The number of the first phone
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    first: u64,
    /// How many phones begin in a second
    #[arg(long, value_name = "NUMBER", default_value_t = 100.0, value_parser = rate)]
    pub(super) rate: f64,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    ways: Ways,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Server")]
struct Server {
    /// The P-CSCF or proxy: an address or a name, with or without a port. A name without a port is
    /// looked up as RFC 3263 says
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1", value_parser = place)]
    server: Place,
    /// How to get there
    #[arg(long, value_enum, default_value_t)]
    transport: Way,
    /// The authorities that the server's certificate for its name, as --server has it, may come from:
    /// a PEM file [default: those that the system believes]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our address; with a port, phones take this and the following ones [default: the address
    /// that reaches the server, and free ports]
    #[arg(long, value_name = "IP[:PORT]", value_parser = local)]
    local: Option<SocketAddr>,
    /// The registration's lifetime that is asked for, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    expires: u32,
}

#[derive(clap::Args)]
#[command(next_help_heading = "What the phones can")]
struct Ways {
    /// A plain SIP phone: no P- header fields, feature tags, reg-event, 100rel and preconditions
    #[arg(long)]
    no_ims: bool,
    /// No reliable provisional responses, RFC 3262, and so no preconditions
    #[arg(long = "no-100rel")]
    no_100rel: bool,
    /// No preconditions, RFC 3312
    #[arg(long)]
    no_preconditions: bool,
    /// No subscription to the registration's state, RFC 3680
    #[arg(long)]
    no_reg_event: bool,
    /// The session interval, RFC 4028: 90 or more; 0 asks for none
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = interval)]
    session_timer: u32,
}

/// What is said if no phone is told.
const NOBODY: &str = "who is the phone? It needs --imsi for a SIM, or --user for a SIP account
  help: --imsi 001010000000001 --k HEX --opc HEX, or --user alice --password secret";

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
enum Way {
    #[default]
    Udp,
    Tcp,
    Tls,
}

/// An address or a name.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    host: String,
    port: Option<u16>,
}

fn rate(text: &str) -> Result<f64, String> {
    seconds(text).ok().filter(|rate| *rate >= 0.001).ok_or_else(|| "a number above 0".to_owned())
}

fn interval(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|s| *s == 0 || *s >= 90);
    seconds.ok_or_else(|| "90 or more, or 0".to_owned())
}

fn is_name(host: &str) -> bool {
    !host.starts_with('[') && host.parse::<IpAddr>().is_err()
}

/// The domain of the network that the configuration here describes.
fn configured_domain() -> Result<String, Failure> {
    Ok(configuration()?.domain().to_owned())
}

/// The number of the service centre of the configuration here, if there is one.
pub(super) fn service_centre() -> Result<String, Failure> {
    let number = configuration()?.service_centre;
    Ok(format!("+{}", number.as_deref().unwrap_or(SERVICE_CENTRE)))
}

fn configuration() -> Result<Config, Failure> {
    let config = config_file(None).map(|file| Config::load(&file)).transpose()?;
    Ok(config.unwrap_or_default())
}

/// IPv6 is kept in brackets, as URIs need it.
fn place(text: &str) -> Result<Place, String> {
    let bracketed = |ip: IpAddr| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    if let Ok(at) = text.parse::<SocketAddr>() {
        return Ok(Place { host: bracketed(at.ip()), port: Some(at.port()) });
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Place { host: bracketed(ip), port: None });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| "the port is no number")?)),
        None => (text, None),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || !host.chars().all(legal) {
        return Err("an address or a name, such as 192.0.2.1:5060 or pcscf.example.org".to_owned());
    }
    Ok(Place { host: host.to_owned(), port })
}

fn local(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let ip = || bare.parse::<IpAddr>().ok().map(|ip| (ip, 0).into());
    let at = text.parse::<SocketAddr>().ok().or_else(ip).filter(|at| !at.ip().is_unspecified());
    at.ok_or_else(|| "an IP address of this machine, such as 192.0.2.1 or [::1]:5070".to_owned())
}

impl Account {
    /// A pattern for each phone.
    pub(super) fn each(&self, pattern: &str) -> Vec<String> {
        (0..self.count).map(|n| numbered(pattern, self.first + n)).collect()
    }

    /// Whom phones over TLS believe.
    pub(super) fn tls(&self) -> Result<Option<Tls>, Failure> {
        let ca = self.server.ca.as_deref();
        if self.server.transport != Way::Tls {
            return match ca {
                Some(_) => wrong("--ca is for --transport tls"),
                None => Ok(None),
            };
        }
        crate::tls::for_phones(ca).map(Some).map_err(Failure::new)
    }

    /// The phones that the arguments tell.
    pub(super) fn phones(&self) -> Result<Vec<Phone>, Failure> {
        if self.imsi.is_none() && self.user.is_none() {
            wrong(NOBODY);
        }
        let domain = self.domain()?;
        let local = self.local()?;
        let credential = self.credential()?;
        let server = &self.server.server;
        let transport = match self.server.transport {
            Way::Udp => Transport::Udp,
            Way::Tcp => Transport::Tcp,
            Way::Tls => Transport::Tls,
        };
        // A single phone's password may hold any characters.
        let numbers = self.user.as_deref().is_some_and(|user| numbered(user, 0) != user);
        let mut phones = Vec::new();
        for index in 0..self.count {
            let number = self.first + index;
            let of = |pattern: &Option<String>| pattern.as_deref().map(|p| numbered(p, number));
            let (mut user, mut auth_user) = (of(&self.user), of(&self.user));
            if let Some(imsi) = &self.imsi {
                user = Some(counted(imsi, index));
                auth_user = user.as_ref().map(|user| format!("{user}@{domain}"));
            }
            let user = user.unwrap_or_default();
            let auth_user = of(&self.auth_user).or(auth_user).unwrap_or_default();
            let user = sip::uri::escape_user(&user);
            let identity = of(&self.identity).unwrap_or_else(|| format!("sip:{user}@{domain}"));
            if sip::uri::Uri::parse(&identity).is_none() {
                wrong(&format!("{identity:?} is no SIP identity; such as sip:alice@example.org"));
            }
            let credential = match &credential {
                Credential::Password(password) if numbers => {
                    Credential::Password(Secret::new(numbered(password.reveal(), number)))
                }
                other => other.clone(),
            };
            let mut config = UeConfig::new(&auth_user, &identity, credential, &domain);
            config.proxy = Some(Name {
                service: Service::Sip,
                host: server.host.clone(),
                port: server.port,
                transport: Some(transport),
            });
            config.transport = transport;
            config.expires = self.server.expires;
            config.media.address = local.ip();
            config.product = crate::PRODUCT.to_owned();
            self.ways.apply(&mut config);
            let port = u64::from(local.port());
            let port = if port == 0 { 0 } else { port + index };
            let Ok(port) = u16::try_from(port) else {
                wrong("there are not so many ports after that of --local");
            };
            phones.push(Phone { config, listen: (local.ip(), port).into() });
        }
        Ok(phones)
    }

    fn domain(&self) -> Result<String, Failure> {
        if let Some(domain) = &self.domain {
            return Ok(domain.clone());
        }
        let Some(imsi) = &self.imsi else {
            let host = &self.server.server.host;
            // A home network's domain is a name, TS 23.003 §13.2.
            let named = is_name(host) || self.ways.no_ims;
            return if named { Ok(host.clone()) } else { configured_domain() };
        };
        if let Err(error) = Imsi::new(imsi) {
            wrong(&format!("{error}; --imsi is {imsi:?}"));
        }
        let mcc = self.mcc.as_deref().unwrap_or(&imsi[..3]);
        // North America has network codes of three digits.
        let digits = if mcc == "302" || mcc.starts_with("31") { 3 } else { 2 };
        let mnc = self.mnc.as_deref().unwrap_or(&imsi[3..3 + digits]);
        let plmn = Plmn::new(mcc, mnc).unwrap_or_else(|error| wrong(&error.to_string()));
        Ok(plmn.home_domain())
    }

    fn credential(&self) -> Result<Credential, Failure> {
        let Some(_) = &self.imsi else {
            let password = match &self.password_file {
                Some(file) => {
                    let text = std::fs::read_to_string(file)
                        .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
                    text.lines().next().unwrap_or_default().to_owned()
                }
                None => {
                    secret(self.password.as_deref(), "STROWGER_PASSWORD")?.unwrap_or_else(|| {
                        wrong("--user needs --password, --password-file or $STROWGER_PASSWORD")
                    })
                }
            };
            return Ok(Credential::Password(Secret::new(password)));
        };
        let hex_key = |given: Option<&str>, variable, name| -> Result<Option<Key>, Failure> {
            Ok(secret(given, variable)?.map(|text| key(&text, name)))
        };
        let k = hex_key(self.k.as_deref(), "STROWGER_K", "--k")?
            .unwrap_or_else(|| wrong("--imsi needs --k or $STROWGER_K"));
        let own_opc = match &self.op {
            Some(_) => None,
            None => hex_key(self.opc.as_deref(), "STROWGER_OPC", "--opc")?,
        };
        let opc = match own_opc {
            Some(opc) => opc,
            None => {
                let op = hex_key(self.op.as_deref(), "STROWGER_OP", "--op")?;
                opc(&k, &op.unwrap_or_else(|| wrong("--imsi needs --opc, or --op")))
            }
        };
        let amf = hex::decode_array(&self.amf)
            .unwrap_or_else(|| wrong("--amf must be 4 hexadecimal digits"));
        let sqn = hex::decode_array(&self.sqn)
            .unwrap_or_else(|| wrong("--sqn must be 12 hexadecimal digits"));
        Ok(Credential::Sim { k, opc, amf, sqn: Sqn::from_bytes(sqn) })
    }

    /// Our address: the one that packets to the server come from.
    fn local(&self) -> Result<SocketAddr, Failure> {
        if let Some(local) = self.server.local {
            return Ok(local);
        }
        let Place { host, port } = &self.server.server;
        let help = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{host}: {error}\n  help: check --server, or give --local IP"))
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut found = (bare, port.unwrap_or(5060)).to_socket_addrs().map_err(|e| help(&e))?;
        let server = found.next().ok_or_else(|| help(&"no address"))?;
        let any: IpAddr = match server {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        // Connecting a UDP socket sends nothing; it asks the system for the route.
        let socket = UdpSocket::bind((any, 0)).map_err(|e| help(&e))?;
        socket.connect(server).map_err(|e| help(&e))?;
        Ok((socket.local_addr().map_err(|e| help(&e))?.ip(), 0).into())
    }
}

impl Ways {
    fn apply(&self, config: &mut UeConfig) {
        let options = &mut config.options;
        options.ims = !self.no_ims;
        options.smsip = !self.no_ims;
        options.reg_event = !(self.no_ims || self.no_reg_event);
        options.prack_100rel = !(self.no_ims || self.no_100rel);
        if !options.prack_100rel || self.no_preconditions {
            options.preconditions = None;
        }
        options.session_timer = self.session_timer;
        if self.no_ims {
            config.access_network.clear();
        }
    }
}

/// Puts a phone's number for `{n}` or `{N}`, and with leading zeros for `{n:WIDTH}`.
fn numbered(pattern: &str, number: u64) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let width = after.split_once('}').and_then(|(inside, end)| {
            let width = inside.strip_prefix(['n', 'N'])?;
            match width.strip_prefix(':') {
                Some(width) => Some((width.parse::<usize>().ok()?.min(20), end)),
                None => width.is_empty().then_some((0, end)),
            }
        });
        rest = match width {
            Some((width, end)) => {
                out.push_str(&format!("{number:0width$}"));
                end
            }
            None => {
                out.push('{');
                after
            }
        };
    }
    out + rest
}

/// An IMSI and its successors, with as many digits.
fn counted(imsi: &str, index: u64) -> String {
    let Ok(number) = imsi.parse::<u64>() else { wrong("an IMSI is 6 to 15 decimal digits") };
    let (width, counted) = (imsi.len(), number + index);
    let text = format!("{counted:0width$}");
    match Imsi::new(&text) {
        Ok(_) if text.len() == width => text,
        _ => wrong("there are not so many IMSIs after that of --imsi"),
    }
}

/// What was given, else the variable; `-` is a line of standard input.
fn secret(given: Option<&str>, variable: &str) -> Result<Option<String>, Failure> {
    let from_variable = || std::env::var(variable).ok().filter(|value| !value.is_empty());
    let Some(text) = given.map(str::to_owned).or_else(from_variable) else { return Ok(None) };
    if text != "-" {
        return Ok(Some(text));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Failure::new)?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn key(text: &str, name: &str) -> Key {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let count = digits.chars().count();
    let key = hex::decode_array(&digits).map(Secret::new);
    key.unwrap_or_else(|| {
        wrong(&format!("{name} must be 32 hexadecimal digits; these are {count} characters"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_numbered() {
        assert_eq!(numbered("alice", 7), "alice");
        assert_eq!(numbered("alice{n}", 7), "alice7");
        assert_eq!(numbered("{n:4}-{n}@x", 12), "0012-12@x");
        assert_eq!(numbered("a{n:x}{name}{N}{", 7), "a{n:x}{name}7{");
        assert_eq!(counted("001010000000009", 1), "001010000000010");
    }

    #[test]
    fn servers_are_addresses_or_names() {
        let place = |text| place(text).ok().map(|p| (p.host, p.port));
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(place("192.0.2.1"), is("192.0.2.1", None));
        assert_eq!(place("[::1]:5070"), is("[::1]", Some(5070)));
        assert_eq!(place("::1"), is("[::1]", None));
        assert_eq!(place("pcscf.example.org"), is("pcscf.example.org", None));
        assert_eq!(place("sip.example.org:5080"), is("sip.example.org", Some(5080)));
        assert_eq!(place("a b"), None);
        assert_eq!(place("sip.example.org:x"), None);
    }
}
