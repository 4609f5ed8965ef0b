//! The server from outside: the real program over HTTP, in the words of its page.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

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
