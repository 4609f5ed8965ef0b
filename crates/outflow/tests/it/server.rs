//! The server from outside: the real program over HTTP, in the words of its page.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use postgres_server::{Options, PostgresServer};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/server.md")).unwrap()
}

/// The shell commands of a section of a page.
fn commands(page: &str, section: &str) -> String {
    let from = page.split(&format!("## {section}\n")).nth(1).unwrap();
    let section = from.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect()
}

/// Runs commands as a person would who has the program in PATH.
fn shell(folder: &Path, commands: &str) -> Output {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_outflow"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display());
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .output()
        .unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_newcomer_gets_from_nothing_to_a_scheduled_sync_by_the_page_word_for_word() {
    let folder = tempfile::tempdir().unwrap();
    let commands = commands(&page(), "From nothing to a scheduled sync");
    assert!(commands.contains("outflow serve") && commands.contains("$API/mappings"), "{commands}");
    // Others may use the page's port; and whatever goes wrong, the server must not be left behind.
    let commands = commands.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", free_port()));
    let commands = format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{commands}");
    let done = shell(folder.path(), &commands);
    let log = fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
    let out = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{out}\n{}\n{log}", String::from_utf8_lossy(&done.stderr));

    let files = fs::read_dir(folder.path().join("out")).unwrap();
    let records: usize = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap().lines().count()).sum();
    assert!(records > 0, "{out}");
    // Nothing secret is in what the server wrote down.
    let token = out.split("of_").nth(1);
    assert!(token.is_none() && !log.contains("a long enough password"), "{out}\n{log}");
}

#[test]
fn a_data_folder_is_one_servers_alone_and_survives_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let other = format!("127.0.0.1:{}", free_port());
    let commands = format!(
        "trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
         outflow serve --data state --listen {listen} > first.out 2> first.log &
         until curl -fs http://{listen}/health/ready > /dev/null; do sleep 0.1; done
         if outflow serve --data state --listen {other} 2> second.log; then exit 9; fi
         grep -q 'another process of Outflow works on the data folder' second.log
         kill -9 $!
         wait $! || true
         outflow serve --data state --listen {listen} > third.out 2> third.log &
         until curl -fs http://{listen}/health/ready > /dev/null; do sleep 0.1; done
         grep -q 'setup?token=' third.out
         outflow backup --data state state.backup
         kill $!
         wait $!
         outflow restore --data again state.backup
         cmp state/keys again/keys && exit 9
         outflow keys rotate --data state
         test $(outflow keys list --data state | wc -l) = 1"
    );
    let done = shell(folder.path(), &commands);
    let told = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap_or_default();
    assert!(
        done.status.success(),
        "{}\n{}\n{}",
        String::from_utf8_lossy(&done.stderr),
        told("second.log"),
        told("third.log")
    );
}

/// Ends a script that waits for something that does not come.
const PATIENCE: &str = "timeout 90 bash -euo pipefail -c";

#[test]
fn what_a_killed_worker_had_in_hand_another_one_finishes_and_nothing_is_lost_or_sent_twice() {
    let server = PostgresServer::start(&Options::default());
    let folder = tempfile::tempdir().unwrap();
    let (listen, tool) = (format!("127.0.0.1:{}", free_port()), free_port());
    let mapping = serde_json::json!({ "name": "m", "definition": {
        "model": "numbers", "destination": "tool", "action": "send", "records": "added_or_updated",
        "fields": {
            "url": "http://tool.test/x", "data": { "id": { "@path": "$.properties.id" } },
            "enable_batching": true, "batch_size": 50,
        },
    }});
    let model = serde_json::json!({ "name": "numbers", "definition": {
        "source": "shop", "key": "id",
        "query": "with recursive n(id) as (select 1 union all select id + 1 from n where id < 20000) select id from n",
    }});
    let destination = serde_json::json!({ "name": "tool", "definition": {
        "type": "webhook", "connection": { "endpoint": format!("http://127.0.0.1:{tool}") },
    }});
    let commands = format!(
        r#"trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
        export OUTFLOW_DATABASE_URL='{url}' API=http://{listen}/api/v1
        outflow init shop > /dev/null
        outflow simulate http --port {tool} --latency 20 > tool.out 2>&1 &
        outflow serve --no-worker --data state --listen {listen} > server.out 2> server.log &
        until curl -fs http://{listen}/health/ready > /dev/null; do sleep 0.1; done
        LINK=$(sed -n 's/.*setup?token=//p' server.out)
        curl -fsS -c cookies -H 'content-type: application/json' $API/setup -d '{{"token": "'$LINK'",
            "email": "ada@example.com", "name": "Ada", "password": "a long enough password"}}' > /dev/null
        export TOKEN=$(curl -fsS -b cookies -H 'x-outflow-csrf: 1' -H 'content-type: application/json' $API/tokens \
            -d '{{"name": "test", "role": "owner"}}' | sed 's/.*"secret":"\([^"]*\)".*/\1/')
        api() {{ curl -fsS -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' "$@"; }}
        export -f api
        api $API/sources -d '{{"name": "shop", "definition": {{"type": "sqlite", "path": "'$PWD/shop/shop.db'"}}}}' > /dev/null
        api $API/models -d '{model}' > /dev/null
        api $API/destinations -d '{destination}' > /dev/null
        api $API/mappings -d '{mapping}' > /dev/null
        outflow worker --data state --lease-seconds 3 > first.out 2> first.log &
        FIRST=$!
        api $API/mappings/m/syncs -d '{{}}' > /dev/null
        {PATIENCE} 'until api $API/syncs | grep -q "\"done\":[1-9]"; do sleep 0.1; done'
        kill -9 $FIRST
        outflow worker --data state --lease-seconds 3 > second.out 2> second.log &
        {PATIENCE} 'until api "$API/syncs?state=done" | grep -q takeover; do sleep 0.2; done'
        api $API/syncs
        "#,
        url = server.url(),
    );
    let done = shell(folder.path(), &commands);
    let told = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap_or_default();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}\n{}\n{}", told("server.log"), told("second.log"));

    let syncs: serde_json::Value = serde_json::from_str(&out).unwrap();
    let delivered: Vec<u64> =
        syncs["items"].as_array().unwrap().iter().map(|sync| sync["counts"]["delivered"].as_u64().unwrap()).collect();
    assert_eq!(syncs["items"][1]["state"], "interrupted", "{out}");
    assert!(delivered[1] > 0 && delivered[0] > 0, "{delivered:?}");
    // Each record was delivered by one of the two, and by one only.
    assert_eq!(delivered, [20_000 - delivered[1], delivered[1]]);
}
