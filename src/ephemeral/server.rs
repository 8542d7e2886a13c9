//! Where the Redis is: one server, the primary that Sentinels name, or a cluster. Connects, and asks with a deadline.

use std::{fmt, io, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError, ScriptInvocation, TlsMode, Value,
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};
use tokio::time::timeout;

use super::slots::Slots;
#[cfg(test)]
use crate::simulation::Wire;

/// How long a connection may take, and how long all that it takes to have one: some of the addresses may lead nowhere.
const CONNECT: Duration = Duration::from_millis(900);
const CONNECT_ANY: Duration = Duration::from_secs(3);

/// Why a text names no Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a Redis is redis://[user:password@]host[:port][/database], rediss:// with TLS, redis+sentinel://host[:port],…/name or \
     redis+cluster://host[:port],…"
)]
pub struct InvalidServer;

/// A Redis. Never shown: its address may have a password.
#[derive(Clone)]
pub struct Server {
    kind: Kind,
    nodes: Vec<(String, u16)>,
    tls: bool,
    user: RedisConnectionInfo,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    One,
    /// The name of the primary.
    Sentinel(String),
    Cluster,
    /// One in memory.
    #[cfg(test)]
    Simulated(Wire),
}

impl Server {
    /// Reads an address.
    ///
    /// # Errors
    /// [`InvalidServer`].
    pub fn parse(address: &str) -> Result<Self, InvalidServer> {
        let (scheme, rest) = address.split_once("://").ok_or(InvalidServer)?;
        let (protocol, kind) = scheme.split_once('+').unwrap_or((scheme, "one"));
        let tls = match protocol {
            "redis" => false,
            "rediss" => true,
            _ => return Err(InvalidServer),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let separator = if credentials.is_empty() { "" } else { "@" };
        let (name, database) = match kind {
            "sentinel" => path.split_once('/').unwrap_or((path, "")),
            _ => ("", path),
        };
        let (mut nodes, mut user) = (Vec::new(), RedisConnectionInfo::default());
        for host in hosts.split(',') {
            let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
            let port = if kind == "sentinel" && !has_port { ":26379" } else { "" };
            let url = format!("redis://{credentials}{separator}{host}{port}/{database}");
            let info = url.into_connection_info().map_err(|_| InvalidServer)?;
            let ConnectionAddr::Tcp(host, port) = info.addr().clone() else { return Err(InvalidServer) };
            nodes.push((host, port));
            user = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        }
        let kind = match kind {
            "one" if nodes.len() == 1 => Kind::One,
            "sentinel" if !name.is_empty() => Kind::Sentinel(name.to_owned()),
            "cluster" if database.is_empty() => Kind::Cluster,
            _ => return Err(InvalidServer),
        };
        Ok(Self { kind, nodes, tls, user })
    }

    /// One in memory.
    #[cfg(test)]
    pub(crate) fn simulated(wire: Wire) -> Self {
        Self { kind: Kind::Simulated(wire), nodes: Vec::new(), tls: false, user: RedisConnectionInfo::default() }
    }

    /// A new connection, in which what the server says unasked goes to `pushed`.
    ///
    /// # Errors
    /// Whatever keeps it from standing, after three seconds at the latest.
    pub(crate) async fn connect(
        &self,
        pushed: impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    ) -> Result<Connection, RedisError> {
        timeout(CONNECT_ANY, self.try_connect(pushed)).await.unwrap_or_else(|_| Err(too_late()))
    }

    /// What the server says it is.
    ///
    /// # Errors
    /// Why it cannot be used, without its address.
    pub async fn inspect(&self) -> Result<String, String> {
        let mut connection = self.connect(|_| Ok(())).await.map_err(|error| described(&error))?;
        let said: Value = connection.ask(&redis::cmd("HELLO"), CONNECT).await.map_err(|error| described(&error))?;
        let word = |name: &str| {
            let said = said.as_map_iter()?;
            let found =
                said.into_iter().find(|(key, _)| matches!(key, Value::BulkString(key) if key == name.as_bytes()));
            String::from_redis_value_ref(found?.1).ok()
        };
        let (name, version) = (word("server").unwrap_or_default(), word("version").unwrap_or_default());
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < 7) {
            return Err(format!("{name} {version} is older than 7"));
        }
        Ok(format!("{name} {version}"))
    }

    async fn try_connect(
        &self,
        pushed: impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    ) -> Result<Connection, RedisError> {
        let config = || {
            let config = AsyncConnectionConfig::new();
            config.set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(CONNECT))
        };
        let addresses: Vec<ConnectionAddr> = self.nodes.iter().map(|node| self.address(node)).collect();
        match &self.kind {
            Kind::One => {
                let Some(address) = addresses.into_iter().next() else { return Err(too_late()) };
                let client = Client::open(address.into_connection_info()?.set_redis_settings(self.user.clone()))?;
                let config = config().set_push_sender(pushed);
                Ok(Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
            Kind::Sentinel(name) => {
                let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?
                    .set_client_to_redis_protocol(ProtocolVersion::RESP3)
                    .set_client_to_redis_db(self.user.db());
                if self.tls {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                }
                if let Some(user) = self.user.username() {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = self.user.password() {
                    builder = builder.set_client_to_redis_password(password);
                }
                let config = config().set_push_sender(pushed);
                Ok(Connection::One(builder.build()?.get_async_connection_with_config(&config).await?))
            }
            Kind::Cluster => {
                let mut builder = ClusterClient::builder(addresses)
                    .use_protocol(ProtocolVersion::RESP3)
                    .connection_timeout(CONNECT)
                    .response_timeout(CONNECT)
                    .retries(0)
                    .push_sender(pushed);
                if let Some(user) = self.user.username() {
                    builder = builder.username(user);
                }
                if let Some(password) = self.user.password() {
                    builder = builder.password(password);
                }
                Ok(Connection::Many(Slots::over(builder.build()?.get_async_connection().await?)))
            }
            #[cfg(test)]
            Kind::Simulated(wire) => Ok(Connection::Simulated(wire.connect(pushed).await?)),
        }
    }

    fn address(&self, (host, port): &(String, u16)) -> ConnectionAddr {
        let (host, port) = (host.clone(), *port);
        if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A connection, or as many as a cluster has primaries. Clones share it.
#[derive(Clone)]
pub(crate) enum Connection {
    One(MultiplexedConnection),
    Many(Slots),
    #[cfg(test)]
    Simulated(Wire),
}

impl Connection {
    /// Asks, and waits for the answer until `deadline` from now. Nothing is asked twice.
    pub(crate) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd, deadline: Duration) -> Result<T, RedisError> {
        let asked = async {
            match self {
                Self::One(connection) => command.query_async(connection).await,
                Self::Many(connection) => command.query_async(connection).await,
                #[cfg(test)]
                Self::Simulated(wire) => T::from_redis_value(wire.ask(command).await?).map_err(RedisError::from),
            }
        };
        timeout(deadline, asked).await.unwrap_or_else(|_| Err(too_late()))
    }

    /// Has a script run, as [`ask`](Self::ask) does. One that the server does not know was not run, and is told.
    pub(crate) async fn run<T: FromRedisValue>(
        &mut self,
        script: &ScriptInvocation<'_>,
        deadline: Duration,
    ) -> Result<T, RedisError> {
        let run = async {
            match self {
                Self::One(connection) => script.invoke_async(connection).await,
                Self::Many(connection) => script.invoke_async(connection).await,
                #[cfg(test)]
                Self::Simulated(_) => Err(too_late()), // It knows no scripts, and none is asked of it.
            }
        };
        timeout(deadline, run).await.unwrap_or_else(|_| Err(too_late()))
    }

    /// Whether all that belongs to it is there, where that is more than one server: who asks one of them knows nothing of the
    /// others.
    pub(crate) async fn check(&mut self, deadline: Duration) -> Result<(), RedisError> {
        let Self::Many(connection) = self else { return Ok(()) };
        timeout(deadline, connection.check()).await.unwrap_or_else(|_| Err(too_late()))
    }

    /// Has what is said in `channel` come here.
    pub(crate) async fn subscribe(&mut self, channel: &str, deadline: Duration) -> Result<(), RedisError> {
        let subscribed = async {
            match self {
                Self::One(connection) => connection.subscribe(channel).await,
                Self::Many(connection) => connection.subscribe(channel).await,
                #[cfg(test)]
                Self::Simulated(wire) => wire.subscribe(channel).await,
            }
        };
        timeout(deadline, subscribed).await.unwrap_or_else(|_| Err(too_late()))
    }

    /// Says `message` in `channel`: how many have heard it, as far as the server knows.
    pub(crate) async fn publish(
        &mut self,
        channel: &str,
        message: &[u8],
        deadline: Duration,
    ) -> Result<usize, RedisError> {
        #[cfg(test)]
        if let Self::Simulated(wire) = self {
            return timeout(deadline, wire.publish(channel, message)).await.unwrap_or_else(|_| Err(too_late()));
        }
        // In a cluster, only the node of the channel's slot passes on what is said in a sharded channel.
        let verb = if matches!(self, Self::One(_)) { "PUBLISH" } else { "SPUBLISH" };
        let mut command = redis::cmd(verb);
        command.arg(channel).arg(message);
        self.ask(&command, deadline).await
    }
}

/// What went wrong, without what was asked and where.
pub(crate) fn described(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("{}: {code}", error.category()),
        None => error.category().to_owned(),
    }
}

fn too_late() -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written_elsewhere() {
        for (text, kind, nodes, user, database, tls) in [
            ("redis://cache", Kind::One, vec![("cache", 6379)], (None, None), 0, false),
            ("rediss://:p%40ss@[::1]:7000/3", Kind::One, vec![("::1", 7000)], (None, Some("p@ss")), 3, true),
            (
                "redis+sentinel://ann:secret@a:1,b/mymaster/2",
                Kind::Sentinel("mymaster".to_owned()),
                vec![("a", 1), ("b", 26379)],
                (Some("ann"), Some("secret")),
                2,
                false,
            ),
            ("redis+cluster://a,b:2", Kind::Cluster, vec![("a", 6379), ("b", 2)], (None, None), 0, false),
        ] {
            let server = Server::parse(text).unwrap();
            let nodes: Vec<_> = nodes.into_iter().map(|(host, port)| (host.to_owned(), port)).collect();
            assert_eq!((&server.kind, &server.nodes, server.tls), (&kind, &nodes, tls), "{text}");
            assert_eq!((server.user.username(), server.user.password(), server.user.db()), (user.0, user.1, database));
            assert!(!format!("{server:?}").contains("secret"));
        }
        for text in [
            "",
            "cache:6379",
            "http://cache",
            "redis://",
            "redis://a,b",
            "redis://a/x",
            "redis+sentinel://a",
            "redis+cluster://a/1",
            "redis+ring://a",
            "redis://a:99999",
        ] {
            assert_eq!(Server::parse(text).err(), Some(InvalidServer), "{text}");
        }
    }
}
