//! `inbox simulate`: posts the results of a provider to a receiver, or serves the API of a provider.

mod foxyai;
mod mindee;
mod post;
mod serve;
mod standard;

pub(crate) use self::post::restart;

use clap::{
    Args, Subcommand,
    builder::{OsStringValueParser, TypedValueParser},
};

use crate::{CommandResult, Failure, send::SecretArgument};

/// Simulate a provider, to test a receiver in any language
#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    #[command(subcommand)]
    provider: Provider,
}

#[derive(Debug, Subcommand)]
enum Provider {
    #[command(name = "foxyai")]
    FoxyAi(Box<foxyai::FoxyAiArgs>),
    Mindee(Box<mindee::MindeeArgs>),
    Standard(Box<standard::StandardArgs>),
}

pub(crate) async fn run(args: SimulateArgs) -> CommandResult {
    match args.provider {
        Provider::FoxyAi(args) => foxyai::run(*args).await,
        Provider::Mindee(args) => mindee::run(*args).await,
        Provider::Standard(args) => standard::run(*args).await,
    }
}

/// Neither `--to` nor `--listen`, which the parser rejects before.
fn no_mode() -> Failure {
    Failure::usage("missing --to URL or --listen ADDRESS")
}

fn secret_parser() -> impl TypedValueParser<Value = SecretArgument> {
    OsStringValueParser::new().map(SecretArgument::from)
}
