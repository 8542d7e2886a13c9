//! `rivulet api-key`: made, listed, taken back. A gateway that has the data folder is asked to do it; without one, this
//! process does.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::remote::{Remote, RemoteError};
use crate::{
    auth::{
        DEFAULT_TENANT, InvalidPrincipal, Principal, Right, UNLIMITED,
        api_keys::{ApiKeyError, ApiKeys},
    },
    chat::Timestamp,
    config::Config,
    store::{
        StoreError,
        audit::{AuditEntry, AuditStore},
        credentials::{ApiKeyRecord, CredentialStore},
        folder,
        postgres::PostgresStore,
        sqlite::{self, SqliteStore},
    },
};

/// Who asks a gateway.
const USER: &str = "rivulet api-key";

/// What is to be done.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Task {
    /// A new key, on standard output; it is shown this once
    New {
        /// What it is called.
        #[arg(long, value_name = "N")]
        name: String,
        /// The user that it stands for; the name, when there is none.
        #[arg(long, value_name = "U")]
        user: Option<String>,
        /// The user's tenant.
        #[arg(long, value_name = "T", default_value = DEFAULT_TENANT)]
        tenant: String,
        /// What it lets one do; can be given several times. Without any: all but to administer.
        #[arg(long = "scope", value_name = "S")]
        scopes: Vec<String>,
        /// How long it is good, like 90d; without it, until it is taken back.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// The keys of a tenant, without themselves
    List {
        /// The tenant.
        #[arg(long, value_name = "T", default_value = DEFAULT_TENANT)]
        tenant: String,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Takes a key back: open sockets are closed within a second
    Revoke {
        /// Its id, as `list` shows it: what stands between the two `_` of the key.
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Arguments of `rivulet api-key`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What is to be done.
    #[command(subcommand)]
    pub task: Task,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyCommandError {
    /// Nobody can be called so.
    #[error(transparent)]
    Principal(#[from] InvalidPrincipal),
    /// It cannot be made.
    #[error(transparent)]
    Key(#[from] ApiKeyError),
    /// There is none.
    #[error("there is no such key")]
    Unknown,
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The gateway did not do it.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The data folder cannot be made.
    #[error("the data folder cannot be used: {0}")]
    DataDir(io::Error),
    /// The terminal is gone.
    #[error("cannot write what came of it: {0}")]
    Output(#[from] io::Error),
}

/// A key as it is listed. Times are texts that sort like the times.
#[derive(Debug, Deserialize, serde::Serialize)]
struct Listed {
    id: String,
    name: String,
    tenant: String,
    user: String,
    scopes: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
    used_at: Option<String>,
    revoked_at: Option<String>,
}

/// Does it.
///
/// # Errors
/// See [`ApiKeyCommandError`].
pub async fn run(args: Args, config: &Config) -> Result<(), ApiKeyCommandError> {
    let data_dir = &config.server.data_dir;
    folder::prepare(data_dir).map_err(ApiKeyCommandError::DataDir)?;
    let database = data_dir.join(sqlite::FILE_NAME);
    match SqliteStore::holder(&database)? {
        Some(holder) => {
            let scopes = vec![Right::AdministerTenants.scope().to_owned(), UNLIMITED.to_owned()];
            let operator = Principal::new(DEFAULT_TENANT, USER, scopes)?;
            ask(&Remote::new(&holder.admin_url, &config.auth, operator)?, args.task).await
        }
        None => match &config.store.database_url {
            Some(url) => {
                let store = Arc::new(PostgresStore::open_beside(url.expose()).await?);
                let done = alone(store.clone(), args.task, config.auth.audit_days).await;
                store.close().await;
                done
            }
            None => {
                let store = Arc::new(SqliteStore::open(&database)?);
                let done = alone(store.clone(), args.task, config.auth.audit_days).await;
                store.close().await;
                done
            }
        },
    }
}

/// What the audit log is to say of it; nothing of a look.
fn noted(task: &Task) -> Option<AuditEntry> {
    let (tenant, action, target) = match task {
        Task::New { name, tenant, .. } => (tenant.as_str(), "api-key new", name),
        Task::Revoke { id } => (DEFAULT_TENANT, "api-key revoke", id),
        Task::List { .. } => return None,
    };
    Some(AuditEntry {
        at: Timestamp::now(),
        tenant: tenant.to_owned(),
        user: USER.to_owned(),
        action: action.to_owned(),
        target: target.clone(),
        address: None,
    })
}

/// Does it without a gateway. Those that share the store follow.
async fn alone<S>(store: Arc<S>, task: Task, audit_days: u32) -> Result<(), ApiKeyCommandError>
where
    S: CredentialStore + AuditStore,
{
    let (entry, keys) = (noted(&task), ApiKeys::load(store.clone()).await?);
    do_alone(&keys, task).await?;
    match entry {
        Some(entry) => Ok(store.note(entry, audit_days).await?),
        None => Ok(()),
    }
}

async fn do_alone(keys: &ApiKeys, task: Task) -> Result<(), ApiKeyCommandError> {
    match task {
        Task::New { name, user, tenant, scopes, expires } => {
            let principal = Principal::new(&tenant, user.as_deref().unwrap_or(&name), scopes)?;
            let expires_at = expires.map(|life| Timestamp::now().plus_seconds(life.as_secs()));
            let (key, _) = keys.add(&name, principal, expires_at).await?;
            writeln!(io::stdout().lock(), "{key}")?;
        }
        Task::List { tenant, json } => {
            print(&keys.list(Some(&tenant)).into_iter().map(Listed::from).collect::<Vec<_>>(), json)?;
        }
        Task::Revoke { id } => {
            if !keys.revoke(&id, None).await? {
                return Err(ApiKeyCommandError::Unknown);
            }
        }
    }
    Ok(())
}

async fn ask(gateway: &Remote, task: Task) -> Result<(), ApiKeyCommandError> {
    match task {
        Task::New { name, user, tenant, scopes, expires } => {
            let new = json!({
                "user": user.as_deref().unwrap_or(&name),
                "name": name,
                "tenant": tenant,
                "scopes": scopes,
                "expires_in_s": expires.map(|life| life.as_secs()),
            });
            let made = gateway.ask(|| Ok(gateway.request(Method::POST, "/admin/api-keys")?.json(&new))).await?;
            let made: Value = made.expect()?;
            writeln!(io::stdout().lock(), "{}", made["key"].as_str().unwrap_or_default())?;
        }
        Task::List { tenant, json } => {
            #[derive(Deserialize)]
            struct Reply {
                api_keys: Vec<Listed>,
            }
            let of = [("tenant", &tenant)];
            let listed = gateway.ask(|| Ok(gateway.request(Method::GET, "/admin/api-keys")?.query(&of))).await?;
            print(&listed.expect::<Reply>()?.api_keys, json)?;
        }
        Task::Revoke { id } => {
            let path = format!("/admin/api-keys/{id}");
            let reply = gateway.ask(|| gateway.request(Method::DELETE, &path)).await?;
            if !reply.0.is_success() {
                return Err(RemoteError(reply.detail()).into());
            }
        }
    }
    Ok(())
}

fn print(keys: &[Listed], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, keys)?;
        return writeln!(out);
    }
    for Listed { id, name, user, scopes, created_at, expires_at, used_at, revoked_at, .. } in keys {
        let state = match (revoked_at, expires_at) {
            (Some(at), _) => format!("revoked {at}"),
            (None, Some(at)) if *at <= Timestamp::now().to_string() => format!("over since {at}"),
            (None, Some(at)) => format!("good until {at}"),
            (None, None) => "good".to_owned(),
        };
        let used = used_at.as_ref().map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
        let scopes = if scopes.is_empty() { "no scopes".to_owned() } else { scopes.join(" ") };
        writeln!(out, "{id}  {name} ({user}), {scopes}; made {created_at}, {used}, {state}")?;
    }
    Ok(())
}

impl From<ApiKeyRecord> for Listed {
    fn from(record: ApiKeyRecord) -> Self {
        let ApiKeyRecord { id, name, tenant, user, scopes, created_at, expires_at, used_at, revoked_at, .. } = record;
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let (created_at, expires_at) = (created_at.to_string(), text(expires_at));
        let (used_at, revoked_at) = (text(used_at), text(revoked_at));
        Self { id, name, tenant, user, scopes, created_at, expires_at, used_at, revoked_at }
    }
}
