//! Log-in by an OpenID Connect provider, as the file has it.

use crate::auth::Role;
use picket_outputs::{Wrong, wrong};
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

/// Roles that groups may give, at most.
const MAX_ROLES: usize = 1000;

/// Log-in by an OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// The provider, as it names itself.
    pub issuer: String,
    /// This server's name there.
    pub client_id: String,
    /// The file with this server's secret there; none for a public client.
    pub client_secret: Option<PathBuf>,
    /// Where the provider sends people back to: this server's
    /// `/api/v1/session/oidc/callback`, as browsers reach it.
    pub redirect: String,
    /// The certificates that the provider's is checked against, PEM; none: the
    /// system's.
    pub authorities: Option<PathBuf>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a user's groups.
    pub groups_claim: String,
    /// The claim that a new user is named after.
    pub name_claim: String,
    /// What groups give. Whoever is in none of them is not let in.
    pub roles: Vec<GroupRole>,
}

/// A role that a group gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRole {
    /// The group.
    pub group: String,
    /// The role.
    pub role: Role,
    /// In this project alone.
    pub project: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOidc {
    issuer: Spanned<String>,
    client_id: Spanned<String>,
    client_secret_file: Option<PathBuf>,
    redirect: Spanned<String>,
    authorities: Option<PathBuf>,
    scopes: Option<Vec<String>>,
    groups_claim: Option<String>,
    name_claim: Option<String>,
    roles: Option<Spanned<Vec<RawGroupRole>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroupRole {
    group: String,
    role: Role,
    project: Option<String>,
}

/// `https`, or `http` on a loopback address: codes and tokens go there.
pub(crate) fn is_safe_url(url: &str) -> bool {
    let Ok(url) = url.parse::<axum::http::Uri>() else {
        return false;
    };
    let host = url.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match url.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_loopback,
        _ => false,
    }
}

pub(super) fn resolve(raw: RawOidc) -> Result<Oidc, Wrong> {
    for (value, key) in [(&raw.issuer, "issuer"), (&raw.redirect, "redirect")] {
        let url = value.get_ref();
        if !is_safe_url(url) || url.contains(['?', '#']) {
            let why =
                format!("oidc.{key}: write an https:// URL (http:// on a loopback address only)");
            return Err(wrong(value, why));
        }
    }
    if !raw.redirect.get_ref().ends_with(super::OIDC_CALLBACK) {
        let why = format!(
            "oidc.redirect: it ends with {}, under the address by which browsers reach this server",
            super::OIDC_CALLBACK
        );
        return Err(wrong(&raw.redirect, why));
    }
    if raw.client_id.get_ref().is_empty() {
        return Err(wrong(&raw.client_id, "oidc.client_id: it is empty"));
    }
    // The table that they are missing from has no place of its own.
    let at = raw.roles.as_ref().map_or(raw.issuer.span(), Spanned::span);
    let roles = raw.roles.map(Spanned::into_inner).unwrap_or_default();
    if roles.is_empty() || roles.len() > MAX_ROLES {
        let why = format!(
            "oidc.roles: write [[oidc.roles]] with group and role, 1 to {MAX_ROLES} of them: nobody \
             else is let in"
        );
        return Err(Wrong {
            at: at.start,
            what: why,
        });
    }
    Ok(Oidc {
        issuer: raw.issuer.into_inner(),
        client_id: raw.client_id.into_inner(),
        client_secret: raw.client_secret_file,
        redirect: raw.redirect.into_inner(),
        authorities: raw.authorities,
        scopes: raw
            .scopes
            .unwrap_or_else(|| ["profile", "email", "groups"].map(str::to_owned).into()),
        groups_claim: raw.groups_claim.unwrap_or_else(|| "groups".to_owned()),
        name_claim: raw
            .name_claim
            .unwrap_or_else(|| "preferred_username".to_owned()),
        roles: roles
            .into_iter()
            .map(|raw| GroupRole {
                group: raw.group,
                role: raw.role,
                project: raw.project,
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_over_https_or_nowhere() {
        for url in [
            "https://sso.example",
            "https://sso.example/realms/a",
            "http://127.0.0.1:9",
            "http://localhost:9",
            "http://[::1]:9",
        ] {
            assert!(is_safe_url(url), "{url}");
        }
        for url in [
            "",
            "sso.example",
            "http://sso.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "ftp://127.0.0.1",
            "https://",
            "http://user@sso.example",
            "file:///etc/passwd",
        ] {
            assert!(!is_safe_url(url), "{url}");
        }
    }
}
