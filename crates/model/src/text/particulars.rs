//! An event's own line: what happened, to what, with what outcome.

use super::{printed, shown};
use crate::class::EventClass;
use crate::datum::Datum;
use crate::event::{Detail, Dns, Endpoint, Event, Exec, File, Network, Status};
use crate::record::{OpenFlags, Protocol};

/// `process.exec: sh -c id, in /srv`.
pub(super) fn line(event: &Event) -> String {
    let parts = match &event.detail {
        Detail::Exec(exec) => exec_parts(exec, event),
        Detail::Network(network) => network_parts(network, event.class),
        Detail::Dns(dns) => dns_parts(dns),
        Detail::File(file) => file_parts(file, event.class),
    };
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}", event.class, parts.join(", "))
}

fn exec_parts(exec: &Exec, event: &Event) -> Vec<Option<String>> {
    let image = &*exec.process.image;
    let what = shown(&image.cmd_line)
        .or_else(|| shown(&image.path))
        .or_else(|| shown(&image.name));
    let caller = event.actor.process.known().and_then(|actor| {
        let file = shown(&actor.image.path).or_else(|| shown(&actor.image.name));
        file.map(|file| format!("called by {file}"))
    });
    let flag = |datum, words: &str| (datum == Datum::Known(true)).then(|| words.to_owned());
    vec![
        what,
        shown(&image.working_directory).map(|folder| format!("in {folder}")),
        shown(&image.script).map(|script| format!("script {script}")),
        flag(image.memfd, "from memory alone (memfd)"),
        flag(image.deleted, "from a deleted file"),
        flag(image.upper_layer, "from a file that is not in the image"),
        shown(&image.tty).map(|tty| format!("on {tty}")),
        caller,
    ]
}

fn network_parts(network: &Network, class: EventClass) -> Vec<Option<String>> {
    let transport = protocol(network.protocol).unwrap_or_else(|| "socket".to_owned());
    let here = endpoint(&network.src);
    let outcome = status(network.status);
    if class == EventClass::NetworkListen {
        let on = here.unwrap_or_else(|| "?".to_owned());
        return vec![Some(format!("{transport} on {on}")), outcome];
    }
    let to = endpoint(&network.dst).unwrap_or_else(|| "?".to_owned());
    let from = here.map(|here| format!("from {here}"));
    vec![Some(format!("{transport} to {to}")), from, outcome]
}

fn dns_parts(dns: &Dns) -> Vec<Option<String>> {
    let name = shown(&dns.hostname).unwrap_or_else(|| "?".to_owned());
    let question = match shown(&dns.query_type) {
        Some(query_type) => format!("{query_type} of {name}"),
        None => name,
    };
    let resolver = endpoint(&dns.resolver).map(|resolver| format!("asked of {resolver}"));
    let over = protocol(dns.protocol).map(|protocol| format!("over {protocol}"));
    vec![Some(question), resolver, over]
}

fn file_parts(file: &File, class: EventClass) -> Vec<Option<String>> {
    let path = shown(&file.path).unwrap_or_else(|| "?".to_owned());
    let opened = match file.open {
        Datum::Known(open) | Datum::Truncated(open) => opened(open),
        Datum::Unknown | Datum::Absent => None,
    };
    let from = match class {
        EventClass::FileRename => shown(&file.rename_from).map(|from| format!("was {from}")),
        _ => None,
    };
    let mode = match file.mode {
        Datum::Known(mode) | Datum::Truncated(mode) => Some(format!("mode {mode:04o}")),
        Datum::Unknown | Datum::Absent => None,
    };
    vec![Some(path), opened, from, mode, status(file.status)]
}

fn opened(open: OpenFlags) -> Option<String> {
    let words = [
        (open.read, "reading"),
        (open.write, "writing"),
        (open.create, "creating"),
    ];
    let meant: Vec<&str> = words
        .iter()
        .filter(|(asked, _)| *asked)
        .map(|(_, word)| *word)
        .collect();
    (!meant.is_empty()).then(|| format!("for {}", meant.join(" and ")))
}

/// `198.51.100.7:4444 (host.example)`.
fn endpoint(end: &Endpoint) -> Option<String> {
    let port = printed(end.port);
    let ip = match end.ip {
        Datum::Known(ip) if ip.is_ipv6() && port.is_some() => Some(format!("[{ip}]")),
        ip => printed(ip),
    };
    let address = match (ip, port) {
        (Some(ip), Some(port)) => Some(format!("{ip}:{port}")),
        (Some(ip), None) => Some(ip),
        (None, Some(port)) => Some(format!("port {port}")),
        (None, None) => None,
    };
    match (address, shown(&end.hostname)) {
        (Some(address), Some(name)) => Some(format!("{address} ({name})")),
        (address, name) => address.or(name),
    }
}

fn protocol(protocol: Datum<Protocol>) -> Option<String> {
    printed(protocol.map(Protocol::name))
}

fn status(status: Datum<Status>) -> Option<String> {
    match status {
        Datum::Absent => None,
        Datum::Unknown => Some("outcome not known".to_owned()),
        Datum::Truncated(status) | Datum::Known(status) => Some(status.text().into_owned()),
    }
}
