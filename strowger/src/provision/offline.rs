//! The provisioner on a store file that no process runs.

use base::machine::{Function, Input, Order};
use base::store::{Change, Durability, StoreError};
use base::{Instant, Output};
use engine::DiskStore;
use engine::shard::Store;

use super::{Answer, Ask, Found, Provisioner, Refusal, Request, StoredRecord};

/// Drives a [`Provisioner`] by hand.
pub struct Offline {
    store: DiskStore,
    provisioner: Provisioner,
}

impl Offline {
    /// Takes an open store.
    pub fn new(store: DiskStore) -> Offline {
        Offline { store, provisioner: Provisioner::default() }
    }

    /// Does or finds what is asked.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn ask(&mut self, ask: Ask) -> Result<Found, Refusal> {
        if matches!(ask, Ask::Deregister { .. }) {
            return Err(Refusal::NotRunning);
        }
        let now = Instant::EPOCH;
        self.provisioner.handle(now, Input::Order(Order(Box::new(Request { number: 0, ask }))));
        while let Some(output) = self.provisioner.poll() {
            match output {
                Output::Load { load, table, key } => {
                    let value = self.store.load(table, &key);
                    self.provisioner.handle(now, Input::Loaded { load, value });
                }
                Output::Scan { load, table, after, limit } => {
                    let keys = self.store.keys(table, after.as_deref(), limit);
                    self.provisioner.handle(now, Input::Scanned { load, keys });
                }
                Output::Store { durability, changes, commit } => {
                    self.store.write(now, durability, changes);
                    let result = self.store.commit(now);
                    if let Some(commit) = commit {
                        self.provisioner.handle(now, Input::Committed { commit, result });
                    }
                }
                Output::Report(report) => {
                    if let Ok(answer) = report.0.downcast::<Answer>() {
                        return answer.result;
                    }
                }
                _ => {}
            }
        }
        Err(Refusal::Store(StoreError::Failed))
    }

    /// Writes records as they are, all or none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&mut self, records: &[StoredRecord]) -> Result<(), StoreError> {
        let put = |record: &StoredRecord| Change::Put {
            table: record.table,
            key: record.key.clone(),
            value: record.value.clone(),
        };
        let changes = records.iter().map(put).collect();
        self.store.write(Instant::EPOCH, Durability::Before, changes);
        self.store.commit(Instant::EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::redact::Secret;
    use engine::store::SimulatedDisk;
    use hss::Subscriber;
    use hss::import::Imported;
    use hss::records::SUBSCRIBER;

    fn alice(name: &str, number: &str) -> Imported {
        let password = Secret::new("p".to_owned());
        let numbers = [number.to_owned()];
        let subscriber = Subscriber::with_password(name, &password, &numbers, "ex.org").unwrap();
        Imported { subscriber, seq: Some(7) }
    }

    fn put(subscribers: Vec<Imported>) -> Ask {
        Ask::Put { subscribers, replace: false, check: false }
    }

    #[test]
    fn a_batch_is_written_as_a_whole_or_not_at_all() {
        let store = DiskStore::simulated(SimulatedDisk::new(1));
        let mut offline = Offline::new(store);
        let list = Ask::List { after: None };
        let clash = put(vec![alice("a", "491"), alice("b", "491")]);
        let taken = Refusal::Taken { impu: "sip:+491@ex.org".into(), impi: "a@ex.org".into() };
        assert_eq!(offline.ask(clash), Err(taken));
        let twice = put(vec![alice("a", "491"), alice("a", "492")]);
        assert_eq!(offline.ask(twice), Err(Refusal::Exists("a@ex.org".into())));
        let many = vec![alice("a", "491"); super::super::PAGE + 1];
        assert_eq!(offline.ask(put(many)), Err(Refusal::TooMany));
        let one = vec![alice("a", "491")];
        let check = Ask::Put { subscribers: one, replace: false, check: true };
        assert_eq!(offline.ask(check).unwrap().subscribers.len(), 1);
        assert_eq!(offline.ask(list.clone()), Ok(Found::default()), "nothing is written");
        offline.ask(put(vec![alice("a", "491"), alice("b", "492")])).unwrap();
        assert_eq!(offline.ask(list).unwrap().subscribers.len(), 2);
        let seq = offline.store.load(hss::records::SQN, b"a@ex.org").unwrap().unwrap();
        assert_eq!(hss::records::parse_sqn(&seq).unwrap(), 7);
    }

    #[test]
    fn a_damaged_record_is_named() {
        let mut store = DiskStore::simulated(SimulatedDisk::new(1));
        let (key, value) = ("x@ex.org".into(), "{".into());
        let change = Change::Put { table: SUBSCRIBER, key, value };
        store.write(Instant::EPOCH, Durability::Before, vec![change]);
        let mut offline = Offline::new(store);
        let refusal = offline.ask(Ask::Show(vec!["x@ex.org".into()])).unwrap_err();
        assert!(matches!(refusal, Refusal::Damaged(whose, _) if whose == "x@ex.org"));
    }
}
