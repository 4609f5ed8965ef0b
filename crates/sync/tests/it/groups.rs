//! Syncs of one model that are due together.

use std::sync::atomic::Ordering;

use sync::{Ending, Unobserved};

use crate::support::{Told, confirmed, request, stage, sync};

#[tokio::test(start_paused = true)]
async fn mappings_of_one_model_share_an_extract_though_their_options_differ() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let both = [request(stage.mapping("cautious")), confirmed(stage.mapping("bold"))];
    for report in engine.sync(&both, &Unobserved).await {
        assert_eq!((report.ending, report.counts.delivered), (Ending::Done, 5));
    }
    assert_eq!(stage.table.extracts.load(Ordering::SeqCst), 1);
    for id in 1..=4 {
        stage.table.remove(id);
    }
    let endings: Vec<Ending> = engine.sync(&both, &Unobserved).await.iter().map(|report| report.ending).collect();
    assert_eq!(endings, [Ending::Held, Ending::Done], "only one of them was confirmed");
    assert_eq!(stage.table.extracts.load(Ordering::SeqCst), 2);
    assert_eq!(stage.tool.keys(), ["5"]);
}

#[tokio::test(start_paused = true)]
async fn one_of_a_group_is_cancelled_while_the_table_is_read_and_the_others_go_on() {
    let stage = stage(7).await;
    let engine = stage.engine("one");
    let (stopped, goes_on) = (request(stage.mapping("stopped")), request(stage.mapping("goes on")));
    let cancel = stopped.cancel.clone();
    stage.table.gate.close();
    let told = Told::default();
    let requests = [stopped, goes_on];
    let (reports, ()) = tokio::join!(engine.sync(&requests, &told), async {
        stage.table.gate.reached().await;
        cancel.cancel();
        stage.table.gate.open();
    });
    assert_eq!(reports[0].ending, Ending::Cancelled);
    assert_eq!((reports[1].ending, reports[1].counts.delivered), (Ending::Done, 7));
    assert_eq!(told.of("stopped").last().unwrap(), "finished");
    assert!(!told.of("stopped").contains(&"loading".to_owned()));
    let report = sync(&engine, request(stage.mapping("stopped"))).await;
    assert_eq!((report.ending, report.counts.added), (Ending::Done, 7), "what was cancelled is pending");
}

#[tokio::test(start_paused = true)]
async fn an_extract_that_nobody_waits_for_any_more_ends() {
    let stage = stage(7).await;
    let engine = stage.engine("one");
    let requests = [request(stage.mapping("one")), request(stage.mapping("other"))];
    stage.table.gate.close();
    let (reports, ()) = tokio::join!(engine.sync(&requests, &Unobserved), async {
        stage.table.gate.reached().await;
        requests[0].cancel.cancel();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        requests[1].cancel.cancel();
    });
    assert_eq!(reports.map_endings(), [Ending::Cancelled, Ending::Cancelled]);
    assert!(stage.tool.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_of_a_group_is_cancelled_while_it_sends_and_the_others_go_on() {
    let stage = stage(6).await;
    let engine = stage.engine("one");
    let requests = [request(stage.mapping("one")), request(stage.mapping("other"))];
    stage.tool.gate.close();
    let (reports, ()) = tokio::join!(engine.sync(&requests, &Unobserved), async {
        stage.tool.gate.reached().await;
        requests[0].cancel.cancel();
        stage.tool.gate.open();
    });
    assert_eq!(reports.map_endings(), [Ending::Cancelled, Ending::Done]);
    let report = sync(&engine, request(stage.mapping("one"))).await;
    assert_eq!(report.ending, Ending::Done);
    assert_eq!(reports[0].counts.delivered + report.counts.delivered, 6);
}

trait Endings {
    fn map_endings(&self) -> Vec<Ending>;
}

impl Endings for Vec<sync::SyncReport> {
    fn map_endings(&self) -> Vec<Ending> {
        self.iter().map(|report| report.ending).collect()
    }
}
