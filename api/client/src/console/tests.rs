//! The language by itself, then with a master that answers what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::eval::Console;
use crate::catalogue::CatalogueFile;
use crate::master::Master;
use crate::server::Server;

/// What a text prints, and what is wrong with it.
fn run_at(url: &str, text: &str) -> (String, Option<String>) {
    let mut out = Vec::new();
    let mut console =
        Console::new(Master::new(Server::plain(url)), CatalogueFile::default(), Box::new(&mut out));
    let fault = console.run(text).err().map(|fault| fault.to_string());
    drop(console);
    (String::from_utf8(out).unwrap(), fault)
}

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:9";

fn run(text: &str) -> (String, Option<String>) {
    run_at(NOBODY, text)
}

#[test]
fn values_are_printed_as_python_prints_them() {
    let check = |text: &str, expected: &str| {
        let (out, fault) = run(text);
        assert_eq!((out.trim_end(), fault), (expected, None), "{text}");
    };
    check("-7", "-7");
    check("'a' \"b\" 'c'", "'abc'");
    check("('it\\'s', 'a\\\\n', 'é\\n')", "(\"it's\", 'a\\\\n', 'é\\n')");
    check("'''a\n'b'\n'''", "\"a\\n'b'\\n\"");
    check("None", "");
    check("[None, True, 1.5, -0.5]", "[None, True, 1.5, -0.5]");
    check("((1,), (), (2), {'a': {'b': [1]}, 2: 3})", "((1,), (), 2, {'a': {'b': [1]}, 2: 3})");
    check("{'a': 1, 'b': 2, 'a': 3}", "{'a': 3, 'b': 2}");
    check("a = 'x'\nb = {'a': a}\nb", "{'a': 'x'}");
    check(
        "(json.loads('{\"a\": [1, null, 0.5]}'), json.dumps({'b': (1, None)}))",
        "({'a': [1, None, 0.5]}, '{\"b\":[1,null]}')",
    );
    check("[print, json.loads, json]", "[<function print>, <method loads of a module>, <module json>]");
    check("dir(json)  # a comment", "['dumps', 'loads']");
    check("print(1, 'x')\n\n# nothing\n   \nprint(\n  2,\n)", "1 x\n2");
    check("a = 1; a;\na", "1\n1");
}

#[test]
fn what_is_wrong_is_one_line_that_says_where() {
    let check = |text: &str, expected: &str| {
        let fault = run(text).1.expect(text);
        assert_eq!(fault, expected, "{text}");
    };
    check("print(1)\nkwm", "line 2: there is no name kwm");
    check("reqest(1, 2)", "line 1: there is no name reqest; did you mean request?");
    check("request('kvm')", "line 1: request(): partition_reference is missing");
    check("request('a/b', 'b', 'c')", "line 1: request(): partition_parameter_kw must be a dict, not a str");
    check(
        "request('a', 5)",
        "line 1: the master at http://127.0.0.1:9 cannot be reached: nobody listens there (connection refused)",
    );
    check("request('a/b', 5)", "line 1: request(): partition_reference must be a text, not a int");
    check("request('a/b', 'c', sort='d')", "line 1: request() has no argument sort");
    check(
        "request('a/b', 'c', partition_reference='d')",
        "line 1: request(): partition_reference is given twice",
    );
    check("request('a/b', 'c', {'x': print})", "line 1: a function cannot be sent");
    check("supply('a/b')", "line 1: supply(): computer_guid is missing");
    check("json.lods('x')", "line 1: a module has no lods; did you mean loads?");
    check("99999999999999999999", "line 1: a number must fit into 64 bits");
    check("{[]: 1}", "line 1: a list cannot be a key");
    check("1()", "line 1: a int cannot be called");
    check("json.loads('{')", "line 1: json.loads(): EOF while parsing an object at line 1 column 1");
    check("open('/etc/passwd')", "line 1: there is no name open");
    check("a.b = 1", "line 1: only a name can be given a value");
    check("f(a=1, 2)", "line 1: an argument without a name stands after one with a name");
    check("f(a=1, a=2)", "line 1: argument a is given twice");
    check("f(1=2)", "line 1: the name of an argument is missing before =");
    check("(1", "line 1: ( is not closed");
    check("(1 2)", "line 1: ) is missing before 2");
    check("1)", "line 1: the end of the line is missing before )");
    check("a =", "line 1: an expression is missing at the end");
    check("a =\nb", "line 1: an expression is missing at the end of the line");
    check("'a", "line 1: a text is not closed");
    check("1; 2 3", "line 1: the end of the line is missing before 3");
    check("a $ b", "line 1: the end of the line is missing before $");
    check("1 + 2", "line 1: the end of the line is missing before +");
    check("- 1", "line 1: a number is written in decimal digits");
    check("1a", "line 1: a number is written in decimal digits");
    check("f'{1}'", "line 1: a text cannot begin with f");
    check("'\\d'", "line 1: a backslash stands before n, r, t, a quote, a backslash or a line end");
    for absent in ["import os", "if 1: 2", "for x in y: z", "not 1", "lambda: 1"] {
        let word = absent.split([' ', ':']).next().unwrap();
        check(absent, &format!("line 1: the console has no \"{word}\"; help() says what it has"));
    }
    check("1 if 2 else 3", "line 1: the console has no \"if\"; help() says what it has");
}

#[test]
fn what_a_text_takes_is_bounded() {
    let check = |text: &str, expected: &str| {
        let fault = run(text).1.unwrap_or_default();
        assert!(fault.ends_with(expected), "{}: {fault}", &text[..text.len().min(60)]);
    };
    check(&format!("a = 'x'{}", "\na = [a, a]".repeat(30)), "a value is larger than 16 MiB");
    check(&format!("a = []{}", "\na = [a]".repeat(40)), "a value is nested deeper than 32");
    let deep = "an expression is nested deeper than 40";
    check(&format!("{}{}", "(".repeat(100_000), ")".repeat(100_000)), deep);
    check(&format!("a{}", ".b".repeat(100_000)), deep);
    check(&format!("a{}", "()".repeat(100_000)), deep);
    check(&"-".repeat(100_000), "a number is written in decimal digits");
    check(&" ".repeat(2_000_000), "a text is longer than 1 MiB");
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>()) {
        run(&text);
    }

    #[test]
    fn never_panics_on_what_looks_like_a_text(words in proptest::collection::vec(prop_oneof![
        Just("a"), Just("="), Just("("), Just(")"), Just("["), Just("]"), Just("{"), Just("}"), Just("\n"), Just("    "),
        Just("if "), Just(":"), Just(","), Just("."), Just("'''"), Just("'"), Just(";"), Just("#"),
        Just("1"), Just("-"), Just("print"), Just("json"), Just("\\"), Just("%"), Just("é"),
    ], 0..40)) {
        run(&words.concat());
    }
}

/// The next connection; it must come soon.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let began = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return stream;
            }
            Err(_) if began.elapsed() < Duration::from_secs(20) => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("nobody asks: {error}"),
        }
    }
}

/// A master that gives these answers, one after the other, and keeps what it was asked.
fn master(answers: Vec<(u16, String)>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let answer = |(status, body): (u16, String)| {
            let stream = accept(&listener);
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let (mut length, mut header) = (0, String::new());
            while reader.read_line(&mut header).unwrap() > 2 {
                let lower = header.to_ascii_lowercase();
                length = lower
                    .strip_prefix("content-length:")
                    .map_or(length, |value| value.trim().parse().unwrap());
                header.clear();
            }
            let mut form = vec![0; length];
            reader.read_exact(&mut form).unwrap();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            reader.into_inner().write_all(format!("{head}{body}").as_bytes()).unwrap();
            format!("{} {}", line.trim_end(), String::from_utf8(form).unwrap())
        };
        answers.into_iter().map(answer).collect()
    });
    (url, asked)
}

fn placed(connection: &[(&str, &str)]) -> String {
    use slapledger_dto::documents::RequestDocument;
    use slapledger_slap_wire::documents;
    documents::request(&RequestDocument {
        computer: "COMP-1".into(),
        partition: "slappart0".into(),
        instance_guid: Some("SOFTINST-1".into()),
        requested_state: Some("started".into()),
        software_release: "a/b".into(),
        software_type: "default".into(),
        connection: connection.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..RequestDocument::default()
    })
    .unwrap()
}

fn partition(title: &str, connection: &[(&str, &str)]) -> String {
    use slapledger_dto::documents::{InstanceDocument, PartitionDocument};
    use slapledger_slap_wire::documents;
    let instance = InstanceDocument {
        title: title.into(),
        requested_state: "stopped".into(),
        software_release: "a/b".into(),
        parameters: [("size".into(), "5".into())].into(),
        connection: connection.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..InstanceDocument::default()
    };
    documents::partition(&PartitionDocument {
        computer: "COMP-1".into(),
        partition: "slappart0".into(),
        instance_guid: Some("SOFTINST-1".into()),
        instance: Some(instance),
    })
    .unwrap()
}

#[test]
fn an_instance_is_looked_at_anew() {
    let url_published = [("url", "http://x")];
    let (url, asked) = master(vec![
        (408, "the instance has no partition yet\n".into()),
        (408, String::new()),
        (200, placed(&[])),
        (200, partition("i1", &[])),
    ]);
    let (out, fault) = run_at(
        &url,
        "i = request('a/b', 'i1', {'n': 5}, 'small', {'computer_guid': 'COMP-1'}, 'started')\ni\ni.getId()",
    );
    assert_eq!(
        (out.as_str(), fault.as_deref()),
        ("<i1: not ready yet>\n", Some("line 3: i1 is not ready: it has no partition yet"))
    );
    let (out, fault) = run_at(&url, "i = request('a/b', 'i1')\ni\ni.getParameter('url')");
    assert_eq!(out, "<i1: started on COMP-1 slappart0>\n");
    assert_eq!(fault.as_deref(), Some("line 3: i1 has no connection parameter \"url\" yet; it has: none"));
    let asked = asked.join().unwrap();
    assert!(asked[0].contains("&software_type=small&partition_reference=i1&"), "{}", asked[0]);
    assert!(asked[0].contains("%3Cint%3E5%3C%2Fint%3E"), "{}", asked[0]);
    assert_eq!(asked[0], asked[1]);
    assert!(asked[3].starts_with(
        "GET /registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=slappart0 HTTP"
    ));

    let (url, asked) = master(vec![
        (200, placed(&[])),
        (200, partition("i1", &url_published)),
        (200, partition("i1", &url_published)),
        (200, partition("i1", &url_published)),
        (200, partition("other", &[])),
    ]);
    let text = "i = request('a/b', 'i1')\ni.getParameter('url')\n\
                (i.getState(), i.getInstanceParameterDict())\ni.getId()";
    let (out, fault) = run_at(&url, text);
    assert_eq!(out, "'http://x'\n('stopped', {'size': '5'})\n");
    assert_eq!(fault.as_deref(), Some("line 4: i1 is not on COMP-1 slappart0 any more"));
    assert_eq!(asked.join().unwrap().len(), 5);
}
