//! Creating, comparing, listing and deleting topics.

use orch_bus::{Bus, BusError};

use super::{record, soon, spec, topic};

pub(crate) async fn creates_lists_and_deletes(bus: &dyn Bus, prefix: &str) {
    let b = topic(bus, prefix, "list-b", 2).await;
    let a = topic(bus, prefix, "list-a", 1).await;
    let listed = bus.list_topics(&format!("{prefix}list-")).await.unwrap();
    assert_eq!(listed, [a.clone(), b.clone()]);
    assert_eq!(bus.bounds(&b).await.unwrap().len(), 2);
    let gone = format!("{prefix}list-never-was");
    soon("the deletion", bus.delete_topics(&[a.clone(), gone, b])).await.unwrap();
    assert_eq!(bus.list_topics(&format!("{prefix}list-")).await.unwrap(), Vec::<String>::new());
    // The same name again is a new, empty topic.
    let again = topic(bus, prefix, "list-a", 1).await;
    assert_eq!(again, a);
    assert_eq!(bus.bounds(&a).await.unwrap()[0].high, 0);
}

pub(crate) async fn compares_what_exists(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "compare", 2).await;
    let mut other = spec(&name, 3);
    "60000".clone_into(&mut other.config[1].1);
    let found = bus.ensure_topics(&[other], true).await.unwrap();
    let found: Vec<_> = found.iter().map(|m| (&*m.topic, &*m.setting, &*m.actual, &*m.wanted)).collect();
    assert_eq!(found, [(&*name, "partitions", "2", "3"), (&*name, "retention.ms", "-1", "60000")]);
    assert_eq!(bus.ensure_topics(&[spec(&name, 2)], false).await.unwrap(), []);
}

pub(crate) async fn does_not_create_when_told(bus: &dyn Bus, prefix: &str) {
    let there = topic(bus, prefix, "made-before", 1).await;
    let missing = ["a", "b"].map(|name| format!("{prefix}not-created-{name}"));
    let wanted = [spec(&missing[0], 1), spec(&there, 1), spec(&missing[1], 1)];
    let error = bus.ensure_topics(&wanted, false).await.unwrap_err();
    assert!(matches!(&error, BusError::MissingTopics(topics) if *topics == missing), "all of them: {error}");
    assert!(error.to_string().contains(&format!("`{}`, `{}`", missing[0], missing[1])), "{error}");
    assert_eq!(bus.list_topics(&format!("{prefix}not-created")).await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn unknown_topics_are_named(bus: &dyn Bus, prefix: &str) {
    let name = format!("{prefix}unknown");
    let is_named = |error: &BusError| matches!(error, BusError::UnknownTopic(topic) if topic.contains(&name));
    let error = soon("an answer", bus.bounds(&name)).await.unwrap_err();
    assert!(is_named(&error), "{error}");
    let error = soon("an answer", bus.committed("group", &name)).await.unwrap_err();
    assert!(is_named(&error), "{error}");
    let error = soon("an answer", bus.read(&name, 0, 0..0)).await.err().unwrap();
    assert!(is_named(&error), "{error}");
    let error = soon("an answer", bus.join("group", &name)).await.err().unwrap();
    assert!(is_named(&error), "{error}");
    let producer = bus.producer().await.unwrap();
    let mut undelivered = producer.undelivered().unwrap();
    producer.send(vec![record(&name, 0, 7)]);
    let back = soon("the record to come back", undelivered.recv()).await.unwrap();
    assert!(is_named(&back.error), "{}", back.error);
    assert_eq!((back.token, &*back.topic), (7, &*name));
    soon("nothing to be left", producer.flush()).await.unwrap();
}
