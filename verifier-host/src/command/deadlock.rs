//! `verifier deadlock`.

use clap::{Args, ValueEnum};
use verifier_core::analysis::LockGraph;
use verifier_core::render::{write_deadlock_dot, write_deadlock_json, write_deadlock_text};
use verifier_host::{Error, Session};

use super::dump_args::DumpArgs;
use super::show::{OutputFormat, show};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DeadlockFormat {
    Text,
    Json,
    /// The lock graph for Graphviz
    Dot,
}

impl OutputFormat for DeadlockFormat {
    fn is_text(self) -> bool {
        self == Self::Text
    }

    fn says_problems(self) -> bool {
        self != Self::Json
    }
}

#[derive(Args)]
pub(super) struct DeadlockArgs {
    #[command(flatten)]
    dump: DumpArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: DeadlockFormat,
}

pub(super) fn run(args: &DeadlockArgs) -> Result<(), Error> {
    show(&args.dump, args.format, Session::deadlock, |out, deadlock, names| {
        let graph = LockGraph::of(deadlock);
        match args.format {
            DeadlockFormat::Text => write_deadlock_text(out, deadlock, &graph, names),
            DeadlockFormat::Json => write_deadlock_json(out, deadlock, &graph, names),
            DeadlockFormat::Dot => write_deadlock_dot(out, deadlock, &graph, names),
        }
    })
    .map(drop)
}
