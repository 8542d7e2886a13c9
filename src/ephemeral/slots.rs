//! A connection to a cluster of Redis whose slots move, and whose nodes are lost.
//!
//! What a node refuses because it has not the slot, or no more, was not done: it is asked of the node that it names, once. The
//! client would do that by itself, but it repeats as well what may have been done.

use futures_util::FutureExt;
use redis::{
    Cmd, Pipeline, RedisError, RedisFuture, Value,
    aio::ConnectionLike,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo, SingleNodeRoutingInfo},
};

/// The connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Slots(ClusterConnection);

impl Slots {
    pub(super) fn over(connection: ClusterConnection) -> Self {
        Self(connection)
    }

    /// Has what is said in a sharded channel come here.
    pub(super) async fn subscribe(&mut self, channel: &str) -> Result<(), RedisError> {
        self.0.ssubscribe(channel).await
    }

    /// Asks every primary whether it is there.
    pub(super) async fn check(&mut self) -> Result<(), RedisError> {
        let all = (MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::AllSucceeded));
        self.0.route_command(redis::cmd("PING"), RoutingInfo::MultiNode(all)).await?.extract_error().map(drop)
    }

    async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = self.0.req_packed_command(command).await.and_then(Value::extract_error);
        let Err(refusal) = &answer else { return answer };
        let Some((host, port)) = refusal.redirect_node().and_then(|(node, _slot)| node.rsplit_once(':')) else {
            return answer;
        };
        let Ok(port) = port.parse() else { return answer };
        let node = SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port };
        // A node that does not have the slot yet answers only those who know that.
        let mut asking = Pipeline::with_capacity(2);
        asking.cmd("ASKING").add_command(command.clone());
        let answers = self.0.route_pipeline(asking, 1, 1, node).await?;
        answers.into_iter().next().unwrap_or_default().extract_error()
    }
}

impl ConnectionLike for Slots {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.ask(command).boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}
