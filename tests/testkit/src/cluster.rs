//! Three nats-servers as one JetStream cluster, for one test: their own ports, their own stores,
//! gone with the test.

use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::clock;

use crate::nats::{Binary, JETSTREAM, Server};
use crate::port::Port;

/// For what the cluster does by itself: its elections, its copies. On a busy machine 2.9 has taken
/// more than half a minute.
const LIMIT: Duration = Duration::from_mins(2);

/// The servers of a cluster; one that is killed stays in its place.
pub struct Cluster {
    /// `node0` to `node2`.
    pub nodes: Vec<Server>,
}

impl Cluster {
    /// Starts three, open to all, and waits until they have a leader that knows all of them.
    pub async fn start(binary: &Binary) -> Self {
        let cluster = Self::start_with(binary, JETSTREAM, &[]).await;
        cluster.complete().await;
        cluster
    }

    /// Starts three with this configuration and variables for it.
    pub async fn start_with(
        binary: &Binary,
        config: &str,
        environment: &[(String, String)],
    ) -> Self {
        // their ports among themselves must be known beforehand
        let ports: Vec<Port> = (0..3).map(|_| Port::free()).collect();
        let route = |it: &Port| format!("nats-route://127.0.0.1:{}", it.number());
        let routes = ports.iter().map(route).collect::<Vec<_>>().join(", ");
        let mut nodes = Vec::new();
        for (n, port) in ports.into_iter().enumerate() {
            let number = port.number();
            let config = format!(
                "{config}\nserver_name: node{n}\nserver_tags: [\"node:{n}\"]\n\
                 lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"2s\"\n\
                 cluster {{ name: site, listen: \"127.0.0.1:{number}\", routes: [{routes}] }}\n"
            );
            let environment = environment.to_vec();
            let mut node = Server::start_with_environment(binary, &config, environment).await;
            node.keep(port);
            nodes.push(node);
        }
        Self { nodes }
    }

    /// All addresses, for a client.
    pub fn urls(&self) -> String {
        let urls: Vec<_> = self.nodes.iter().map(Server::url).collect();
        urls.join(",")
    }

    /// A client of whichever node is there.
    pub async fn client(&self) -> async_nats::Client {
        let options =
            async_nats::ConnectOptions::new().request_timeout(Some(Duration::from_secs(1)));
        let urls: Vec<String> = self.nodes.iter().map(Server::url).collect();
        options.connect(urls).await.unwrap()
    }

    /// Asks JetStream until `is_so` accepts the answer.
    pub async fn ask(&self, what: &str, body: &Value, is_so: impl Fn(&Value) -> bool) -> Value {
        let client = Box::pin(self.client()).await;
        let begin = clock::monotonic();
        loop {
            let subject = format!("$JS.API.{what}");
            let answer = client.request(subject, body.to_string().into()).await;
            let answer = answer.ok().and_then(|it| serde_json::from_slice(&it.payload).ok());
            match answer {
                Some(answer) if is_so(&answer) => return answer,
                other => assert!(begin.elapsed() < LIMIT, "in vain: {what}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the cluster has a leader.
    pub async fn quorum(&self) {
        self.ask("STREAM.NAMES", &json!({}), |answer| answer["error"].is_null()).await;
    }

    /// Waits until the cluster has a leader that knows all three as servers for a stream. One that was
    /// elected by two of them is there before it does.
    pub async fn complete(&self) {
        let probe = json!({ "name": "complete", "subjects": ["complete"], "num_replicas": 3 });
        let made = |answer: &Value| answer["config"]["num_replicas"] == 3;
        self.ask("STREAM.CREATE.complete", &probe, made).await;
        // not found: the answer to an earlier question was lost
        let gone = |it: &Value| it["success"] == true || it["error"]["err_code"] == 10059;
        self.ask("STREAM.DELETE.complete", &json!({}), gone).await;
    }

    /// Makes the fleet's streams, three times stored. They forget nothing.
    pub async fn make_streams(&self) {
        self.make(json!({ "num_replicas": 3 })).await;
    }

    /// Makes them with one copy, on this node: it leads them whatever becomes of the others.
    pub async fn make_streams_on(&self, node: usize) {
        let placement = json!({ "tags": [format!("node:{node}")] });
        self.make(json!({ "num_replicas": 1, "placement": placement })).await;
    }

    async fn make(&self, copies: Value) {
        for kind in ["registry", "status", "heartbeat"] {
            let mut config = json!({
                "name": format!("svc_{kind}"),
                "subjects": [format!("svc.{kind}.>")],
                "retention": "limits",
                "storage": "file",
                "allow_direct": true,
                "duplicate_window": 120_000_000_000_u64,
            });
            for (name, value) in copies.as_object().unwrap() {
                config[name] = value.clone();
            }
            let made = |answer: &Value| answer["config"]["name"].is_string();
            self.ask(&format!("STREAM.CREATE.svc_{kind}"), &config, made).await;
        }
    }

    /// The node that leads a stream, once there is one.
    pub async fn leader(&self, stream: &str) -> usize {
        let led = |answer: &Value| answer["cluster"]["leader"].is_string();
        let info = self.ask(&format!("STREAM.INFO.{stream}"), &json!({}), led).await;
        let name = info["cluster"]["leader"].as_str().unwrap().to_owned();
        name.strip_prefix("node").unwrap().parse().unwrap()
    }

    /// Waits until the cluster has a leader, without which no consumer can be made, and each
    /// stream has one, other than a node that was killed.
    pub async fn led(&self, killed: Option<usize>) {
        let killed = killed.map(|node| format!("node{node}"));
        for kind in ["registry", "status", "heartbeat"] {
            let led = |answer: &Value| {
                let leader = answer["cluster"]["leader"].as_str();
                leader.is_some() && leader != killed.as_deref()
            };
            self.ask(&format!("STREAM.INFO.svc_{kind}"), &json!({}), led).await;
        }
        self.quorum().await;
    }

    /// Waits until all copies of the streams are up to date.
    pub async fn healthy(&self) {
        for kind in ["registry", "status", "heartbeat"] {
            let whole = |answer: &Value| {
                let replicas = answer["cluster"]["replicas"].as_array();
                answer["cluster"]["leader"].is_string()
                    && replicas.is_some_and(|all| {
                        all.len() == 2
                            && all.iter().all(|it| it["current"] == true && it["offline"] != true)
                    })
            };
            self.ask(&format!("STREAM.INFO.svc_{kind}"), &json!({}), whole).await;
        }
    }

    /// Has a node hand over its clients and leaderships, and end.
    pub async fn lame_duck(&mut self, node: usize) {
        self.nodes[node].signal("USR2");
        self.nodes[node].end(LIMIT).await;
    }
}
