//! The four roles of people, each with the rights of the one before it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a person is to this Outflow. They are ordered: who comes later may do all that those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees definitions, syncs and alerts.
    Viewer,
    /// Starts, cancels, releases, replays and resets syncs too.
    Operator,
    /// Creates, changes and deletes definitions and alerts too.
    Editor,
    /// Has the say over people, tokens, settings, the audit log and keys too.
    Owner,
}

/// Text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; there are viewer, operator, editor and owner")]
pub struct RoleError(String);

impl Role {
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Editor, Role::Owner];

    /// The word in the store, in pages and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Editor => "editor",
            Role::Owner => "owner",
        }
    }

    /// Whether the role comes with sight of personal values.
    pub fn sees_personal(self) -> bool {
        self >= Role::Editor
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| RoleError(text.to_owned()))
    }
}
