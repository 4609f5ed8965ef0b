//! Plans as work of their own: begun by a request, worked out in this process, kept in a file to be paged through.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use records::PlanId;
use store::{Actor, PlanRow, PlanState, StoreError, SyncError};
use sync::{ChangePage, PageOptions, Plan, PlanOptions, Problem, Unobserved};
use tokio_util::sync::CancellationToken;

use crate::{Happening, Service, ServiceError, error::told};

/// How often a process says that it is still at its plans.
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// How long after that nobody is at them any more.
const SILENT_MAX: Duration = Duration::from_secs(120);
/// Plans that are looked after in one go.
const SWEPT_MAX: u32 = 100;

/// How plans are worked out and kept.
#[derive(Debug, Clone)]
pub struct PlanSettings {
    /// How long one is kept.
    pub keep: Duration,
    /// How many are worked out at once; the others wait.
    pub at_once_max: usize,
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self { keep: Duration::from_secs(24 * 3600), at_once_max: 2 }
    }
}

impl Service {
    /// Begins to work out what a sync of a mapping would do. It may be switched off.
    ///
    /// # Errors
    /// The mapping, or what it needs, is missing or wrong.
    pub async fn begin_plan(
        self: &Arc<Self>,
        mapping: &str,
        samples: usize,
        by: Option<&Actor>,
    ) -> Result<PlanRow, ServiceError> {
        let mapping = self.mapping(mapping).await?;
        let id = PlanId::new(self.now(), self.random().as_ref());
        self.store().begin_plan(id, &mapping.name, self.worker(), by, self.after(SILENT_MAX)).await?;
        let begun = self.plan(id).await?;
        self.tell(&mapping.name, Happening::Plan { plan: id, state: PlanState::Running });
        let cancel = self.planning().begin(id);
        let service = Arc::clone(self);
        tokio::spawn(async move {
            let name = mapping.name.clone();
            let worked_out = service.work_out(id, mapping, samples, &cancel).await;
            service.planning().end(id);
            if let Err(error) = service.keep_plan(id, &name, worked_out).await {
                tracing::warn!(plan = %id, error = told(&error), "a plan cannot be kept");
            }
        });
        Ok(begun)
    }

    async fn work_out(
        &self,
        id: PlanId,
        mapping: Arc<sync::Mapping>,
        samples: usize,
        cancel: &CancellationToken,
    ) -> Result<(Plan, PathBuf), Problem> {
        let file = self.plan_file(id);
        let working = async {
            let _turn = self.planning().turn().await;
            if let Some(folder) = file.parent() {
                tokio::fs::create_dir_all(folder).await?;
            }
            let options = PlanOptions { samples, save: Some(file.clone()) };
            let mut plans = self.engine().plan(&[mapping], &options, &Unobserved, cancel).await;
            let missing = || Err(Problem::new("internal", "the plan has no result"));
            plans.pop().unwrap_or_else(missing).map(|plan| (plan, file.clone()))
        };
        tokio::pin!(working);
        loop {
            tokio::select! {
                worked_out = &mut working => return worked_out,
                () = tokio::time::sleep(RENEW_EVERY) => {
                    if let Err(error) = self.store().renew_plans(self.worker(), self.after(SILENT_MAX)).await {
                        tracing::warn!(error = told(&error), "the plans of this process cannot be renewed");
                    }
                }
            }
        }
    }

    async fn keep_plan(
        &self,
        id: PlanId,
        mapping: &str,
        worked_out: Result<(Plan, PathBuf), Problem>,
    ) -> Result<(), StoreError> {
        let expires_at = self.after(self.plan_settings().keep);
        let state = match worked_out {
            Ok((plan, file)) => {
                let summary = serde_json::to_value(plan).unwrap_or_default();
                self.store().finish_plan(id, &summary, &file, expires_at).await?;
                PlanState::Ready
            }
            Err(Problem { code, message, hint }) => {
                self.store().fail_plan(id, &SyncError { code, message, hint }, expires_at).await?;
                PlanState::Failed
            }
        };
        self.tell(mapping, Happening::Plan { plan: id, state });
        Ok(())
    }

    /// A plan, in whatever state.
    ///
    /// # Errors
    /// There is none, or the statement fails.
    pub async fn plan(&self, id: PlanId) -> Result<PlanRow, ServiceError> {
        self.store().plan(id).await?.ok_or(ServiceError::UnknownPlan(id))
    }

    /// A page of the changes of a plan that is ready.
    ///
    /// # Errors
    /// There is none, it is not ready, or it lies on another machine.
    pub async fn plan_page(&self, id: PlanId, options: &PageOptions) -> Result<ChangePage, ServiceError> {
        let plan = self.plan(id).await?;
        let file = plan.file.filter(|_| plan.state == PlanState::Ready).ok_or(ServiceError::PlanNotReady(id))?;
        let mapping = self.mapping(&plan.mapping).await?;
        Ok(self.engine().plan_page(file, &mapping, options).await?)
    }

    /// Stops a plan that is being worked out, or forgets one that is there.
    ///
    /// # Errors
    /// There is none, or the statement fails.
    pub async fn drop_plan(&self, id: PlanId) -> Result<(), ServiceError> {
        let plan = self.plan(id).await?;
        self.planning().cancel(id);
        Ok(self.forget_plan(&plan).await?)
    }

    async fn forget_plan(&self, plan: &PlanRow) -> Result<(), StoreError> {
        if let Some(file) = &plan.file {
            match tokio::fs::remove_file(file).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(plan = %plan.id, error = told(&error), "the file of a plan cannot be removed");
                }
                _ => {}
            }
        }
        self.store().forget_plan(plan.id).await?;
        Ok(())
    }

    /// Forgets plans whose time is over, and gives up those that nobody works out any more.
    pub(crate) async fn sweep_plans(&self) -> Result<(), StoreError> {
        for plan in self.store().expired_plans(self.now(), SWEPT_MAX).await? {
            if plan.state != PlanState::Running {
                self.forget_plan(&plan).await?;
                continue;
            }
            let error = SyncError {
                code: "interrupted".to_owned(),
                message: "the process that worked the plan out has ended".to_owned(),
                hint: Some("ask for the plan again".to_owned()),
            };
            self.store().fail_plan(plan.id, &error, self.after(self.plan_settings().keep)).await?;
            self.tell(&plan.mapping, Happening::Plan { plan: plan.id, state: PlanState::Failed });
        }
        Ok(())
    }

    fn plan_file(&self, id: PlanId) -> PathBuf {
        self.places().settings.data.join("plans").join(format!("{id}.plan"))
    }

    fn after(&self, while_: Duration) -> Timestamp {
        let while_ = SignedDuration::try_from(while_).unwrap_or(SignedDuration::MAX);
        self.now().checked_add(while_).unwrap_or(Timestamp::MAX)
    }
}
