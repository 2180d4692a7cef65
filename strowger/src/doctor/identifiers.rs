//! The names of all findings. They are for programs too: none is ever renamed.

use std::fmt;

/// How bad it is. The order is that of a report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// No call, or none for some, or no voice in it.
    StopsCalls,
    /// Calls are possible; something else is not as it should be.
    Loses,
    /// Worth knowing; it may be meant so.
    Note,
}

impl Severity {
    /// The words of a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::StopsCalls => "stops calls",
            Severity::Loses => "loses something",
            Severity::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What can be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identifier {
    /// The name: short, stable, kebab-case.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means, on one line.
    pub line: &'static str,
}

macro_rules! identifiers {
    ($($constant:ident $name:literal $severity:ident $line:literal;)*) => {
        $(
            #[doc = $line]
            pub const $constant: Identifier =
                Identifier { name: $name, severity: Severity::$severity, line: $line };
        )*
        /// All of them, by subject.
        pub const ALL: &[Identifier] = &[$($constant),*];
    };
}

identifiers! {
    CONFIG_UNREADABLE "config-unreadable" StopsCalls "the configuration file cannot be read";
    CONFIG_WRONG "config-wrong" StopsCalls "the configuration has mistakes, so that nothing starts";
    MIN_EXPIRES_LONG "min-expires-long" Note "phones that register for an hour are refused at first";
    MAX_EXPIRES_SHORT "max-expires-short" Note "phones have to register again within two minutes";

    PORT_IN_USE "port-in-use" StopsCalls "another program holds an address that we listen on";
    PORT_PRIVILEGED "port-privileged" StopsCalls "this user may not listen on such a low port";
    PORT_REFUSED "port-refused" StopsCalls "the system refuses an address that we listen on";
    ADDRESS_NOT_HERE "address-not-here" StopsCalls "this machine has not the address that we listen on";
    IPV6_OFF "ipv6-off" StopsCalls "an IPv6 address is to be listened on, and IPv6 is off";
    NO_ENTRY "no-entry" StopsCalls "the P-CSCF listens nowhere: no phone can reach it";
    LOOPBACK_ONLY "loopback-only" Note "only phones on this machine can register";
    LISTEN_WILDCARD "listen-wildcard" Note "a function listens on all addresses instead of named ones";
    MTU_SMALL "mtu-small" Loses "a network interface takes only small packets: long SIP messages break up";

    MEDIA_ADDRESS_NOT_HERE "media-address-not-here" StopsCalls "this machine has not the relay's address";
    MEDIA_LOOPBACK "media-loopback" StopsCalls "phones of other machines are told to send their voice to loopback";
    MEDIA_FAMILY "media-family" Loses "phones of one IP version find no relay address of theirs";
    MEDIA_PRIVATE "media-private" Loses "phones on the Internet are told to send their voice to a private address";
    SOUNDS_UNREADABLE "sounds-unreadable" StopsCalls "the relay's sounds cannot be played, so that nothing starts";
    RECORDINGS_NOT_WRITABLE "recordings-not-writable" StopsCalls "calls cannot be recorded where they are to be, so that nothing starts";
    PORTS_FEW "ports-few" Loses "the relay's ports are enough for a few calls only";
    PORTS_EPHEMERAL "ports-ephemeral" Loses "the system gives the relay's ports to other programs, too";
    PORTS_OVERLAP_LISTENER "ports-overlap-listener" Loses "a listener's port is among the relay's ports";

    RESOLVER_MISSING "resolver-missing" StopsCalls "a name must be looked up, and there is no name server";
    RESOLVER_SILENT "resolver-silent" StopsCalls "a name must be looked up, and no name server answers";
    FUNCTION_NOWHERE "function-nowhere" StopsCalls "a function that ours need runs nowhere that is known";

    CLOCK_BEHIND "clock-behind" Loses "the clock is earlier than it can be";
    CLOCK_UNSYNCHRONISED "clock-unsynchronised" Note "nothing keeps the clock right";

    FILES_FEW "files-few" Loses "this process may open too few files for the calls that the ports allow";
    RECEIVE_BUFFER_SMALL "receive-buffer-small" Note "bursts of messages may be lost before they are read";
    MEMORY_SMALL "memory-small" Loses "the memory is less than the program's caches";
    SIP_HELPER "sip-helper" Loses "the kernel's firewall rewrites SIP messages";

    STATE_NOWHERE "state-nowhere" StopsCalls "no place to keep subscribers is known";
    STORE_NOT_WRITABLE "store-not-writable" StopsCalls "the store cannot be written";
    STORE_FOREIGN "store-foreign" StopsCalls "the store's file is damaged or something else";
    STORE_VERSION "store-version" StopsCalls "another version of this program wrote the store";
    STORE_IN_USE "store-in-use" StopsCalls "another process has the store open";
    CONTROL_REFUSED "control-refused" StopsCalls "another user's process runs with this state";
    CONTROL_PATH_LONG "control-path-long" Loses "the control socket's path is too long to be used";
    DISK_FULL "disk-full" Loses "the disk of the store is nearly full";
    STORE_IN_MEMORY "store-in-memory" Loses "the store is in memory and gone after a restart of the machine";
    STORE_READABLE "store-readable" Loses "others may read the store, and with it the subscribers' keys";

    PEER_REFUSES "peer-refuses" StopsCalls "nobody listens where a function should be";
    PEER_SILENT "peer-silent" StopsCalls "a function does not answer";
    PEER_UNREACHABLE "peer-unreachable" StopsCalls "no network leads to where a function should be";
    PEER_OTHER_TRANSPORT "peer-other-transport" StopsCalls "a function answers on the other transport only";
    PEER_OTHER_PROTOCOL "peer-other-protocol" StopsCalls "something else answers where a function should be";
    PEER_UNWELL "peer-unwell" StopsCalls "a SIP function says that it takes no calls now";
    PEER_CLOSES "peer-closes" StopsCalls "the HSS hangs up on us without an answer";
    PEER_REJECTS "peer-rejects" StopsCalls "the HSS answers that it does not want us";
    IDENTITY_TAKEN "identity-taken" StopsCalls "another process is connected to the HSS under our name";
    PEER_WITHOUT_CX "peer-without-cx" StopsCalls "a Diameter server is no HSS: it does not speak Cx";
    RELAY_NO_PONG "relay-no-pong" StopsCalls "the media relay answers a ping with something else";
    REALM_OTHER "realm-other" StopsCalls "the HSS serves another domain than ours";
    PEER_NAME_OTHER "peer-name-other" StopsCalls "the HSS has another name than we know it by";

    NO_SUBSCRIBERS "no-subscribers" StopsCalls "nobody can register: there is no subscriber";
    SUBSCRIBER_OTHER_DOMAIN "subscriber-other-domain" StopsCalls "subscribers of another domain cannot register";
    SUBSCRIBER_DAMAGED "subscriber-damaged" Loses "a subscriber's record cannot be read";
    IMSI_OTHER_NETWORK "imsi-other-network" Loses "a SIM's own network is another than ours";

    SCSCF_WITHOUT_ADDRESS "scscf-without-address" Loses "application servers cannot answer back to the S-CSCF";
    SERVER_UNREACHABLE "server-unreachable" Loses "an application server does not answer";
    SERVER_NAME_UNKNOWN "server-name-unknown" Loses "an application server's name has no address";
    SERVER_UNTRUSTED "server-untrusted" Loses "an application server is treated as a stranger";
    SERVER_CIRCLE "server-circle" Loses "an application server's address is our own listener";

    OUTSIDE_UNUSED "outside-unused" Loses "an emergency centre or a trunk is configured, and its function does not run";
    OUTSIDE_WITHOUT_ADDRESS "outside-without-address" Loses "emergency centres or trunks have no address of ours to send to";
    OUTSIDE_FROM_UNKNOWN "outside-from-unknown" Loses "requests of an emergency centre or a trunk are refused";

    TRUST_EVERYBODY "trust-everybody" Loses "every host may claim any identity and ask the HSS for keys";
    TRUST_PHONES "trust-phones" Note "the network that phones register in is trusted";
    NOBODY_ADMITTED "nobody-admitted" StopsCalls "functions on other hosts are refused as strangers";

    TLS_FILE_UNREADABLE "tls-file-unreadable" StopsCalls "a certificate or a key cannot be read";
    TLS_KEY_OTHER "tls-key-other" StopsCalls "the certificate belongs to another key";
    TLS_EXPIRED "tls-expired" StopsCalls "the certificate is no longer valid";
    TLS_NOT_YET_VALID "tls-not-yet-valid" StopsCalls "the certificate is not valid yet";
    TLS_NAME_OTHER "tls-name-other" StopsCalls "the certificate names neither the domain nor our functions";

    RELAY_UNWATCHED "relay-unwatched" Loses "no other relay notices when this one dies, so that none goes on with its calls";
    SHARED_AWAY "shared-away" Loses "other nodes hear of no registration: what they share them by is not there";
    SHARED_DENIES "shared-denies" Loses "other nodes hear of no registration: what they share them by lets us not in";
    SHARED_OTHER_PROTOCOL "shared-other-protocol" Loses "nodes share registrations by something that is no Redis";

    PAGE_REFUSED "page-refused" StopsCalls "the metrics or the API cannot be listened for, so that nothing starts";
    API_IN_CLEAR "api-in-clear" Loses "the API's token crosses the network unencrypted";
    COLLECTOR_AWAY "collector-away" Loses "nobody listens where the trace is sent to";

    SEAM_CIRCLE "seam-circle" StopsCalls "a function is said to be elsewhere, at our own listener";
    FUNCTION_UNREACHABLE "function-unreachable" StopsCalls "others need a function that listens nowhere";
    SEAM_LOOPBACK "seam-loopback" StopsCalls "a function on another host cannot reach one that listens on loopback";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let mut names: Vec<&str> = ALL.iter().map(|identifier| identifier.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(names.iter().all(|name| name.len() <= 24 && name.chars().all(legal)), "{names:?}");
    }
}
