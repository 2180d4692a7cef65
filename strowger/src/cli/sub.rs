//! `strowger sub`: subscribers, in the running process or in a store that nobody runs.

mod add;
mod import;
mod show;

use std::path::PathBuf;

use clap::Subcommand;
use hss::Subscriber;
use hss::import::{Imported, csv_export, csv_export_header};

use super::trace::export::write;
use super::{Failure, Place, print};
use crate::config::Config;
use crate::control::Client;
use crate::provision::{Ask, Found, Offline, names};
use crate::state::State;

/// Add, show, list, bar, remove, import and export subscribers
///
/// If `strowger run` runs with the same state, it is asked through its control socket, and the network
/// follows what was changed at once; if not, the store itself is read and written.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Add(add::Args),
    /// Show a subscriber; secrets only if asked for
    Show {
        /// A private or public identity, a number, an IMSI, or a name
        who: String,
        /// Show keys too
        #[arg(long)]
        with_secrets: bool,
    },
    /// List all subscribers
    List,
    /// Remove subscribers with everything that is kept about them
    Rm {
        /// Private or public identities, numbers, IMSIs, or names
        #[arg(required = true)]
        who: Vec<String>,
    },
    /// Bar subscribers: they can neither register nor call nor be called
    ///
    /// Who is registered is deregistered at once. `sub unbar` takes it back.
    Bar {
        /// Private or public identities, numbers, IMSIs, or names
        #[arg(required = true)]
        who: Vec<String>,
    },
    /// Unbar subscribers: they can register again
    ///
    /// An identity that follows from an IMSI stays only to register if there is a number, as when the
    /// subscriber was added.
    Unbar {
        /// Private or public identities, numbers, IMSIs, or names
        #[arg(required = true)]
        who: Vec<String>,
    },
    /// End the registration of subscribers, in a running process
    ///
    /// Their phones are told, and stay away until they register again by themselves. Nothing keeps them
    /// from it: `sub bar` does.
    Deregister {
        /// Private or public identities, numbers, IMSIs, or names
        #[arg(required = true)]
        who: Vec<String>,
        /// Their phones are to register again at once
        #[arg(long)]
        again: bool,
        /// Why; it is told to the S-CSCF
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Add all subscribers of a CSV file, or of Open5GS documents in JSON
    ///
    /// CSV needs a header; columns are name, imsi, msisdn, k, op, opc, amf, password, ha1, domain,
    /// ifc, in any order. Numbers are separated by spaces or semicolons, filter criteria (as --ifc of
    /// `sub add` takes them) by a semicolon between spaces. JSON is what mongoexport writes:
    /// one document after another, or a list. Nothing is written if anything is wrong.
    Import(import::Args),
    /// Write all subscribers as CSV. It holds their keys
    Export {
        /// Write there, for the owner only [default: standard output]
        file: Option<PathBuf>,
    },
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let (config, _) = args.place.load()?;
    let state = args.place.state(&config)?;
    let open = || Subscribers::open(&state);
    match args.command {
        Command::Add(add) => {
            let (subscriber, replace) = (add.subscriber(&config)?, add.replace);
            let imported = vec![Imported { subscriber: subscriber.clone(), seq: None }];
            open()?.ask(Ask::Put { subscribers: imported, replace, check: false })?;
            print(&show::one(&subscriber, false))
        }
        Command::Show { who, with_secrets } => {
            let found = open()?.ask(Ask::Show(called(&who, &config)))?;
            found.subscribers.iter().try_for_each(|s| print(&show::one(s, with_secrets)))
        }
        Command::List => open()?.each(|page| print(&show::rows(page))),
        Command::Rm { who } => each_of(open()?, &who, &config, "removed", Ask::Remove),
        Command::Bar { who } => {
            each_of(open()?, &who, &config, "barred", |names| Ask::Bar { names, barred: true })
        }
        Command::Unbar { who } => {
            let ask = |names| Ask::Bar { names, barred: false };
            each_of(open()?, &who, &config, "no longer barred", ask)
        }
        Command::Deregister { who, again, reason } => {
            let ask = |names| Ask::Deregister { names, again, reason: reason.clone() };
            each_of(open()?, &who, &config, "deregistered", ask)
        }
        Command::Import(import) => import.run(&config, open),
        Command::Export { file } => {
            let mut text = csv_export_header() + "\n";
            open()?.each(|page| {
                page.iter().for_each(|subscriber| text += &(csv_export(subscriber) + "\n"));
                Ok(())
            })?;
            let Some(file) = file else { return print(&text) };
            if file.exists() {
                let named = file.display();
                return Err(Failure::new(format!(
                    "{named} is there already\n  help: name another file, or remove that one"
                )));
            }
            write(&file, text.as_bytes(), true)
        }
    }
}

/// Does the same to several subscribers, one after the other, and says so.
fn each_of(
    mut subscribers: Subscribers,
    who: &[String],
    config: &Config,
    done: &str,
    ask: impl Fn(Vec<String>) -> Ask,
) -> Result<(), Failure> {
    for who in who {
        let found = subscribers.ask(ask(called(who, config)))?;
        for subscriber in found.subscribers {
            print(&format!("{} is {done}\n", subscriber.impi))?;
        }
    }
    Ok(())
}

fn called(who: &str, config: &Config) -> Vec<String> {
    names(who, config.domain())
}

/// The running process, or the store.
pub(super) enum Subscribers {
    Running(Client),
    Offline(Box<Offline>),
}

impl Subscribers {
    pub(super) fn open(state: &State) -> Result<Subscribers, Failure> {
        let door = state.door.display();
        match Client::connect(&state.door) {
            Ok(Some(client)) => Ok(Subscribers::Running(client)),
            Ok(None) => {
                let offline = Offline::new(state.open()?);
                Ok(Subscribers::Offline(Box::new(offline)))
            }
            Err(error) => {
                let help = match error.kind() {
                    std::io::ErrorKind::PermissionDenied => {
                        "it belongs to whoever runs strowger: be that user, or give --state DIR"
                    }
                    _ => "give a shorter or another path with --state DIR",
                };
                let text = format!("the control socket {door} cannot be used: {error}");
                Err(Failure::new(format!("{text}\n  help: {help}")))
            }
        }
    }

    pub(super) fn ask(&mut self, ask: Ask) -> Result<Found, Failure> {
        match self {
            Subscribers::Running(client) => client.ask(&ask).map_err(Failure::new),
            Subscribers::Offline(offline) => offline.ask(ask).map_err(Failure::new),
        }
    }

    /// All subscribers, page by page.
    fn each(
        &mut self,
        mut page: impl FnMut(&[Subscriber]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let found = self.ask(Ask::List { after })?;
            page(&found.subscribers)?;
            after = found.subscribers.last().map(|subscriber| subscriber.impi.clone());
            if !found.more || after.is_none() {
                return Ok(());
            }
        }
    }
}
