//! Topics that a test makes or takes away, as a platform team would.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

/// What our topics have, the control topic aside.
const LOG: [(&str, &str); 2] = [("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1")];

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap()
}

/// Creates a topic with these settings.
pub async fn create(bootstrap: &str, name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let topic = settings.iter().fold(topic, |topic, (setting, value)| topic.set(setting, value));
    let created = admin(bootstrap).create_topics([&topic], &AdminOptions::new()).await.unwrap();
    created[0].as_ref().unwrap_or_else(|(name, error)| panic!("{name}: {error}"));
}

/// Creates a topic as a stage's ready queue has to be.
pub async fn create_ready(bootstrap: &str, name: &str, partitions: i32) {
    create(bootstrap, name, partitions, &LOG).await;
}

/// Deletes a topic.
pub async fn delete(bootstrap: &str, name: &str) {
    let deleted = admin(bootstrap).delete_topics(&[name], &AdminOptions::new()).await.unwrap();
    deleted[0].as_ref().unwrap_or_else(|(name, error)| panic!("{name}: {error}"));
}
