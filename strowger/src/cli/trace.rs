//! `strowger trace`: what crosses, as a ladder.

pub(super) mod export;
mod list;
mod live;
pub(super) mod source;

use std::io::IsTerminal;
use std::path::PathBuf;

use ladder::text::Options;

use super::{Failure, Place, note, print};
use export::Format;
use source::Source;

/// Show the messages of a subscriber, of a call, or all, as a ladder
///
/// Without options it shows what comes from now on, until Ctrl-C. A running process remembers its
/// last 10,000 messages, or 8 MiB of them: --last shows these, --list what calls and registrations
/// there are, and --to writes them to a file, which --from reads again. RTP is not recorded.
///
/// Functions in several processes remember what crossed their own seams. Write a file of each, and name
/// all files with --from: what was seen at both ends is one arrow. Their clocks must agree.
///
/// Keys (CK, IK, XRES, H(A1), responses made from passwords, keys of SRTP) are overwritten with as
/// many bytes, so that tshark still decodes what is written.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger trace                                 all that comes\n  \
    strowger trace +491701                         all that comes of a subscriber\n  \
    strowger trace --list                          the calls and registrations of late\n  \
    strowger trace --last sip:alice@ims.example    what is remembered of a subscriber\n  \
    strowger trace --last 3848276298220188511@ue   the ladder of a call, by its Call-ID\n  \
    strowger trace +491701 --to call.pcapng        for tshark and Wireshark\n  \
    strowger trace --from call.pcapng --to call.html\n  \
    strowger trace --from pcscf.jsonl --from scscf.jsonl --from hss.jsonl +491701")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// A subscriber (number, IMSI, name, sip: or tel: URI) or the Call-ID of a call [default: all]
    #[arg(value_name = "SUBSCRIBER|CALL-ID")]
    who: Option<String>,
    /// What the running process remembers, and end
    #[arg(long)]
    last: bool,
    /// One line for each call and registration that is remembered, and end
    #[arg(long, conflicts_with = "to")]
    list: bool,
    /// Read a file that --to wrote (pcapng or JSON lines) instead of asking a running process; several
    /// files, one of each process of a network, become one trace
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// Write what is remembered to FILE.txt, FILE.html, FILE.pcapng or FILE.jsonl, and end
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Do not overwrite keys; files are written for their owner only
    #[arg(long)]
    with_secrets: bool,
    /// Key fields of each message under its arrow
    #[arg(long)]
    detail: bool,
    /// Columns of the ladder
    #[arg(long, value_name = "COLUMNS", default_value_t = 120)]
    width: usize,
}

const WARNING: &str = "warning: --with-secrets shows key material (CK, IK, XRES, H(A1), responses \
    made from passwords, keys of SRTP) as it crossed.\n         Who sees it can listen to calls or \
    pose as the subscriber. Files are written for their owner only.\n";

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    // What cannot be written is told before anything is asked for.
    let to = args.to.as_deref().map(|path| Format::of(path).map(|format| (path, format)));
    let to = to.transpose()?;
    if args.with_secrets {
        note(WARNING);
    }
    let (config, _) = args.place.load()?;
    let source = match args.from.is_empty() {
        false => Source::Files(args.from.clone()),
        true => Source::Running(args.place.state(&config)?),
    };
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let options = Options { width: args.width, colour, detail: args.detail, ..Options::default() };
    let whole = args.last || args.list || to.is_some() || !args.from.is_empty();
    let who = source.names(args.who.as_deref(), config.domain())?;
    if !whole {
        return live::run(&source, who, args.with_secrets, options);
    }
    let records = source.records(&who, args.with_secrets)?;
    match to {
        Some((path, format)) => {
            let count = records.len();
            let bytes = format.render(records, args.who.as_deref());
            export::write(path, &bytes, args.with_secrets)?;
            print(&format!("{} holds {count} messages\n", path.display()))
        }
        None if args.list => print(&list::lines(records)),
        None => print(&export::text(records, &options)),
    }
}
