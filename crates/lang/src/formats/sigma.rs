//! What is known of Sigma's rule files.

/// Keys that a Sigma rule has and a native file has not.
pub(super) const KEYS: &[&str] = &["logsource", "detection"];

/// Our name of one of Sigma's fields.
pub(super) fn field(name: &str) -> Option<&'static str> {
    Some(match name {
        "Image" => "process.path",
        "CommandLine" => "process.cmd_line",
        "CurrentDirectory" => "process.working_directory",
        "ParentImage" => "process.parent_process.path",
        "ParentCommandLine" => "process.parent_process.cmd_line",
        "Hashes" => "process.hash.sha256",
        "User" => "actor.user.name",
        "LogonId" => "actor.session.auid",
        "DestinationIp" => "dst_endpoint.ip",
        "DestinationPort" => "dst_endpoint.port",
        "DestinationHostname" => "dst_endpoint.hostname",
        "SourceIp" => "src_endpoint.ip",
        "SourcePort" => "src_endpoint.port",
        "Protocol" => "connection_info.protocol_name",
        "QueryName" => "query.hostname",
        "record_type" => "query.type",
        "TargetFilename" => "file.path",
        _ => return None,
    })
}
