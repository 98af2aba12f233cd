//! Whatever an event holds, its JSON holds.

use super::again;
use crate::class::EventClass;
use crate::datum::Datum;
use crate::event::{
    Actor, Container, Detail, Dns, Endpoint, Event, EventUid, Exec, File, Host, Network, Status,
};
use crate::process::{FileIdentity, Image, Parent, Process, ProcessKey};
use crate::record::{OpenFlags, Protocol};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::Arc;

fn datum<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Datum<T>> {
    prop_oneof![
        4 => Just(None),
        1 => Just(Some(Datum::Unknown)),
    ]
    .prop_flat_map({
        let value = value.boxed();
        move |unknown| match unknown {
            Some(unknown) => Just(unknown).boxed(),
            None => prop_oneof![
                1 => Just(Datum::Absent),
                1 => value.clone().prop_map(Datum::Truncated),
                4 => value.clone().prop_map(Datum::Known),
            ]
            .boxed(),
        }
    })
    .boxed()
}

fn text<T: for<'t> From<&'t str> + std::fmt::Debug + Clone + 'static>() -> BoxedStrategy<Datum<T>> {
    datum(".{0,12}".prop_map(|text: String| T::from(text.as_str())))
}

fn texts() -> BoxedStrategy<Datum<Box<[Box<str>]>>> {
    datum(vec(".{0,6}".prop_map(String::into_boxed_str), 0..4).prop_map(Vec::into_boxed_slice))
}

fn identity() -> impl Strategy<Value = FileIdentity> {
    any::<(u64, u32, u64, u32)>().prop_map(|(inode, device, mtime_ns, links)| FileIdentity {
        inode,
        device,
        mtime_ns,
        links,
    })
}

prop_compose! {
    fn image()(
        texts in (text(), text(), text(), texts(), text(), text(), text(), text()),
        flags in (datum(any::<bool>()), datum(any::<bool>()), datum(any::<bool>())),
        sha256 in datum("[0-9a-f]{64}".prop_map(String::into_boxed_str)),
        file in datum(identity()),
        numbers in (datum(any::<u32>()), datum(any::<u32>()), datum(any::<u32>()), datum(any::<u32>()), datum(any::<u32>())),
        capabilities in datum(0u64..1 << 41),
        since_ns in any::<i64>(),
    ) -> Arc<Image> {
        let (name, path, cmd_line, args, working_directory, tty, interpreter, script) = texts;
        let (memfd, deleted, upper_layer) = flags;
        let (uid, gid, euid, pid_namespace, mount_namespace) = numbers;
        Arc::new(Image {
            by_runtime: false,
            name, path, cmd_line, args, working_directory, tty, interpreter, script,
            memfd, deleted, upper_layer, sha256, file, uid, gid, euid, capabilities,
            pid_namespace, mount_namespace, since_ns,
        })
    }
}

fn key() -> impl Strategy<Value = ProcessKey> {
    any::<(u32, u64)>().prop_map(|(pid, start_ns)| ProcessKey { pid, start_ns })
}

fn parent() -> BoxedStrategy<Parent> {
    (any::<bool>(), vec((key(), image()), 0..3))
        .prop_map(|(cut, ancestors)| {
            let end = if cut { Parent::Unknown } else { Parent::None };
            ancestors.into_iter().fold(end, |parent, (key, image)| {
                Parent::Known(Arc::new(Process::new(key, image, parent)))
            })
        })
        .boxed()
}

fn process(parent: BoxedStrategy<Parent>) -> BoxedStrategy<Arc<Process>> {
    (key(), image(), parent)
        .prop_map(|(key, image, parent)| Arc::new(Process::new(key, image, parent)))
        .boxed()
}

fn address() -> BoxedStrategy<Datum<IpAddr>> {
    datum(any::<IpAddr>().prop_map(|address| address.to_canonical()))
}

prop_compose! {
    fn endpoint()(ip in address(), port in datum(any::<u16>()), hostname in text()) -> Endpoint {
        Endpoint { ip, port, hostname }
    }
}

fn protocol() -> BoxedStrategy<Datum<Protocol>> {
    datum(prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)])
}

fn status() -> BoxedStrategy<Datum<Status>> {
    datum((0..600i32).prop_map(Status))
}

fn detail() -> impl Strategy<Value = (EventClass, Detail)> {
    let exec = (
        process(parent()),
        datum(process(Just(Parent::None).boxed())),
    )
        .prop_map(|(process, parent_process)| {
            let exec = Exec {
                process,
                parent_process,
            };
            (EventClass::ProcessExec, Detail::Exec(exec))
        });
    let network = (any::<bool>(), protocol(), endpoint(), endpoint(), status()).prop_map(
        |(listens, protocol, src, dst, status)| {
            let class = if listens {
                EventClass::NetworkListen
            } else {
                EventClass::NetworkConnect
            };
            let network = Network {
                protocol,
                src,
                dst,
                status,
            };
            (class, Detail::Network(network))
        },
    );
    let hostname = datum("[a-z.]{0,8}[a-z]".prop_map(String::into_boxed_str));
    let dns = (hostname, text(), endpoint(), protocol()).prop_map(
        |(hostname, query_type, resolver, protocol)| {
            let dns = Dns {
                hostname,
                query_type,
                resolver,
                protocol,
            };
            (EventClass::DnsQuery, Detail::Dns(dns))
        },
    );
    let open = any::<(bool, bool, bool)>().prop_map(|(read, write, create)| OpenFlags {
        read,
        write,
        create,
    });
    let class = (0..EventClass::FILE.len()).prop_map(|at| EventClass::FILE[at]);
    let file = (
        class,
        text(),
        datum(open),
        text(),
        datum(any::<u32>()),
        status(),
    )
        .prop_map(|(class, path, open, rename_from, mode, status)| {
            let file = File {
                path,
                open,
                rename_from,
                mode,
                status,
            };
            (class, Detail::File(file))
        });
    prop_oneof![3 => exec, 2 => network, 1 => dns, 2 => file]
}

prop_compose! {
    fn container()(
        texts in (text(), text(), text(), text()), privileged in datum(any::<bool>()),
    ) -> Container {
        let (uid, image_name, k8s_namespace, k8s_pod) = texts;
        Container { uid, image_name, privileged, k8s_namespace, k8s_pod }
    }
}

prop_compose! {
    fn event()(
        uid in ".{0,8}",
        time_ns in prop_oneof![any::<i64>(), (0i64..2_000_000).prop_map(|ms| ms * 1_000_000)],
        host in (text(), texts()),
        actor in (datum(process(parent())), text(), datum(any::<u32>()), datum(any::<u32>())),
        shares_chain in any::<bool>(),
        container in proptest::option::of(prop_oneof![Just(Container::default()), container()]),
        (class, detail) in detail(),
    ) -> Event {
        let (hostname, labels) = host;
        let (mut process, user_name, uid_number, auid) = actor;
        if let (true, Detail::Exec(exec)) = (shares_chain, &detail) {
            let parent = &exec.process.parent;
            process = process.map(|actor| Arc::new(
                Process::new(actor.key, Arc::clone(&actor.image), parent.clone()),
            ));
        }
        Event {
            uid: EventUid::Text(uid.into()),
            time_ns,
            class,
            host: Arc::new(Host { hostname, labels }),
            actor: Actor { process, user_name, uid: uid_number, auid },
            container: container.map(Arc::new),
            detail,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn an_event_survives_its_json(event in event()) {
        prop_assert_eq!(again(&event), event);
    }
}
