//! From the socket to a request: encryption, time-outs, an orderly end.

mod certificate;
mod listener;

pub use certificate::{CertificateError, load};
pub use listener::{Client, Encryption, Listener};
