//! Why a definition was not taken, found or worked with, as answers of the API tell it.

use project::Problems;
use store::{ResourceError, SettingError};
use sync::Problem;
use workers::ServiceError;

use crate::{ApiError, Code};

impl From<ResourceError> for ApiError {
    fn from(error: ResourceError) -> Self {
        let told = error.to_string();
        let of = |code: Code, message: &str| Self::new(code, message.to_owned());
        match error {
            ResourceError::Missing { kind, name } => Self::not_found(kind.name(), &name),
            ResourceError::NoVersion { .. } => of(Code::NotFound, &told),
            ResourceError::Taken { .. } => of(Code::Conflict, &told),
            ResourceError::Name { .. } => Self::invalid("name", told),
            ResourceError::Outdated { .. } => {
                of(Code::VersionMismatch, &told).with_hint("read it again and repeat your change")
            }
            ResourceError::Managed { .. } => {
                of(Code::ManagedByFile, &told).with_hint("change the file and run `outflow apply`")
            }
            ResourceError::Used { by, .. } => {
                let error = of(Code::InUse, &told);
                by.into_iter().fold(error, |error, user| error.with_field(user.kind.name(), user.name))
            }
            ResourceError::Dangling { of, .. } => {
                Self::invalid(of.kind.name(), format!("there is no {} `{}`", of.kind, of.name))
            }
            ResourceError::Store(error) => error.into(),
        }
    }
}

impl From<SettingError> for ApiError {
    fn from(error: SettingError) -> Self {
        match error {
            SettingError::Outdated { .. } => Self::new(Code::VersionMismatch, error.to_string()),
            SettingError::Store(error) => error.into(),
        }
    }
}

impl ApiError {
    /// All that is wrong with the definition at `place` (`mappings/customers`). What is wrong elsewhere is told with its
    /// own place.
    pub(crate) fn of_problems(problems: &Problems, place: &str) -> Self {
        let fields: Vec<(String, String)> = problems
            .iter()
            .map(|problem| {
                let file = problem.file.to_string_lossy();
                if file == place {
                    (problem.field.clone(), problem.message.clone())
                } else {
                    (String::new(), problem.to_string())
                }
            })
            .collect();
        let detail = match &fields[..] {
            [(field, message)] if field.is_empty() => message.clone(),
            [(field, message)] => format!("`{field}`: {message}"),
            several => format!("{} things are wrong with it", several.len()),
        };
        fields
            .into_iter()
            .fold(Self::new(Code::Invalid, detail), |error, (field, message)| error.with_field(field, message))
    }

    /// What the service says of the definition at `place`.
    pub(crate) fn of_service(error: ServiceError, place: &str) -> Self {
        match error {
            ServiceError::Resource(error) => error.into(),
            ServiceError::Store(error) => error.into(),
            ServiceError::Definitions(problems) => Self::of_problems(&problems, place),
            ServiceError::UnknownPlan(id) => Self::not_found("plan", &id.to_string()),
            ServiceError::Engine(problem) => Self::of_problem(problem),
            ServiceError::SwitchedOff { .. } => Self::new(Code::SwitchedOff, error.to_string()),
            ServiceError::OtherMapping { .. } | ServiceError::NotHeld(_) | ServiceError::PlanNotReady(_) => {
                Self::new(Code::Conflict, error.to_string())
            }
        }
    }

    /// What kept the engine from doing it.
    pub(crate) fn of_problem(problem: Problem) -> Self {
        let code = match problem.code.as_str() {
            "internal" => Code::Internal,
            "locked" => Code::AlreadyRunning,
            "store" => Code::StoreUnavailable,
            code if ["source_", "query_", "destination_"].iter().any(|start| code.starts_with(start)) => {
                Code::UpstreamFailed
            }
            _ => Code::Conflict,
        };
        let error = Self::new(code, problem.message);
        problem.hint.into_iter().fold(error, Self::with_hint)
    }
}

/// For what is about no definition of the request's own.
impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        Self::of_service(error, "")
    }
}
