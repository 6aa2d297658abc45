//! A function of Lambda's Rust client that does what its event says.
use lambda_runtime::{service_fn, Error, LambdaEvent};
use serde_json::{json, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        if event.payload["do"] == "fail" {
            return Err(Error::from("went wrong"));
        }
        Ok::<Value, Error>(json!({"id": event.context.request_id, "memory": event.context.env_config.memory}))
    }))
    .await
}
