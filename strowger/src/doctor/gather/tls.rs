//! Looks at the files of TLS.

use engine::net::tls::{Tls, TlsConfig, inspect};

use crate::doctor::facts::Certificates;
use crate::plan::Plan;

/// What is wrong with them at this time, in seconds since 1970.
pub(super) fn look(plan: &Plan, now: u64) -> Certificates {
    let mut found = Certificates::default();
    let tls = &plan.tls;
    let listening = tls.here.keys().map(|role| plan.host(*role));
    found.names = std::iter::once(plan.domain.clone()).chain(listening).collect();
    let mut read = |key, path: &Option<std::path::PathBuf>| {
        let path = path.as_ref()?;
        let read = std::fs::read(path);
        read.map_err(|error| found.files.push((key, format!("{}: {error}", path.display())))).ok()
    };
    let certificate = read("certificate", &tls.certificate);
    let key = read("key", &tls.key);
    let ca = read("ca", &tls.ca);
    if let (Some(certificate), Some(key)) = (certificate, key) {
        let names: Vec<&str> = found.names.iter().map(String::as_str).collect();
        found.faults = inspect(&certificate, &key, now, &names);
    }
    if let Some(authorities) = ca {
        let config = TlsConfig { authorities: Some(authorities), ..TlsConfig::default() };
        let useless = Tls::new(&config).err();
        found.files.extend(useless.map(|error| ("ca", error.to_string())));
    }
    found
}

#[cfg(test)]
mod tests {
    use engine::net::tls::Fault;

    use super::*;
    use crate::plan::Role;

    #[test]
    fn files_are_looked_at() {
        let file = |name: &str| {
            let folder =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/tls");
            Some(folder.join(name))
        };
        let mut plan = Plan::all_in_one("ims.test");
        assert_eq!(look(&plan, 0).faults, []);
        plan.tls.here.insert(Role::Scscf, Vec::new());
        plan.tls.certificate = file("proxy.pem");
        plan.tls.key = file("proxy.key");
        plan.tls.ca = file("authority.pem");
        let found = look(&plan, 2_000_000_000);
        assert_eq!((found.files, found.faults), (Vec::new(), Vec::new()));
        assert_eq!(found.names, ["ims.test", "scscf.ims.test"]);
        plan.tls.key = file("core.key");
        plan.tls.ca = file("core.key");
        let found = look(&plan, 2_000_000_000);
        assert_eq!(found.faults, [Fault::OtherKey]);
        assert_eq!(found.files[0].0, "ca");
        plan.tls.certificate = file("nowhere.pem");
        assert_eq!(look(&plan, 2_000_000_000).files[0].0, "certificate");
    }
}
