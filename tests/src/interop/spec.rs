//! What the child process runs, as one line of JSON, its first on standard input.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use auth::milenage::Key;
use base::redact::Secret;
use serde::{Deserialize, Serialize};

/// The key of every SIM: TS 35.208 set 3. SIPp cannot read a key with a byte 0x5b, as set 1 has.
pub const K: &str = "fec86ba6eb707ed08905757b1bb44b8f";

/// The operator's key, of the same set.
pub const OP: &str = "dbc59adcb6f9a0ef735477b7fadf8374";

/// The authentication management field, of the same set.
pub const AMF: [u8; 2] = [0x72, 0x5c];

/// The password of every subscriber that has one.
pub const PASSWORD: &str = "secret";

/// The functions, subscribers and phones of a process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Spec {
    /// Functions and where they listen; `None` is a whole network whose P-CSCF listens.
    pub here: Option<BTreeMap<String, Vec<SocketAddr>>>,
    /// Functions of other programs.
    pub elsewhere: BTreeMap<String, SocketAddr>,
    /// Subscribers with passwords: name and number.
    pub passwords: Vec<(String, String)>,
    /// Subscribers with SIMs: IMSI and number.
    pub sims: Vec<(String, String)>,
    /// Phones that run in the process.
    pub phones: Vec<PhoneSpec>,
    /// Filter criteria that all subscribers share.
    pub ifc: Vec<String>,
    /// Whether the P-CSCF also takes TLS, at port 5061.
    pub tls: bool,
    /// Addresses of application servers.
    pub trusted: Vec<IpAddr>,
    /// Who answers emergency calls; the E-CSCF listens on port 5090 then.
    pub centres: Vec<String>,
    /// Trunks; the BGCF listens on port 5080 then.
    pub routes: Vec<String>,
    /// The domain below which ENUM finds numbers.
    pub enum_suffix: Option<String>,
    /// The folder of sounds that the relay can play.
    pub sounds: Option<PathBuf>,
    /// The folder where calls are recorded.
    pub recordings: Option<PathBuf>,
    /// Where everything that crossed is written at the end.
    pub capture: Option<String>,
}

/// One phone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhoneSpec {
    /// What it is called in orders and reports.
    pub name: String,
    /// The subscriber's name or IMSI.
    pub user: String,
    /// Whether it has a SIM.
    pub sim: bool,
    /// The highest sequence number (SEQ) that its SIM has seen; the HSS begins with 1.
    pub seq: u64,
    /// Where it listens.
    pub address: IpAddr,
    /// And at which port.
    pub port: u16,
    /// Where it registers.
    pub proxy: SocketAddr,
    /// Whether it goes there by TCP.
    pub tcp: bool,
    /// Which prompt it says again and again: `alice` or `bob`.
    pub says: String,
}

impl Spec {
    /// A subscriber with a password: everybody's is [`PASSWORD`].
    #[must_use]
    pub fn password(mut self, name: &str, number: &str) -> Spec {
        self.passwords.push((name.to_owned(), number.to_owned()));
        self
    }

    /// A subscriber with a SIM and its phone.
    #[must_use]
    pub fn sim_phone(mut self, name: &str, imsi: &str, number: &str, port: u16) -> Spec {
        self.sims.push((imsi.to_owned(), number.to_owned()));
        self.phone(name, imsi, true, port)
    }

    /// A phone with a password, without a subscriber.
    #[must_use]
    pub fn password_phone(self, name: &str, port: u16) -> Spec {
        self.phone(name, name, false, port)
    }

    fn phone(mut self, name: &str, user: &str, sim: bool, port: u16) -> Spec {
        let address: IpAddr = super::HERE.parse().expect("an address");
        let proxy = SocketAddr::new(address, 5060);
        let says = if self.phones.is_empty() { "alice" } else { "bob" };
        self.phones.push(PhoneSpec {
            name: name.to_owned(),
            user: user.to_owned(),
            sim,
            seq: 0,
            address,
            port,
            proxy,
            tcp: false,
            says: says.to_owned(),
        });
        self
    }

    /// Nothing but phones, at this address, of a network elsewhere.
    #[must_use]
    pub fn phones_at(mut self, address: IpAddr, proxy: SocketAddr) -> Spec {
        self.here = Some(BTreeMap::new());
        self.phones.iter_mut().for_each(|phone| (phone.address, phone.proxy) = (address, proxy));
        self
    }

    /// Functions and their listeners, in place of a whole network whose P-CSCF listens.
    #[must_use]
    pub fn here(mut self, functions: &[(&str, Option<u16>)]) -> Spec {
        let at = |port| SocketAddr::new(super::HERE.parse().expect("an address"), port);
        let here = functions
            .iter()
            .map(|(role, port)| ((*role).to_owned(), port.iter().map(|port| at(*port)).collect()));
        self.here = Some(here.collect());
        self
    }
}

/// A file of the engine's test certificates.
pub fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/tls").join(name)
}

/// A key of hexadecimal digits.
///
/// # Panics
/// If it is none.
pub fn key(hex: &str) -> Key {
    let number = u128::from_str_radix(hex, 16).expect("hexadecimal digits");
    Secret::new(number.to_be_bytes())
}
