//! Which addresses are near, private and public, and that none is called that must not be.

use super::*;
use crate::testing::{Reply, Server, TestClock};
use crate::{Request, Wire, WireSettings};

#[test]
fn an_address_is_judged_by_where_it_leads_however_it_is_written() {
    for (address, zone) in [
        ("127.0.0.1", Zone::Near),
        ("127.8.9.1", Zone::Near),
        ("0.0.0.0", Zone::Near),
        ("169.254.169.254", Zone::Near),
        ("168.63.129.16", Zone::Near),
        ("100.100.100.200", Zone::Near),
        ("192.0.0.192", Zone::Near),
        ("224.0.0.1", Zone::Near),
        ("255.255.255.255", Zone::Near),
        ("10.1.2.3", Zone::Private),
        ("172.16.0.1", Zone::Private),
        ("192.168.1.1", Zone::Private),
        ("100.64.0.1", Zone::Private),
        ("172.32.0.1", Zone::Public),
        ("100.128.0.1", Zone::Public),
        ("8.8.8.8", Zone::Public),
        ("::1", Zone::Near),
        ("::", Zone::Near),
        ("fe80::1", Zone::Near),
        ("ff02::1", Zone::Near),
        ("fd00:ec2::254", Zone::Near),
        ("fd12::1", Zone::Private),
        ("2606:4700::1111", Zone::Public),
        ("::ffff:127.0.0.1", Zone::Near),
        ("::ffff:10.0.0.1", Zone::Private),
        ("::ffff:8.8.8.8", Zone::Public),
        ("::169.254.169.254", Zone::Near),
        ("64:ff9b::a9fe:a9fe", Zone::Near),
        ("2002:7f00:1::", Zone::Near),
    ] {
        assert_eq!(Zone::of(address.parse().unwrap()), zone, "{address}");
    }
}

#[test]
fn each_reach_includes_the_narrower_one() {
    let [near, private, public] = ["127.0.0.1", "10.0.0.1", "8.8.8.8"].map(|text| text.parse().unwrap());
    for (reach, expected) in
        [(Reach::Any, [true, true, true]), (Reach::Private, [false, true, true]), (Reach::Public, [false, false, true])]
    {
        assert_eq!([near, private, public].map(|address| reach.includes(address)), expected, "{reach:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_an_address_out_of_reach_nor_to_a_name_that_leads_there() {
    let server = Server::start(|_| Reply::status(204)).await.unwrap();
    let open = |reach| Wire::open(WireSettings { reach, ..WireSettings::default() }, TestClock::new()).unwrap();
    let port = server.url().rsplit_once(':').unwrap().1.to_owned();
    let places = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"];
    for place in places {
        let error = open(Reach::Private).send(Request::get(format!("http://{place}:{port}/"))).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains("must not be called") && error.contains("private networks"), "{place}: {error}");
    }
    assert!(server.received().is_empty());
    for place in ["127.0.0.1", "localhost"] {
        let answer = open(Reach::Any).send(Request::get(format!("http://{place}:{port}/"))).await.unwrap();
        assert_eq!(answer.status, 204, "{place}");
    }
}
