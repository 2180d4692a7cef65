//! What differs between two configurations, and what of it a running process takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::{Config, keys};
use crate::plan::Role;

/// Keys as they stand in the file, such as `trust.networks`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Changes {
    /// What a running process takes over.
    pub live: Vec<String>,
    /// What the next start takes over.
    pub restart: Vec<String>,
}

/// Keys that say whether a function runs here.
const MOVING: [&str; 3] = ["at", "centre", "routes"];

/// What a file says, in one form for equal values: the value by section and key.
pub(crate) type Said = BTreeMap<(String, String), String>;

/// A value in its one form.
pub(super) fn form(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(integer) => {
            let number = i128::from_str_radix(integer.as_str(), integer.radix());
            number.map_or_else(|_| integer.to_string(), |number| number.to_string())
        }
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(list) => {
            let items: Vec<String> = list.iter().map(|item| form(item.get_ref())).collect();
            // One text and a list of one text mean the same.
            if let [one] = &items[..] { one.clone() } else { format!("[{}]", items.join(", ")) }
        }
        DeValue::Table(table) => {
            let items = table
                .iter()
                .map(|(key, value)| format!("{:?} = {}", key.get_ref(), form(value.get_ref())));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
    }
}

impl Config {
    /// What a process that runs with this configuration works with once `new` is loaded: `new`, but for
    /// the keys that need a restart. `roles` and `loopback` are those of [`Config::plan`].
    pub fn take_over(
        &self,
        new: Config,
        roles: Option<&BTreeSet<Role>>,
        loopback: &[IpAddr],
    ) -> (Config, Changes) {
        let here = |config: &Config| -> Vec<Role> {
            config.plan(roles, loopback).here.into_keys().collect()
        };
        let mut next = Config {
            domain: self.domain.clone(),
            store: self.store.clone(),
            roles: self.roles.clone(),
            listen: self.listen.clone(),
            scscf_name: self.scscf_name.clone(),
            pcscf_name: self.pcscf_name.clone(),
            media_ports: self.media_ports,
            recordings: self.recordings.clone(),
            recording_form: self.recording_form,
            xdp: self.xdp,
            takeover: self.takeover,
            connections: self.connections,
            shared: self.shared.clone(),
            resp: self.resp.clone(),
            media_doors: self.media_doors.clone(),
            ..new
        };
        next.tls.here.clone_from(&self.tls.here);
        next.tls.require_client_certificate = self.tls.require_client_certificate;
        // Listeners cannot do without.
        if !next.tls.here.is_empty() && next.tls.certificate.is_none() {
            next.tls.clone_from(&self.tls);
        }
        // Where no roles are named, these say whether a function runs here.
        let moves = here(self) != here(&next);
        if moves {
            next.at.clone_from(&self.at);
            next.centres.clone_from(&self.centres);
            next.routes.clone_from(&self.routes);
        }
        let keys: BTreeSet<_> = self.said.keys().chain(next.said.keys()).cloned().collect();
        let mut changes = Changes::default();
        for key in keys {
            let (before, after) = (self.said.get(&key).cloned(), next.said.get(&key));
            if before.as_ref() == after {
                continue;
            }
            let (section, name) = &key;
            let full = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
            let live = keys::find(section, name).is_some_and(|key| key.live);
            if live && !(moves && MOVING.contains(&name.as_str())) {
                changes.live.push(full);
                continue;
            }
            changes.restart.push(full);
            // What is not taken over is still different the next time.
            match before {
                Some(before) => next.said.insert(key, before),
                None => next.said.remove(&key),
            };
        }
        (next, changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Config {
        Config::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_is_and_is_told_again() {
        let before = read("domain = \"a.test\"\n[pcscf]\nlisten = \"127.0.0.1:5060\"\n");
        let text = "domain = \"b.test\"\n[pcscf]\nlisten = [\"127.0.0.1:5061\"]\n\
                    [registration]\nmax_expires = 600\n[trust]\nnetworks = \"10.0.0.0/8\"\n";
        let (next, changes) = before.take_over(read(text), None, &[]);
        assert_eq!(changes.live, ["registration.max_expires", "trust.networks"]);
        assert_eq!(changes.restart, ["domain", "pcscf.listen"]);
        assert_eq!((next.domain(), &next.listen), ("a.test", &before.listen));
        assert_eq!((next.max_expires, next.trusted.len()), (Some(600), 1));
        let (_, again) = next.take_over(read(text), None, &[]);
        assert_eq!(again, Changes { live: Vec::new(), restart: changes.restart });
    }

    #[test]
    fn other_words_for_the_same_are_no_change() {
        let before = read("[registration]\nmax_expires = 600\n[pcscf]\nlisten = [\"[::1]:0\"]\n");
        let same =
            read("[pcscf]\nlisten = '[::1]:0' # here\n[registration]\nmax_expires = 0x258\n");
        let (next, changes) = before.take_over(same, None, &[]);
        assert_eq!((next, changes), (before, Changes::default()));
    }

    #[test]
    fn a_function_moves_with_a_restart_but_changes_its_place_at_once() {
        let before = read("[hss]\nat = \"10.0.0.1:3868\"\n");
        let other = read("[hss]\nat = \"10.0.0.2:3868\"\n");
        let (next, changes) = before.take_over(other.clone(), None, &[]);
        assert_eq!((changes.live, next.at), (vec!["hss.at".to_owned()], other.at));
        let (next, changes) = before.take_over(read(""), None, &[]);
        assert_eq!((changes.restart, next.at), (vec!["hss.at".to_owned()], before.at.clone()));
        let centre = read("[hss]\nat = \"10.0.0.1:3868\"\n[ecscf]\ncentre = \"sip:a@10.0.0.9\"\n");
        let (next, changes) = before.take_over(centre.clone(), None, &[]);
        assert_eq!((changes.restart, next.centres), (vec!["ecscf.centre".to_owned()], vec![]));
        let other = read("[hss]\nat = \"10.0.0.1:3868\"\n[ecscf]\ncentre = \"sip:b@10.0.0.9\"\n");
        let (next, changes) = centre.take_over(other.clone(), None, &[]);
        assert_eq!((changes.live, next.centres), (vec!["ecscf.centre".to_owned()], other.centres));
    }

    /// Whoever adds a key says when it takes effect, and this file does as he says.
    #[test]
    fn every_key_is_taken_over_when_it_says() {
        let value = |key: &keys::Key| match key.kind {
            keys::Kind::Domain => "\"x.test\"",
            keys::Kind::Path => "\"x.redb\"",
            keys::Kind::Roles => "\"hss\"",
            keys::Kind::Listen => "\"127.0.0.1:7\"",
            keys::Kind::Seams => "\"127.0.0.2:7\"",
            keys::Kind::Addresses => "\"127.0.0.3\"",
            keys::Kind::Ports => "\"2000-2999\"",
            keys::Kind::Hosts => "\"trunk.example\"",
            keys::Kind::Networks => "\"10.0.0.0/8\"",
            keys::Kind::Seconds | keys::Kind::Number => "4711",
            keys::Kind::Switch => "false",
            keys::Kind::Criteria => "\"sip:as.test\"",
            keys::Kind::SipUri => "\"sip:as.test\"",
            keys::Kind::SipUris => "[\"sip:scscf-1.test\", \"sip:scscf-2.test\"]",
            keys::Kind::Msisdn => "\"4930\"",
            keys::Kind::EmergencyNumbers => "\"113\"",
            keys::Kind::Centres => "\"sip:psap@192.0.2.1\"",
            keys::Kind::Services => "\"sip:a@b.test at sip:as.test\"",
            keys::Kind::Routes => "\"+49=sip:192.0.2.1\"",
            keys::Kind::Digits => "\"49\"",
            keys::Kind::Domains => "[\"x.test\"]",
            keys::Kind::Digest => "[\"SHA-256\"]",
            keys::Kind::Collector => "\"127.0.0.1:9060\"",
            keys::Kind::Servers => "\"valkey.test:6380\"",
            keys::Kind::Label => "\"b\"",
            keys::Kind::Form => "\"mono\"",
        };
        let all = keys::SECTIONS.iter().flat_map(|(section, keys)| {
            keys.iter().map(move |key| (format!("[{section}]\n"), format!("{section}."), key))
        });
        let top = keys::TOP.iter().map(|key| (String::new(), String::new(), key));
        // So that the place of a function says nothing of where it runs.
        let roles: BTreeSet<Role> = [Role::Pcscf].into();
        for (section, prefix, key) in all.chain(top) {
            // Some say nothing without another.
            let needs: &[(&str, &str)] = match key.name {
                "national" | "international" => &[("country", "\"49\"")],
                "servers" | "node" => &[("servers", "\"v.test\""), ("node", "\"a\"")],
                "certificate" | "key" => &[("certificate", "\"a\""), ("key", "\"b\"")],
                _ => &[],
            };
            let text = |lines: BTreeMap<&str, &str>| {
                let lines = lines.iter().map(|(name, value)| format!("{name} = {value}\n"));
                format!("{section}{}", lines.collect::<String>())
            };
            let old = read(&text(needs.iter().copied().collect()));
            let new = needs.iter().copied().chain([(key.name, value(key))]);
            let new = read(&text(new.collect()));
            let (next, changes) = old.take_over(new.clone(), Some(&roles), &[]);
            let name = format!("{prefix}{}", key.name);
            let (live, restart) =
                if key.live { (vec![name], vec![]) } else { (vec![], vec![name]) };
            assert_eq!(changes, Changes { live, restart });
            let expected = if key.live { new } else { old };
            assert_eq!(next, expected, "{prefix}{}", key.name);
        }
    }
}
