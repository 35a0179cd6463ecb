//! Without TLS: who sent it, slow clients, too many of them, and the end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::running::{
    LARGE_BYTES, Running, SLOW, answer, ask, asks, bounds, is_closed, is_told, until_end, wait_for,
};
use crate::Connections;

/// What is told to a connection without a place, and to a request that is not there when the server stops.
const TOO_MANY: &str = "there are too many connections; try again in 5 seconds";
const STOPPING: &str =
    "the server is stopping and has not carried this request out; send it again in 5 seconds";

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn a_request_tells_who_sent_it() {
    let running = Running::plain(Connections::default());
    let mut stream = running.connect();
    let address = stream.local_addr().expect("it is connected");
    for _ in 0..3 {
        assert_eq!(ask(&mut stream, "/peer").expect("it answers"), (200, format!("{address} false none")));
    }
}

/// Sends what is given, piece by piece with a pause after each, until nobody takes it any more.
fn trickle(mut stream: TcpStream, pieces: usize, piece: Vec<u8>, pause: Duration) {
    thread::spawn(move || {
        for _ in 0..pieces {
            if stream.write_all(&piece).is_err() {
                return;
            }
            thread::sleep(pause);
        }
    });
}

/// How a connection ends whose client keeps the server waiting.
enum End {
    /// Closed without a word.
    Closed,
    /// Closed after an answer.
    Answered(u16, &'static str),
}

#[test]
fn who_keeps_the_server_waiting_is_cut_off_and_others_are_answered() {
    let running = Running::plain(bounds());
    // What is sent at once and how many requests are answered; what trickles after it; how it ends and when.
    let check = |name: &str, first: &str, answers: usize, slow: Option<&str>, end: End, seconds: u64| {
        let began = Instant::now();
        let mut stream = running.connect();
        stream.write_all(first.as_bytes()).expect("it is sent");
        for _ in 0..answers {
            answer(&mut stream).expect("it answers");
        }
        if let Some(piece) = slow {
            let other = stream.try_clone().expect("a stream has two sides");
            trickle(other, 200, piece.as_bytes().to_vec(), 100 * MILLISECOND);
        }
        match end {
            End::Closed => assert!(is_closed(&mut stream), "{name}"),
            End::Answered(status, text) => {
                assert_eq!(answer(&mut stream).expect(name), (status, text.to_owned()), "{name}");
                assert!(is_closed(&mut stream), "{name}");
            }
        }
        let took = began.elapsed();
        let expected = Duration::from_secs(seconds);
        assert!(
            took + 50 * MILLISECOND >= expected && took < expected + 3000 * MILLISECOND,
            "{name}: {took:?}"
        );
        assert_eq!(ask(&mut running.connect(), "/peer").expect("others are answered").0, 200, "{name}");
    };
    let (peer, body) = (asks("/peer"), "POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\n");
    let too_slow = || End::Answered(400, "it came too slowly");
    check("silence", "", 0, None, End::Closed, 1);
    check("a head that does not end", "GET /pe", 0, None, End::Answered(408, ""), 1);
    check("a head that trickles", "GET /pe", 0, Some("e"), End::Answered(408, ""), 1);
    check("silence after a request", &peer, 1, None, End::Closed, 2);
    check("a second head that trickles", &peer, 1, Some("G"), End::Answered(408, ""), 1);
    check("a body that does not come", body, 0, None, too_slow(), 1);
    check("a body that trickles", body, 0, Some("x"), too_slow(), 1);
    let chunked = "POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    check("chunks that trickle", chunked, 0, Some("1\r\nx\r\n"), too_slow(), 1);
}

#[test]
fn who_is_slow_but_steady_is_served() {
    let running = Running::plain(bounds());
    let mut stream = running.connect();
    stream
        .write_all(b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n")
        .expect("it is sent");
    trickle(stream.try_clone().expect("two sides"), 25, vec![b'x'; 200], 100 * MILLISECOND);
    assert_eq!(answer(&mut stream).expect("it answers"), (200, "5000".to_owned()));

    stream.write_all(asks("/large").as_bytes()).expect("it is sent");
    let mut taken = 0;
    let mut buffer = vec![0; 4 * 1024 * 1024];
    while taken < LARGE_BYTES {
        let read = stream.read(&mut buffer).expect("it goes on");
        assert!(read > 0, "it ended after {taken} bytes");
        taken += read;
        thread::sleep(20 * MILLISECOND);
    }
}

#[test]
fn a_handler_may_take_longer_than_a_client_may() {
    let running = Running::plain(bounds());
    let mut stream = running.connect();
    for _ in 0..2 {
        assert_eq!(ask(&mut stream, "/slow").expect("it answers"), (200, "slow".to_owned()));
    }
}

#[test]
fn a_body_that_nobody_reads_keeps_nobody() {
    let running = Running::plain(bounds());
    let mut stream = running.connect();
    let head = "POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("it is sent");
    assert_eq!(answer(&mut stream).expect("it answers"), (200, "unread".to_owned()));
    assert!(is_closed(&mut stream));
}

#[test]
fn who_does_not_read_is_cut_off() {
    let running = Running::plain(bounds());
    let mut stream = running.connect();
    stream.write_all(asks("/large").as_bytes()).expect("it is sent");
    let began = Instant::now();
    let wait_until = |under_way: usize, otherwise: &str| {
        while running.under_way.load(Ordering::SeqCst) != under_way {
            assert!(began.elapsed() < Duration::from_secs(20), "{otherwise}");
            thread::sleep(20 * MILLISECOND);
        }
    };
    wait_until(1, "it has not begun");
    wait_until(0, "it is still written");
    assert!(began.elapsed() > 900 * MILLISECOND);
    let mut taken = 0;
    let mut buffer = vec![0; 1024 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        taken += read;
    }
    assert!(taken < LARGE_BYTES, "all of it came");
}

#[test]
fn heads_are_bounded() {
    let running = Running::plain(bounds());
    let check = |name: &str, head: String, status: u16| {
        let mut stream = running.connect();
        stream.write_all(head.as_bytes()).expect("it is sent");
        assert_eq!(answer(&mut stream).expect(name).0, status, "{name}");
        assert_eq!(ask(&mut running.connect(), "/peer").expect("others are answered").0, 200, "{name}");
    };
    let with = |fields: String| format!("GET /peer HTTP/1.1\r\n{fields}\r\n");
    let many = |count: usize| with((0..count).map(|n| format!("x-{n}: y\r\n")).collect::<Vec<_>>().concat());
    check("60 KiB", with(format!("x: {}\r\n", "y".repeat(60 * 1024))), 200);
    check("1 MiB, whole", with(format!("x: {}\r\n", "y".repeat(1024 * 1024))), 431);
    check("128 KiB without an end", format!("GET /peer HTTP/1.1\r\nx: {}", "y".repeat(128 * 1024)), 431);
    check("a long address", format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(60 * 1024)), 404);
    check("100 fields", many(100), 200);
    check("101 fields", many(101), 431);
    check("not HTTP", "\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400);
}

#[test]
fn other_bounds_of_heads_hold_as_well() {
    let running =
        Running::plain(Connections { most_head_bytes: 8192, most_head_fields: 32, ..Connections::default() });
    let check = |fields: &str, status: u16| {
        let mut stream = running.connect();
        write!(stream, "GET /peer HTTP/1.1\r\n{fields}\r\n").expect("it is sent");
        assert_eq!(answer(&mut stream).expect("it answers").0, status);
    };
    check(&"a: b\r\n".repeat(32), 200);
    check(&"a: b\r\n".repeat(33), 431);
    check(&format!("a: {}\r\n", "b".repeat(64 * 1024)), 431);
}

/// So many connections, however many of them are of one address.
fn of_many(most: usize) -> Connections {
    let terminators = vec![std::net::Ipv4Addr::LOCALHOST.into()];
    Connections { most, most_per_address: most, terminators, ..Connections::default() }
}

#[test]
fn the_connection_that_has_waited_longest_makes_place() {
    let running = Running::plain(of_many(4));
    let mut streams: Vec<_> = (0..4).map(|_| running.connect()).collect();
    for stream in &mut streams {
        assert_eq!(ask(stream, "/peer").expect("it answers").0, 200);
        thread::sleep(20 * MILLISECOND);
    }
    // The first one is used again: the second has waited longest, and then the third.
    assert_eq!(ask(&mut streams[0], "/peer").expect("it answers").0, 200);
    thread::sleep(20 * MILLISECOND);
    let mut newer: Vec<_> = (0..2).map(|_| running.connect()).collect();
    for stream in &mut newer {
        assert_eq!(ask(stream, "/peer").expect("there was place").0, 200);
    }
    let outcomes: Vec<_> = streams.iter_mut().map(|stream| ask(stream, "/peer").is_ok()).collect();
    assert_eq!(outcomes, [true, false, false, true]);
}

#[test]
fn a_request_under_way_makes_no_place() {
    let running = Running::plain(of_many(2));
    let mut busy: Vec<_> = (0..2).map(|_| running.connect()).collect();
    for stream in &mut busy {
        stream.write_all(asks("/slow").as_bytes()).expect("it is sent");
    }
    thread::sleep(300 * MILLISECOND);
    let mut refused = running.connect();
    is_told(&mut refused, TOO_MANY);
    for stream in &mut busy {
        assert_eq!(answer(stream).expect("it is answered"), (200, "slow".to_owned()));
    }
    assert_eq!(ask(&mut running.connect(), "/peer").expect("there is place again").0, 200);
}

#[test]
fn an_address_has_its_share_and_no_more() {
    let running = Running::plain(Connections { most_per_address: 3, ..Connections::default() });
    let mut streams: Vec<_> = (0..3).map(|_| running.connect()).collect();
    for stream in &mut streams {
        assert_eq!(ask(stream, "/peer").expect("it answers").0, 200);
    }
    is_told(&mut running.connect(), TOO_MANY);
    streams.pop();
    thread::sleep(200 * MILLISECOND);
    assert_eq!(ask(&mut running.connect(), "/peer").expect("there is place again").0, 200);
    assert_eq!(ask(&mut streams[0], "/peer").expect("those before are still there").0, 200);
}

#[test]
fn a_terminator_has_as_many_as_its_clients_need() {
    let running = Running::plain(Connections { most_per_address: 1, ..of_many(10) });
    let mut streams: Vec<_> = (0..3).map(|_| running.connect()).collect();
    for stream in &mut streams {
        assert_eq!(ask(stream, "/peer").expect("it answers").0, 200);
    }
}

#[test]
fn a_stop_ends_what_waits_and_finishes_what_is_under_way() {
    let mut running = Running::plain(Connections::default());
    let (mut silent, mut idle, mut busy) = (running.connect(), running.connect(), running.connect());
    assert_eq!(ask(&mut idle, "/peer").expect("it answers").0, 200);
    busy.write_all(asks("/slow").as_bytes()).expect("it is sent");
    thread::sleep(300 * MILLISECOND);
    let began = Instant::now();
    running.tell();
    assert!(is_closed(&mut idle));
    assert!(is_closed(&mut silent));
    assert!(began.elapsed() < Duration::from_secs(1), "those that wait are closed at once");
    assert_eq!(answer(&mut busy).expect("it is answered"), (200, "slow".to_owned()));
    assert!(is_closed(&mut busy));
    running.wait();
    assert!(began.elapsed() < SLOW + Duration::from_secs(1));
    assert!(TcpStream::connect(running.address).is_err());
}

/// Who comes in great numbers is told as long as that is few at a time; past that, closed without a word. Nobody waits.
#[test]
fn telling_that_there_is_no_place_is_bounded_itself() {
    let running = Running::plain(Connections { most_per_address: 1, ..Connections::default() });
    let mut served = running.connect();
    assert_eq!(ask(&mut served, "/peer").expect("it answers").0, 200);
    // They keep what they are told waiting, and close nothing.
    let mut refused: Vec<_> = (0..300).map(|_| running.connect()).collect();
    let began = Instant::now();
    let mut told = 0;
    for stream in &mut refused {
        let _ = stream.write_all(asks("/peer").as_bytes());
        let seen = until_end(stream);
        told += usize::from(seen.starts_with("HTTP/1.1 503"));
        assert!(seen.is_empty() || seen.contains(TOO_MANY), "{seen}");
    }
    assert!((64..300).contains(&told), "{told} were told");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(ask(&mut served, "/peer").expect("who has a place keeps it").0, 200);
}

/// What is not there when the server is told to stop: half a head, half a body, nothing at all, nobody who reads.
#[test]
fn a_stop_waits_a_little_for_the_rest_of_a_request_and_answers_what_is_there() {
    let mut running = Running::plain(Connections::default());
    let sent = |text: &str| {
        let mut stream = running.connect();
        stream.write_all(text.as_bytes()).expect("it is sent");
        stream
    };
    let head = |path: &str, length: usize| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n")
    };
    let mut cut = [
        sent("GET /pe"),
        sent(&asks("/peer")),
        sent(&head("/length", 10)),
        sent(&format!("{}12345", head("/length", 10))),
        sent("POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n"),
        sent("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n"),
    ];
    let (mut late_head, mut late_body) = (sent("GET /pe"), sent(&format!("{}12345", head("/length", 10))));
    let mut complete = sent(&format!("{}12345", head("/slow-length", 5)));
    let unread = sent(&asks("/large"));
    assert_eq!(answer(&mut cut[1]).expect("it answers").0, 200);
    cut[1].write_all(b"GET /pe").expect("it is sent");
    let mut continued = [0; 25];
    cut[5].read_exact(&mut continued).expect("it may go on");
    assert_eq!(&continued, b"HTTP/1.1 100 Continue\r\n\r\n");
    wait_for(|| running.begun.load(Ordering::SeqCst) == 6, "all bodies are waited for");
    wait_for(|| running.under_way.load(Ordering::SeqCst) == 1, "it has begun");
    let began = Instant::now();
    running.tell();
    // What comes within that little is carried out.
    late_head.write_all(b"er HTTP/1.1\r\nhost: x\r\n\r\n").expect("it is sent");
    late_body.write_all(b"67890").expect("it is sent");
    assert_eq!(answer(&mut late_head).expect("it is there").0, 200);
    assert_eq!(answer(&mut late_body).expect("it is there"), (200, "10".to_owned()));
    assert_eq!(answer(&mut complete).expect("it was there"), (200, "5".to_owned()));
    assert!(is_closed(&mut late_head) && is_closed(&mut late_body) && is_closed(&mut complete));
    for stream in &mut cut {
        is_told(stream, STOPPING);
    }
    running.wait();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(unread);
}

/// A request that was on its way when the server was told to stop.
#[test]
fn what_was_sent_before_a_stop_is_answered_and_who_was_not_accepted_is_told() {
    let mut running = Running::plain(Connections::default());
    let mut streams: Vec<_> = (0..20).map(|_| running.connect()).collect();
    for stream in &mut streams {
        assert_eq!(ask(stream, "/peer").expect("it answers").0, 200);
    }
    for stream in &mut streams {
        stream.write_all(asks("/peer").as_bytes()).expect("it is sent");
    }
    running.tell();
    for stream in &mut streams {
        assert_eq!(answer(stream).expect("it was sent before").0, 200);
        assert!(is_closed(stream));
    }
    running.wait();
}

#[test]
fn bounds_that_cannot_be_meant_are_refused() {
    let check = |told: &str, wrong: Option<&str>| {
        let read = toml::from_str::<Connections>(told).map_err(|error| error.message().to_owned());
        let checked = read.and_then(|bounds| bounds.check().map_err(|error| error.to_string()));
        match (checked, wrong) {
            (Ok(()), None) => {}
            (Err(error), Some(wrong)) => assert!(error.contains(wrong), "{told}: {error}"),
            (checked, _) => panic!("{told}: {checked:?}"),
        }
    };
    check("", None);
    check("most = 10000\nidle_timeout_seconds = 5", None);
    check("most = 0", Some("most must be 1 to 1000000, not 0"));
    check("most = -1", Some("invalid value"));
    check("mots = 1", Some("unknown field"));
    check("most_head_bytes = 100", Some("most_head_bytes must be 8192"));
    check("head_timeout_seconds = 99999999999", Some("head_timeout_seconds must be 1 to 31536000"));
}
