//! Servers for cases.

use crate::client::Client;
use picket_server::auth::Role;
use picket_server::config::{Config, Tls};
use picket_server::{Server, start};
use picket_store::testing::{PostgresServer, scratch, skipped};
use picket_store::{Cause, Grant, Location, LogIn, NewApiToken, Store, new_id};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Where cases get their databases from.
pub struct Labs {
    postgres: Option<PostgresServer>,
}

/// One case's server.
pub struct Lab {
    pub runtime: Runtime,
    server: Option<Server>,
    pub store: Arc<dyn Store>,
    /// The first administrator.
    pub admin: Client,
    pub password: String,
    folder: tempfile::TempDir,
}

impl Labs {
    pub fn sqlite() -> Labs {
        Labs { postgres: None }
    }

    /// None, said aloud, where there is no PostgreSQL.
    pub fn postgres() -> Option<Labs> {
        match PostgresServer::start() {
            Ok(server) => Some(Labs {
                postgres: Some(server),
            }),
            Err(why) => {
                skipped(&why);
                None
            }
        }
    }

    pub fn run(&self, name: &str, case: fn(&mut Lab)) {
        println!("case: {name}");
        let mut lab = self.lab(|_| {});
        case(&mut lab);
        lab.stop();
    }

    fn lab(&self, adjust: impl FnOnce(&mut Config)) -> Lab {
        let location = self
            .postgres
            .as_ref()
            .map(|server| server.database().expect("a database"));
        Lab::start(location, adjust)
    }
}

impl Lab {
    /// A server of its own, with other settings, on SQLite.
    pub fn with(adjust: impl FnOnce(&mut Config)) -> Lab {
        Lab::start(None, adjust)
    }

    fn start(location: Option<Location>, adjust: impl FnOnce(&mut Config)) -> Lab {
        let folder = scratch("picket-api-").expect("a scratch folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let any = "127.0.0.1:0".parse().expect("an address");
        let mut config = Config::in_folder(folder.path());
        config.listen = any;
        config.fleet.listen = any;
        config.tls = Tls::Off;
        // The rate is what one case tests, and in the way of the others.
        config.api.requests_per_second = 1e6;
        config.api.burst = 1e6;
        if let Some(location) = location {
            config.store = location;
        }
        adjust(&mut config);
        let server = runtime.block_on(start(config)).expect("the server starts");
        let password = first_password(&server);
        let base = format!("http://{}", server.address());
        let plain = Client::new(&base);
        let body = serde_json::json!({"name": "admin", "password": password, "token": true});
        let session = plain.post("/api/v1/session", body).expect(200).json();
        let admin = plain.with_token(session["token"].as_str().expect("a token"));
        Lab {
            store: server.store().clone(),
            server: Some(server),
            runtime,
            admin,
            password,
            folder,
        }
    }

    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    /// Takes it out, to be stopped by the case.
    pub fn take_server(&mut self) -> Server {
        self.server.take().expect("it runs")
    }

    pub fn stop(mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }

    /// A user with one grant, by a token.
    pub fn user(&self, name: &str, grants: &[(Option<&str>, Role)]) -> Client {
        let store = &self.store;
        let cause = cause();
        let secret = format!("pkt_{name}_{}", new_id());
        self.runtime.block_on(async {
            let user = store
                .make_user(name, LogIn::default(), &cause)
                .await
                .expect("a user");
            for (project, role) in grants {
                let project = match project {
                    None => None,
                    Some(name) => Some(
                        store
                            .definition_named(picket_store::Kind::Project, name)
                            .await
                            .expect("a project")
                            .id,
                    ),
                };
                let grant = Grant {
                    project,
                    role: role.name().to_owned(),
                };
                store.grant(user.id, grant, &cause).await.expect("a grant");
            }
            let token = NewApiToken {
                user: user.id,
                name: "test".to_owned(),
                hash: picket_server::auth::digest(&secret),
                expires_at: None,
            };
            store.make_api_token(token, &cause).await.expect("a token");
        });
        self.admin.with_token(&secret)
    }
}

/// What is shown once at the first start.
fn first_password(server: &Server) -> String {
    let lines = server.greeting();
    let line = lines
        .iter()
        .find_map(|line| line.strip_prefix("first start: log in as admin with the password "))
        .expect("the line with the password");
    line.split(' ').next().expect("a password").to_owned()
}

pub fn cause() -> Cause {
    Cause {
        actor: "system:test".to_owned(),
        reason: "for the test".to_owned(),
        at: 1_790_000_000_000_000,
    }
}
