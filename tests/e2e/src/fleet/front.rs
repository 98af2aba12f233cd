//! A load balancer in miniature: connections go to the first server that answers.

use anyhow::Result;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Listens until the test's process ends.
pub struct Front {
    address: SocketAddr,
    behind: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Front {
    /// Before these servers.
    pub fn new() -> Result<Front> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let front = Front {
            address: listener.local_addr()?,
            behind: Arc::default(),
        };
        let behind = front.behind.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let servers = behind
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let server = servers
                    .iter()
                    .find_map(|server| TcpStream::connect(server).ok());
                // No server answers: the client sees a closed connection.
                if let Some(server) = server {
                    both_ways(client, server);
                }
            }
        });
        Ok(front)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The servers behind it from here on, the first to be asked first.
    pub fn put(&self, servers: Vec<SocketAddr>) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }
}

fn both_ways(client: TcpStream, server: TcpStream) {
    let pairs = [
        (client.try_clone(), server.try_clone()),
        (Ok(server), Ok(client)),
    ];
    for (from, to) in pairs {
        let (Ok(from), Ok(to)) = (from, to) else {
            return;
        };
        std::thread::spawn(move || pump(from, to));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
