//! Ranges of ports: as if each had been written.

use super::{good, wrong};

#[test]
fn a_range_is_as_if_each_port_had_been_written() {
    let short = good(
        "[service.a]\nlisten = [\"http://127.0.0.1:8000-8002\", \"127.0.0.1:81\"]\npool = \"a\"\n\
         [pool.a]\nbackends = [\"db:1-2,weight=3\", { address = \"db:5-6\", backup = true }]\n",
    );
    let listen: Vec<String> =
        (8000..=8002).map(|it| format!("http://127.0.0.1:{it}")).collect();
    let listen = format!("{listen:?}").replace(']', ", \"127.0.0.1:81\"]");
    let long = good(&format!(
        "[service.a]\nlisten = {listen}\npool = \"a\"\n[pool.a]\nbackends = [\"db:1,weight=3\", \
         \"db:2,weight=3\", \"db:5,backup\", \"db:6,backup\"]\n",
    ));
    assert_eq!(short.desired, long.desired);
}

#[test]
fn a_range_has_no_name_and_a_listener_of_a_name_no_range() {
    let pool = |backends: &str| {
        let all = wrong(&format!(
            "[service.a]\nlisten = [\"127.0.0.1:80\"]\npool = \"a\"\n[pool.a]\nbackends = \
             [{backends}]\n"
        ));
        assert_eq!(all.len(), 1, "{all:?}");
        all.concat()
    };
    let named = pool("{ address = \"db:1-2\", name = \"x\" }");
    assert!(named.contains("no name for a range of ports"), "{named}");
    let reversed = pool("\"db:2-1\"");
    assert!(reversed.contains("did you mean 1-2?"), "{reversed}");
    let twice = pool("\"db:1-3\", \"db:2\"");
    assert!(twice.contains("a second backend 'db:2'"), "{twice}");
    let all = wrong(
        "[listener.a]\nbind = \"127.0.0.1:80-81\"\n[service.a]\nlisten = [\"a\", \
         \"127.0.0.1:90-89\"]\npool = \"a\"\n[pool.a]\nbackends = [\"db:1\"]\n",
    );
    assert!(all.len() == 2, "{all:#?}");
    assert!(all[0].contains("2 ports in '127.0.0.1:80-81'") && all[0].contains("want one"));
    assert!(all[1].contains("did you mean 89-90?"), "{}", all[1]);
}
