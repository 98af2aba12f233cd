//! Roles, what they allow, and where.

use picket_store::{Grant, Uuid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role, granted everywhere or in one project.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees, and answers: takes blocks back, revokes sensors, halts roll-outs.
    Responder,
    /// Sees, and writes rules, policies and lists that block nothing.
    Author,
    /// Sees, and lets policies block. Without `author`, only what others wrote.
    Armer,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [
        Role::Viewer,
        Role::Responder,
        Role::Author,
        Role::Armer,
        Role::Admin,
    ];

    /// Its name, here and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Responder => "responder",
            Role::Author => "author",
            Role::Armer => "armer",
            Role::Admin => "admin",
        }
    }

    /// The role of a name.
    pub fn of_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// What it allows.
    pub const fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Respond => matches!(self, Role::Responder | Role::Admin),
            Permission::Write => matches!(self, Role::Author | Role::Admin),
            Permission::Arm => matches!(self, Role::Armer | Role::Admin),
            Permission::Administer => matches!(self, Role::Admin),
        }
    }
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See.
    Read,
    /// Answer.
    Respond,
    /// Write rules, policies and lists.
    Write,
    /// Change what blocks.
    Arm,
    /// Users, projects, join tokens, sensors' labels.
    Administer,
}

impl Permission {
    /// What the one who lacks it is told to ask for.
    pub const fn asks_for(self) -> &'static str {
        match self {
            Permission::Read => "a role",
            Permission::Respond => "the role responder",
            Permission::Write => "the role author",
            Permission::Arm => "the role armer",
            Permission::Administer => "the role admin",
        }
    }
}

/// Where a permission holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    All,
    /// In these projects; none: nowhere.
    Projects(Vec<Uuid>),
}

impl Scope {
    /// Whether it covers a project.
    pub fn covers(&self, project: Uuid) -> bool {
        match self {
            Scope::All => true,
            Scope::Projects(projects) => projects.contains(&project),
        }
    }

    /// As a filter of the store: none is everything.
    pub fn projects(self) -> Option<Vec<Uuid>> {
        match self {
            Scope::All => None,
            Scope::Projects(projects) => Some(projects),
        }
    }
}

/// Everything that a user may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(Vec<(Option<Uuid>, Role)>);

impl Rights {
    /// From the store's grants. A role of a newer Picket allows nothing here.
    pub fn of(grants: &[Grant]) -> Rights {
        let known = |grant: &Grant| Some((grant.project, Role::of_name(&grant.role)?));
        Rights(grants.iter().filter_map(known).collect())
    }

    /// Where a permission holds.
    pub fn scope(&self, permission: Permission) -> Scope {
        let granted = || self.0.iter().filter(|(_, role)| role.allows(permission));
        if granted().any(|(project, _)| project.is_none()) {
            return Scope::All;
        }
        let mut projects: Vec<Uuid> = granted().filter_map(|(project, _)| *project).collect();
        projects.sort_unstable();
        projects.dedup();
        Scope::Projects(projects)
    }

    /// Whether it holds everywhere.
    pub fn everywhere(&self, permission: Permission) -> bool {
        self.scope(permission) == Scope::All
    }

    /// Whether it holds anywhere at all.
    pub fn anywhere(&self, permission: Permission) -> bool {
        self.scope(permission) != Scope::Projects(Vec::new())
    }

    /// Whether what is for these projects (none: for every sensor) may be seen: what
    /// is for every sensor concerns every project.
    pub fn may_see(&self, projects: &[Uuid]) -> bool {
        let scope = self.scope(Permission::Read);
        (projects.is_empty() && self.anywhere(Permission::Read))
            || projects.iter().any(|project| scope.covers(*project))
            || scope == Scope::All
    }

    /// Whether what is for these projects (none: for every sensor) may be changed: it
    /// takes the right in each of them.
    pub fn may_change(&self, permission: Permission, projects: &[Uuid]) -> bool {
        let scope = self.scope(permission);
        scope == Scope::All
            || (!projects.is_empty() && projects.iter().all(|project| scope.covers(*project)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_store::new_id;

    fn rights(grants: &[(Option<Uuid>, &str)]) -> Rights {
        let grants: Vec<Grant> = grants
            .iter()
            .map(|(project, role)| Grant {
                project: *project,
                role: (*role).to_owned(),
            })
            .collect();
        Rights::of(&grants)
    }

    #[test]
    fn arming_and_writing_are_apart() {
        let author = rights(&[(None, "author")]);
        assert!(author.everywhere(Permission::Write));
        assert!(!author.anywhere(Permission::Arm));
        let armer = rights(&[(None, "armer")]);
        assert!(armer.everywhere(Permission::Arm));
        assert!(!armer.anywhere(Permission::Write));
        assert!(rights(&[(None, "admin")]).everywhere(Permission::Arm));
    }

    #[test]
    fn a_project_is_not_everywhere() {
        let (mine, other) = (new_id(), new_id());
        let author = rights(&[(Some(mine), "author")]);
        assert!(author.may_change(Permission::Write, &[mine]));
        assert!(!author.may_change(Permission::Write, &[mine, other]));
        // For every sensor: others' too.
        assert!(!author.may_change(Permission::Write, &[]));
        assert!(author.may_see(&[]));
        assert!(author.may_see(&[mine, other]));
        assert!(!author.may_see(&[other]));
    }

    #[test]
    fn no_grant_and_unknown_roles_allow_nothing() {
        for rights in [Rights::default(), rights(&[(None, "emperor")])] {
            assert!(!rights.anywhere(Permission::Read));
            assert!(!rights.may_see(&[]));
            assert!(!rights.may_change(Permission::Write, &[]));
        }
    }

    #[test]
    fn names_come_back() {
        for role in Role::ALL {
            assert_eq!(Role::of_name(role.name()), Some(role));
        }
    }
}
