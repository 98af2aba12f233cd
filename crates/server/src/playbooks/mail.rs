//! Mail, handed in at a relay.

use super::http::Failure;
use crate::config::Smtp;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::time::Duration;

/// Hands in mail.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// For that relay, with that password.
    pub(super) fn new(smtp: &Smtp, password: Option<String>) -> Result<Mailer, String> {
        let from = smtp
            .from
            .parse()
            .map_err(|why| format!("playbooks.smtp.from: {:?}: {why}", smtp.from))?;
        let builder = match smtp.tls {
            true => AsyncSmtpTransport::<Tokio1Executor>::relay(&smtp.host)
                .map_err(|why| format!("playbooks.smtp: {why}"))?,
            false => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host),
        };
        let mut builder = builder.port(smtp.port);
        if let (Some((name, _)), Some(password)) = (&smtp.log_in, password) {
            builder = builder.credentials(Credentials::new(name.clone(), password));
        }
        Ok(Mailer {
            transport: builder.build(),
            from,
        })
    }

    /// Hands one in. The key is its id: a second one of the same can be told.
    pub(super) async fn send(
        &self,
        to: &[String],
        subject: &str,
        text: &str,
        key: &str,
        patience: Duration,
    ) -> Result<String, Failure> {
        let bad = |why: &dyn std::fmt::Display| Failure::for_good(why.to_string());
        let host = self.from.email.domain();
        let mut message = Message::builder()
            .from(self.from.clone())
            // A line's end would be a header's end.
            .subject(subject.replace(['\r', '\n'], " "))
            .message_id(Some(format!("<{}@{host}>", key.replace(':', "."))));
        for address in to {
            message = message.to(address.parse().map_err(|why| bad(&why))?);
        }
        let message = message.body(text.to_owned()).map_err(|why| bad(&why))?;
        match tokio::time::timeout(patience, self.transport.send(message)).await {
            Err(_) => Err(Failure::for_now("the relay took too long")),
            Ok(Err(why)) if why.is_permanent() => Err(bad(&why)),
            Ok(Err(why)) => Err(Failure::for_now(why.to_string())),
            Ok(Ok(answer)) => Ok(format!("accepted: {}", answer.code())),
        }
    }
}
