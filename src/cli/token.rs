//! `rivulet token`: a token for a user, signed with the gateway's secret.

use std::{
    io::{self, Write},
    time::Duration,
};

use crate::{
    auth::{DEFAULT_TENANT, InvalidPrincipal, MintError, Principal, Signer},
    chat::Timestamp,
    config::Config,
};

/// Arguments of `rivulet token`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Whose token it is.
    #[arg(long, value_name = "U")]
    pub user: String,
    /// The user's tenant.
    #[arg(long, value_name = "T", default_value = DEFAULT_TENANT)]
    pub tenant: String,
    /// What the user may do beyond what everybody may; can be given several times. `admin` makes tokens.
    #[arg(long = "scope", value_name = "S")]
    pub scopes: Vec<String>,
    /// How long it is good, like 15m, 24h or 7d.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    pub expires: Duration,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody can be called so.
    #[error(transparent)]
    Principal(#[from] InvalidPrincipal),
    /// It cannot be signed.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The terminal is gone.
    #[error("cannot write the token: {0}")]
    Output(#[from] io::Error),
}

/// Prints a token, and nothing else, to standard output.
///
/// # Errors
/// See [`TokenError`].
pub fn run(args: Args, config: &Config) -> Result<(), TokenError> {
    let principal = Principal::new(&args.tenant, &args.user, args.scopes)?;
    let signer = Signer::from_config(&config.auth).ok_or(MintError::NoSecret)?;
    writeln!(io::stdout().lock(), "{}", signer.mint(&principal, args.expires, Timestamp::now())?.token)?;
    Ok(())
}
