//! What is known of Falco's rule files.

/// Keys of the items of a Falco rules file.
pub(super) const KEYS: &[&str] = &[
    "rule",
    "macro",
    "list",
    "required_engine_version",
    "required_plugin_versions",
];

/// Our name of one of Falco's fields.
pub(super) fn field(name: &str) -> Option<&'static str> {
    Some(match name {
        "proc.name" => "process.name",
        "proc.exepath" | "proc.exe" => "process.path",
        "proc.cmdline" => "process.cmd_line",
        "proc.args" => "process.args",
        "proc.cwd" => "process.working_directory",
        "proc.pid" => "process.pid",
        "proc.pname" => "process.parent_process.name",
        "proc.pexepath" => "process.parent_process.path",
        "proc.pcmdline" => "process.parent_process.cmd_line",
        "proc.is_exe_from_memfd" => "process.memfd",
        "proc.is_exe_upper_layer" => "process.upper_layer",
        "user.name" => "actor.user.name",
        "user.uid" => "actor.user.uid",
        "user.loginuid" => "actor.session.auid",
        "container.id" => "container.uid",
        "container.image" | "container.image.repository" => "container.image.name",
        "k8s.ns.name" => "k8s.namespace",
        "k8s.pod.name" => "k8s.pod",
        "fd.sip" | "fd.rip" => "dst_endpoint.ip",
        "fd.sport" | "fd.rport" => "dst_endpoint.port",
        "fd.sip.name" => "dst_endpoint.hostname",
        "fd.l4proto" => "connection_info.protocol_name",
        "fd.name" => "file.path",
        "fd.filename" => "file.name",
        "fd.directory" => "file.parent_folder",
        "evt.res" => "status",
        _ => return None,
    })
}
