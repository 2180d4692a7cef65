//! A whole IMS on loopback for a few digest users, without a configuration.
#![allow(clippy::print_stdout, missing_docs)]

use base::machine::Order;
use base::redact::Secret;
use engine::{FunctionSpec, Live, LiveConfig};
use strowger::plan::{Plan, Role};
use strowger::provision::{Provision, Provisioner};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).and_then(|p| p.parse().ok()).unwrap_or(5060);
    let mut plan = Plan::all_in_one("ims.test");
    plan.here.insert(
        Role::Pcscf,
        vec![
            (
                std::env::var("IP")
                    .ok()
                    .and_then(|ip| ip.parse::<std::net::IpAddr>().ok())
                    .unwrap_or([127, 0, 0, 1].into()),
                port,
            )
                .into(),
        ],
    );
    plan.anchor_media = std::env::args().nth(2).as_deref() != Some("nomedia");
    plan.media = plan.here[&Role::Pcscf].iter().map(|a| a.ip()).collect();
    let mut live =
        Live::new(LiveConfig { framings: strowger::framing::framings, ..Default::default() })?;
    let mut random = live.random();
    let provisioner = live.add(FunctionSpec {
        name: "provisioner".into(),
        hosts: vec![],
        function: Box::<Provisioner>::default(),
        listeners: vec![],
        tables: &[],
    })?;
    for spec in strowger::assembly::functions(&plan, &mut random) {
        live.add(spec)?;
    }
    live.relay(Default::default(), Box::<strowger::relay::RtpForward>::default())?;
    let handle = live.handle();
    let mut changes = Vec::new();
    for (n, name) in ["alice", "bob", "carol"].iter().enumerate() {
        let s = hss::Subscriber::with_password(
            name,
            &Secret::new("secret".into()),
            &[format!("4930100{n}")],
            "ims.test",
        )?;
        changes.extend(hss::records(&s));
    }
    let key = |t: &str| {
        let mut out = [0u8; 16];
        for (i, o) in out.iter_mut().enumerate() {
            *o = u8::from_str_radix(&t[2 * i..2 * i + 2], 16).expect("hex");
        }
        Secret::new(out)
    };
    let sim = hss::Subscriber::from_sim(
        "001010000000001",
        &["4930200".to_string()],
        key("fec86ba6eb707ed08905757b1bb44b8f"),
        hss::subscriber::OperatorKey::Op(key("dbc59adcb6f9a0ef735477b7fadf8374")),
        [0x72, 0x5c],
        "ims.test",
    )?;
    println!("sim impi {}", sim.impi);
    changes.extend(hss::records(&sim));
    handle.order(provisioner, Order(Box::new(Provision { number: 1, changes })))?;
    let (console, notices) = engine::net::notices(engine::net::NOTICES);
    std::thread::spawn(move || {
        for notice in notices {
            println!("{notice:?}");
        }
    });
    live.run(
        |now: base::Instant, c: &engine::shard::Crossing<'_>| {
            let text = String::from_utf8_lossy(c.bytes);
            println!(
                "{now:?} {:?} {:?} {} -> {}: {}",
                c.direction,
                c.service,
                c.from.name.unwrap_or("?"),
                c.to.name.unwrap_or("?"),
                text.lines().next().unwrap_or("")
            );
            if std::env::var_os("FULL").is_some() && c.service == base::Service::Sip {
                println!("{text}");
            }
        },
        console,
    )?;
    Ok(())
}
