//! The minimum that a Docker Engine client does to run containers: create, start, wait, remove. Baseline for
//! the Docker launcher: `bare_containers COUNT WIDTH IMAGE`.
#![expect(clippy::unwrap_used, reason = "an example fails by panicking")]

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::StreamExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().unwrap().parse().unwrap();
    let width: usize = arguments.next().unwrap().parse().unwrap();
    let image = arguments.next().unwrap();
    let docker = Docker::connect_with_host("unix:///var/run/docker.sock").unwrap();
    let docker = docker.negotiate_version().await.unwrap();
    let containers = futures_util::stream::iter(0..count).map(|number| one(&docker, &image, number));
    containers.buffer_unordered(width).collect::<Vec<()>>().await;
}

async fn one(docker: &Docker, image: &str, number: usize) {
    let name = format!("bare-{}-{number}", std::process::id());
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec!["true".to_owned()]),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    docker.create_container(Some(options), body).await.unwrap();
    docker.start_container(&name, None).await.unwrap();
    let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
    docker.wait_container(&name, Some(options)).next().await.unwrap().unwrap();
    docker.remove_container(&name, None).await.unwrap();
}
