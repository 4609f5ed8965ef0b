//! What callers may do: four roles, each with the rights of the one below it, and one right beside them.

use serde::Serialize;
use store::Role;
use utoipa::ToSchema;

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Right {
    /// See definitions, syncs, alerts, logs.
    View,
    /// Start, cancel, release, replay and reset syncs; test connections.
    Operate,
    /// Create, change and delete definitions and alerts.
    Edit,
    /// People, others' tokens, settings, the audit log, keys.
    Own,
    /// See the values of columns marked personal.
    SeePersonal,
}

impl Right {
    pub(crate) const ALL: [Right; 5] = [Right::View, Right::Operate, Right::Edit, Right::Own, Right::SeePersonal];

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Right::View => "view",
            Right::Operate => "operate",
            Right::Edit => "edit",
            Right::Own => "own",
            Right::SeePersonal => "see personal values",
        }
    }
}

/// A role, as the API's document lists them.
#[derive(Debug, ToSchema)]
#[schema(as = Role, rename_all = "snake_case")]
#[expect(dead_code, reason = "it stands for `store::Role`, which knows nothing of documents")]
pub(crate) enum RoleWord {
    Viewer,
    Operator,
    Editor,
    Owner,
}

/// What one caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) role: Role,
    pub(crate) see_personal: bool,
}

impl Rights {
    pub(crate) fn has(self, right: Right) -> bool {
        match right {
            Right::View => true,
            Right::Operate => self.role >= Role::Operator,
            Right::Edit => self.role >= Role::Editor,
            Right::Own => self.role >= Role::Owner,
            Right::SeePersonal => self.see_personal,
        }
    }

    pub(crate) fn all(self) -> Vec<Right> {
        Right::ALL.into_iter().filter(|right| self.has(*right)).collect()
    }
}
