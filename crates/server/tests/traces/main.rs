//! Spans at a real collector's door, and no secret in them or in the logs.
//!
//! The test runs itself again as the server, so that what is logged can be read.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should end"
)]

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use picket_server::config::{Config, Log, Tls, Traces};
use picket_server::{start, telemetry};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const PATIENCE: Duration = Duration::from_secs(60);
/// Set for the process that is the server: where the collector is.
const COLLECTOR: &str = "PICKET_TEST_COLLECTOR";
const FORMAT: &str = "PICKET_TEST_LOG_FORMAT";
const PASSWORD: &str = "a-wrong-password-typed-here";

struct Collector(Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        // The test may have heard enough.
        let _ = self.0.send(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn collector(runtime: &tokio::runtime::Runtime) -> (String, Receiver<ExportTraceServiceRequest>) {
    let (sender, spans) = channel();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = TraceServiceServer::new(Collector(sender));
    runtime.spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (url, spans)
}

/// The process that is the server: says where it is and its first password, serves
/// until its stdin ends.
#[test]
fn the_server() {
    let Some(endpoint) = std::env::var_os(COLLECTOR) else {
        return;
    };
    let json = std::env::var(FORMAT).as_deref() == Ok("json");
    let endpoint = endpoint.into_string().unwrap();
    let traces = (endpoint != "none").then_some(Traces {
        endpoint,
        share: 1.0,
    });
    let folder = picket_store::testing::scratch("picket-traces-").unwrap();
    let mut config = Config::in_folder(folder.path());
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.fleet.listen = config.listen;
    config.tls = Tls::Off;
    let log = Log {
        level: tracing::Level::TRACE,
        json,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let telemetry = telemetry::init_traced(log, traces.as_ref()).unwrap();
        let server = start(config).await.unwrap();
        let greeting = server.greeting();
        println!("\nat {}", server.address());
        println!("greeting {}", json!(greeting));
        std::io::stdout().flush().unwrap();
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
            .await
            .unwrap()
            .unwrap();
        server.stop().await;
        telemetry.stop().await;
    });
}

struct Server {
    child: Child,
    /// Held, or the test runner in there would find nobody to tell how it went.
    _stdout: std::io::Lines<BufReader<ChildStdout>>,
    base: String,
    password: String,
    agent: ureq::Agent,
}

impl Server {
    fn start(collector: &str, format: &str) -> Server {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_server", "--nocapture"])
            .env(COLLECTOR, collector)
            .env(FORMAT, format)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |start: &str| {
            let line = lines.find_map(|line| line.unwrap().strip_prefix(start).map(str::to_owned));
            line.expect("a line of the server")
        };
        let address = after("at ");
        let greeting: Vec<String> = serde_json::from_str(&after("greeting ")).unwrap();
        let first = greeting
            .iter()
            .find_map(|line| line.strip_prefix("first start: log in as admin with the password "));
        let password = first.unwrap().split(' ').next().unwrap().to_owned();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Server {
            child,
            _stdout: lines,
            base: format!("http://{address}"),
            password,
            agent: config.into(),
        }
    }

    fn log_in(&self, password: &str) -> (u16, Value) {
        let url = format!("{}/api/v1/session", self.base);
        let body = json!({"name": "admin", "password": password, "token": true});
        let sent = self.agent.post(&url).send_json(&body).unwrap();
        let status = sent.status().as_u16();
        (status, sent.into_body().read_json().unwrap())
    }

    fn get(&self, path: &str, token: &str) -> u16 {
        let request = self.agent.get(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {token}"));
        request.call().unwrap().status().as_u16()
    }

    /// Ends it; everything it logged.
    fn stop(mut self) -> String {
        drop(self.child.stdin.take());
        let mut logged = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut logged).unwrap();
        assert!(self.child.wait().unwrap().success(), "{logged}");
        logged
    }
}

fn use_it(server: &Server) -> Vec<String> {
    assert_eq!(server.log_in(PASSWORD).0, 401);
    let (status, session) = server.log_in(&server.password);
    assert_eq!(status, 200);
    let token = session["token"].as_str().unwrap().to_owned();
    // In a query it does not belong; it must not be told on either.
    let path = format!("/api/v1/findings?token={token}");
    server.get(&path, &token);
    assert_eq!(server.get("/api/v1/me", &token), 200);
    assert_eq!(server.get("/api/v1/me", "pkt_made_up_by_somebody"), 401);
    vec![
        PASSWORD.to_owned(),
        server.password.clone(),
        token,
        "made_up_by_somebody".to_owned(),
    ]
}

#[test]
fn a_collector_receives_spans_and_no_secrets() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (url, received) = collector(&runtime);
    let server = Server::start(&url, "json");
    let secrets = use_it(&server);
    let logged = server.stop();
    // The last are sent before the server ends.
    let requests: Vec<ExportTraceServiceRequest> = received.try_iter().collect();
    let spans: Vec<_> = requests
        .iter()
        .flat_map(|request| &request.resource_spans)
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
        .collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let of_me = spans.iter().filter(|span| span.name == "GET /api/v1/me");
    assert_eq!(of_me.count(), 2, "{names:?}");
    assert!(names.contains(&"POST /api/v1/session"), "{names:?}");
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    assert!(format!("{resource:?}").contains("picket-server"));

    let sent = format!("{requests:?}");
    assert!(sent.contains("http.response.status_code"), "{sent}");
    for secret in &secrets {
        assert!(!sent.contains(secret), "a secret in a span: {secret}");
        assert!(!logged.contains(secret), "a secret in the log: {secret}");
    }
    // Every line is JSON, with what was asked and what came of it.
    let lines: Vec<Value> = logged
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let request = lines
        .iter()
        .find(|line| line["message"] == "request" && line["route"] == "/api/v1/me")
        .expect("a line on a request");
    assert_eq!(request["level"], "DEBUG");
    assert_eq!(request["status"], 200);
}

#[test]
fn without_a_collector_the_server_serves() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    for collector in [url.as_str(), "none"] {
        let began = Instant::now();
        let server = Server::start(collector, "text");
        let secrets = use_it(&server);
        let logged = server.stop();
        assert!(began.elapsed() < PATIENCE, "it waited for the collector");
        assert!(logged.contains("a log-in failed"), "{logged}");
        for secret in &secrets {
            assert!(!logged.contains(secret), "a secret in the log: {secret}");
        }
    }
}
