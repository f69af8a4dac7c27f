//! Topics that a test makes or takes away, as a platform team would.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap()
}

/// Creates a topic as a stage's ready queue has to be.
pub async fn create_ready(bootstrap: &str, name: &str, partitions: i32) {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1))
        .set("message.timestamp.type", "LogAppendTime")
        .set("retention.ms", "-1");
    let created = admin(bootstrap).create_topics([&topic], &AdminOptions::new()).await.unwrap();
    created[0].as_ref().unwrap_or_else(|(name, error)| panic!("{name}: {error}"));
}

/// Deletes a topic.
pub async fn delete(bootstrap: &str, name: &str) {
    let deleted = admin(bootstrap).delete_topics(&[name], &AdminOptions::new()).await.unwrap();
    deleted[0].as_ref().unwrap_or_else(|(name, error)| panic!("{name}: {error}"));
}
