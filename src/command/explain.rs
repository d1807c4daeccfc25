//! The verb `explain`: what the filter does with a request, and why.
//!
//! The core itself decides, between a clock that stands still and an auth service that answers as the command
//! line says; what is told of the reasons is asked of the same parts of the core. No value of a header field is
//! ever printed.

mod account;
mod minted;
mod request;
mod worker;

use std::fs;
use std::rc::Rc;

use session_bearer::config::Config;
use session_bearer::credential::{Carried, Credential};
use session_bearer::keys::KeySource;
use session_bearer::request::RequestHead;
use session_bearer::routes::Auth;

use self::account::Account;
use self::minted::Minted;
use self::request::Request;
use self::worker::Worker;
use super::document::Node;
use super::plugin::{self, Plugin};
use super::{Ending, check, environment, print};

/// Tells what the filter does with a request, and why.
///
/// Nothing is sent anywhere: the auth service answers as `--session` says. A token in a header or a cookie is
/// verified for real where the keys are at hand.
#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration, as for `check`.
    file: String,
    /// The request's method.
    method: String,
    /// Its URL, or its path and query; as the filter gets it, after Envoy has normalised it.
    url: String,
    /// A header field, "name: value"; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    fields: Vec<String>,
    /// What the auth service says of the session cookie.
    #[arg(long, value_enum, default_value_t = Session::New)]
    session: Session,
    /// A claim of the session's token, "name=value"; may be given several times.
    #[arg(long = "claim", value_name = "CLAIM")]
    claims: Vec<String>,
    /// What to take the client's token for, instead of verifying it.
    #[arg(long, value_enum)]
    token: Option<Token>,
    /// Verify with the secret that `secret_env` names in this environment.
    #[arg(long)]
    env: bool,
    /// Verify with the JWK set in this file, in place of the one that `jwks` fetches.
    #[arg(long, value_name = "FILE")]
    jwks: Option<String>,
    /// Have the key endpoint answer nothing: its keys are not there yet.
    #[arg(long)]
    no_keys: bool,
    /// Which one, where the file has several configurations, from 1.
    #[arg(long, value_name = "NUMBER")]
    plugin: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is known of the session that a cookie names.
#[derive(Clone, Copy, Eq, PartialEq, clap::ValueEnum)]
pub enum Session {
    /// Nothing yet: the auth service is asked, and hands out a token.
    New,
    /// Its token is remembered.
    Known,
    /// The auth service is asked, and says no.
    Refused,
    /// The auth service cannot be asked.
    Failing,
    /// The auth service hands out a token that does not verify.
    Unverified,
}

/// What a client's token is taken for.
#[derive(Clone, Copy, Eq, PartialEq, clap::ValueEnum)]
enum Token {
    /// One that verifies, with the claims of `--claim`.
    Valid,
    /// One that does not.
    Invalid,
}

/// Explains.
pub fn run(arguments: &Arguments) -> Result<Ending, String> {
    let documents = check::read_file(&arguments.file)?;
    if let Some(member) = documents.repeated.first() {
        return Err(format!("{}:{}: `{}` is there twice; keep one", arguments.file, member.place, member.name));
    }
    let plugins = plugin::find(&documents.roots);
    let plugin = chosen(&plugins, arguments)?;
    let cannot_work =
        || format!("{0}: the configuration cannot work; `session-bearer check {0}` says why", arguments.file);
    let written = plugin.configuration.as_ref().map_err(|_| cannot_work())?;
    let bytes = written.value().to_string().into_bytes();
    let config = Rc::new(environment::read(&bytes, arguments.env).map_err(|_| cannot_work())?);

    let now = environment::now();
    let jwks = jwks(arguments)?;
    let minted = Rc::new(Minted::new(&config, written, jwks, &arguments.claims, now)?);
    let mut request = Request::new(&arguments.method, &arguments.url, &arguments.fields)?;
    settle_token(&config, &mut request, &minted, arguments)?;

    let worker = Worker::new(Rc::clone(&config), minted, arguments.session, !arguments.no_keys, now);
    let ran = worker
        .run(&request)
        .ok_or("the request was not settled, which is a mistake of the filter's; please report it")?;
    let account = Account::new(&config, written, plugin, &request, ran);
    print(&if arguments.json { account.to_json() } else { account.to_string() });
    Ok(Ending::Clean)
}

fn chosen<'a>(plugins: &'a [Plugin<'a>], arguments: &Arguments) -> Result<&'a Plugin<'a>, String> {
    let file = &arguments.file;
    match (plugins, arguments.plugin) {
        ([], _) => Err(format!("{file}: there is no configuration of session-bearer in it")),
        ([only], None) => Ok(only),
        (several, None) => Err(format!("{file}: {} configurations are in it; choose one with --plugin", several.len())),
        (several, Some(number)) => number
            .checked_sub(1)
            .and_then(|i| several.get(i))
            .ok_or_else(|| format!("{file}: there is no plugin {number}; {} are in it", several.len())),
    }
}

/// The key set to verify with, where one is given.
fn jwks(arguments: &Arguments) -> Result<Option<String>, String> {
    let read = |file: &String| fs::read_to_string(file).map_err(|error| format!("{file}: {error}"));
    arguments.jwks.as_ref().map(read).transpose()
}

/// Puts in a token that is what `--token` says, and makes sure that a token which is not replaced can be judged.
fn settle_token(config: &Config, request: &mut Request, minted: &Minted, arguments: &Arguments) -> Result<(), String> {
    let Ok(head) = RequestHead::new(request.fields()) else { return Ok(()) };
    let Carried { credential, kind, .. } = config.credentials.read(&head);
    let (Ok(Credential::Token(token)), Some(kind)) = (credential, kind) else { return Ok(()) };
    if config.routes.find(&head).auth == Auth::Off {
        return Ok(());
    }
    let token = token.to_vec();
    match arguments.token {
        Some(Token::Valid) => request.replace_token(kind, &config.credentials.cookies.tokens, &token, minted.token()),
        Some(Token::Invalid) => request.replace_token(kind, &config.credentials.cookies.tokens, &token, "invalid"),
        None if are_keys_at_hand(config, arguments) => {}
        None => {
            let keys = if config.keys.endpoint().is_some() { "--jwks FILE" } else { "--env" };
            return Err(format!(
                "the keys to verify the token with are not at hand: give them with {keys}, or say --token valid or --token invalid"
            ));
        }
    }
    Ok(())
}

/// Whether tokens can be verified for real.
fn are_keys_at_hand(config: &Config, arguments: &Arguments) -> bool {
    match &config.keys {
        KeySource::Endpoint(_) => arguments.jwks.is_some() || arguments.no_keys,
        KeySource::Fixed(set) => arguments.env || set.ids().next().is_some_and(|_| !environment::stands_in(set)),
    }
}

/// What a section of a configuration says, on one line.
fn text_of(node: Option<&Node>) -> String {
    node.map(|node| node.value().to_string()).unwrap_or_default()
}
