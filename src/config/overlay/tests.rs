//! What was told holds until the configuration says something else.

use super::*;

fn spec(text: &str) -> BackendSpec {
    BackendSpec::parse(text).unwrap()
}

fn base(backends: &[&str]) -> Desired {
    let settings = crate::config::PoolSettings::DEFAULT;
    let backends = backends.iter().map(|it| spec(it).into()).collect();
    let pool = PoolSpec { name: "web".to_owned(), settings: settings.into(), backends };
    Desired { pools: vec![pool], ..Desired::nothing() }
}

fn mark(by: &str) -> Mark {
    Mark { by: by.to_owned(), at: SystemTime::UNIX_EPOCH }
}

fn weight(weight: u32) -> Patch {
    Patch { weight: Some(weight), ..Patch::default() }
}

fn weights(desired: &Desired) -> Vec<(String, u32)> {
    desired.pools[0].backends.iter().map(|it| (it.name.clone(), it.weight)).collect()
}

fn rows(overlay: &Overlay) -> Vec<OverrideRow<'_>> {
    overlay.iter().flat_map(|(pool, name, told)| told.rows(pool, name)).collect()
}

#[test]
fn a_told_weight_holds_until_the_configured_one_is_edited() {
    let first = base(&["a:1,name=a,weight=10", "b:1,name=b"]);
    let mut overlay = Overlay::default();
    overlay.patch(&first, "web", "a", &weight(5), mark("ops")).unwrap();
    let laid = overlay.over(&first);
    assert_eq!(weights(&laid.desired), [("a".to_owned(), 5), ("b".to_owned(), 1)]);
    assert!(laid.notes.is_empty());
    assert_eq!(laid.overlay, overlay, "laid over twice it is the same");
    let other = base(&["a:2,name=a,weight=10", "b:1,name=b"]);
    let laid = overlay.over(&other);
    assert_eq!(
        laid.desired.pools[0].backends[0].at.port(),
        Some(2),
        "what was not told is the base's"
    );
    assert_eq!(laid.desired.pools[0].backends[0].weight, 5);
    let edited = base(&["a:1,name=a,weight=20", "b:1,name=b"]);
    let laid = overlay.over(&edited);
    assert_eq!(weights(&laid.desired)[0].1, 20);
    assert_eq!(laid.notes.len(), 1);
    assert!(
        laid.notes[0].starts_with(
            "pool web, backend a: weight is 20 in the configuration now, and was 10; the 5 of ops"
        ),
        "{}",
        laid.notes[0]
    );
    assert!(laid.overlay.is_empty());
    let same = base(&["a:1,name=a,weight=5"]);
    let laid = overlay.over(&same);
    assert!(laid.notes.is_empty() && laid.overlay.is_empty(), "it was made permanent");
}

#[test]
fn what_is_told_back_is_no_override_any_more() {
    let base = base(&["a:1,name=a,weight=10"]);
    let mut overlay = Overlay::default();
    overlay.patch(&base, "web", "a", &weight(5), mark("ops")).unwrap();
    overlay.patch(&base, "web", "a", &weight(10), mark("ops")).unwrap();
    assert!(overlay.is_empty());
    overlay
        .put(&base, "web", spec("a:1,name=a,weight=10"), OverlaySource::Api, mark("x"))
        .unwrap();
    assert!(overlay.is_empty(), "put as it is configured, nothing is told");
    overlay
        .put(&base, "web", spec("a:7,name=a,weight=3"), OverlaySource::Api, mark("x"))
        .unwrap();
    let members: Vec<&str> = rows(&overlay).iter().map(|it| it.member).collect();
    assert_eq!(members, ["address", "weight"]);
}

#[test]
fn backends_come_and_go_and_the_configuration_wins() {
    let first = base(&["a:1,name=a"]);
    let mut overlay = Overlay::default();
    overlay.put(&first, "web", spec("n:1,name=n"), OverlaySource::Api, mark("x")).unwrap();
    overlay.put(&first, "web", spec("n:1,name=n"), OverlaySource::Api, mark("y")).unwrap();
    assert_eq!(rows(&overlay)[0].mark.by, "x", "the same twice is one");
    assert_eq!(overlay.remove(&first, "web", "a", mark("x")), Ok(true));
    assert_eq!(overlay.remove(&first, "web", "a", mark("x")), Ok(false));
    assert_eq!(
        overlay.patch(&first, "web", "a", &weight(1), mark("x")),
        Err(Untold::NoBackend)
    );
    assert_eq!(weights(&overlay.over(&first).desired), [("n".to_owned(), 1)]);
    let edited = base(&["a:2,name=a", "n:9,name=n"]);
    let laid = overlay.over(&edited);
    assert_eq!(laid.notes.len(), 2, "{:?}", laid.notes);
    assert_eq!(laid.desired, edited);
    assert!(overlay.clear("web", "a") && !overlay.clear("web", "a"));
    assert_eq!(overlay.remove(&first, "web", "n", mark("x")), Ok(true));
    assert!(overlay.is_empty());
    assert_eq!(overlay.remove(&first, "no", "n", mark("x")), Err(Untold::NoPool));
}

/// Random tells against a model that keeps the backends as a list.
#[test]
fn any_order_of_tells_gives_what_a_plain_list_gives() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let names = ["a", "b", "c", "d"];
        let count = random.usize(0..4);
        let mut base = base(&[]);
        base.pools[0].backends =
            names[..count].iter().map(|it| spec(&format!("h:1,name={it}")).into()).collect();
        let mut model: BTreeMap<String, BackendSpec> =
            base.pools[0].backends.iter().map(|it| (it.name.clone(), (**it).clone())).collect();
        let mut overlay = Overlay::default();
        for _ in 0..20 {
            let name = names[random.usize(0..4)];
            match random.u8(0..3) {
                0 => {
                    let new = spec(&format!(
                        "h:{},name={name},weight={}",
                        random.u16(1..3),
                        random.u32(0..3)
                    ));
                    model.insert(name.to_owned(), new.clone());
                    overlay.put(&base, "web", new, OverlaySource::Api, mark("x")).unwrap();
                }
                1 => {
                    let patch = weight(random.u32(0..3));
                    let told = overlay.patch(&base, "web", name, &patch, mark("x"));
                    assert_eq!(told.is_ok(), model.contains_key(name));
                    if let Some(it) = model.get_mut(name) {
                        it.weight = patch.weight.unwrap();
                    }
                }
                _ => {
                    let was_there = overlay.remove(&base, "web", name, mark("x")).unwrap();
                    assert_eq!(was_there, model.remove(name).is_some());
                }
            }
        }
        let laid = overlay.over(&base);
        let all = laid.desired.pools[0].backends.iter();
        let mut found: Vec<BackendSpec> = all.map(|it| (**it).clone()).collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(found, model.into_values().collect::<Vec<_>>());
        assert!(laid.notes.is_empty());
        assert_eq!(laid.overlay, overlay);
    }
}
