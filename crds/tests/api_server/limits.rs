//! Lists that are longer than they may be. Too long to stand in a table.

use serde_json::{Value, json};

use crate::cases::Kind;
use crate::server::Server;

fn list(count: usize, entry: impl Fn(usize) -> Value) -> Value {
    (0..count).map(entry).collect()
}

fn ids(count: usize) -> Value {
    list(count, |n| json!(n.to_string()))
}

/// A run with a list of so many entries at this place.
fn with(place: &str, count: usize) -> Value {
    let stage = |n: usize| json!({"name": format!("s{n}"), "processor": {"simulate": {}}});
    let map = |n: usize| json!({"configMap": {"name": format!("m{n}"), "key": "o.json"}});
    let object = |n: usize| json!({"id": n.to_string()});
    let mut run = Kind::PipelineRun.valid();
    let spec = &mut run["spec"];
    match place {
        "stages" => spec["stages"] = list(count, stage),
        "objects" => spec["objects"] = list(count, object),
        "objectsFrom" => spec["objectsFrom"] = list(count, map),
        "targets.ids" => spec["targets"] = json!({"ids": ids(count)}),
        _ => spec["objects"] = json!([{"id": "a", "dependsOn": ids(count)}]),
    }
    run
}

#[tokio::test]
async fn lists_are_as_long_as_the_page_of_limits_says() {
    let server = Server::connect().await;
    let cases = [
        ("stages", 64, "must have at most 64 items"),
        ("objects", 20_000, "must have at most 20000 items"),
        ("objectsFrom", 1_024, "must have at most 1024 items"),
        ("targets.ids", 10_000, "must have at most 10000 items"),
        ("dependsOn", 10_000, "must have at most 10000 items"),
    ];
    for (place, most, words) in cases {
        let taken = server.try_create(Kind::PipelineRun, &with(place, most)).await;
        assert!(taken.is_ok(), "{most} {place}: {:?}", taken.err());
        let refused = server.try_create(Kind::PipelineRun, &with(place, most + 1)).await.unwrap_err();
        assert!(refused.contains(words), "{words}: {refused:.400}");
    }
}
