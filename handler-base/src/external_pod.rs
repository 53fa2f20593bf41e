//! The settings for the container or pod of an external program, from POP's properties.

use crate::HandlerError;
use pop_field_retriever::names::property;
use pop_field_retriever::{FieldName, FieldValue, LaunchDataWrapper, TypedFields as _};
use pop_registry::{PodConfig, Taints};
use std::time::Duration;

/// Reads the properties `pop.kubernetes.podconfig.*`, with POP's defaults for missing ones.
pub(crate) fn external_pod(launch: &dyn LaunchDataWrapper) -> Result<PodConfig, HandlerError> {
    let standard = PodConfig::default();
    let uses_taints = property_value(launch, property::POD_USE_TAINTED_NODES)?.unwrap_or(false);
    let selector: Option<String> = property_value(launch, property::POD_TAINTED_SELECTOR)?;
    let toleration: Option<String> = property_value(launch, property::POD_TAINTED_TOLERATION)?;
    let milliseconds =
        |name| property_value(launch, name).map(|ms: Option<u64>| ms.map(Duration::from_millis));
    Ok(PodConfig {
        name_prefix: property_value(launch, property::POD_NAME_PREFIX)?,
        image: property_value(launch, property::POD_IMAGE_NAME)?,
        pull_always: property_value(launch, property::POD_IMAGE_PULL_ALWAYS)?.unwrap_or(standard.pull_always),
        reap_completed: property_value(launch, property::POD_REAP_COMPLETED)?
            .unwrap_or(standard.reap_completed),
        service_account: property_value(launch, property::POD_SERVICE_ACCOUNT)?,
        scheduled_timeout: milliseconds(property::POD_SCHEDULED_TIMEOUT_MS)?
            .unwrap_or(standard.scheduled_timeout),
        stdout_timeout: milliseconds(property::POD_STDOUT_TIMEOUT_MS)?,
        end_of_log: property_value(launch, property::POD_END_OF_LOG_IDENTIFIER)?,
        taints: match (selector, toleration) {
            (Some(selector), Some(toleration)) if uses_taints => Some(Taints { selector, toleration }),
            _ if uses_taints => {
                let message = format!(
                    "{} needs {} and {}",
                    property::POD_USE_TAINTED_NODES,
                    property::POD_TAINTED_SELECTOR,
                    property::POD_TAINTED_TOLERATION
                );
                return Err(HandlerError::new(message).code("payload"));
            }
            _ => None,
        },
        config_maps: Vec::new(),
        ..standard
    })
}

fn property_value<T: FieldValue>(
    launch: &dyn LaunchDataWrapper,
    name: &'static str,
) -> Result<Option<T>, HandlerError> {
    let found = launch.find::<T>(&FieldName::of_property(name)).map_err(HandlerError::from)?;
    Ok(found.map(|found| found.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_field_retriever::{Arguments, DefaultLaunchData, Defaults, Environment, Properties};

    fn read(properties: &str) -> Result<PodConfig, HandlerError> {
        let none = Arguments::parse(Vec::<String>::new(), &[]).unwrap();
        let environment = Environment::from_pairs(Vec::<(String, String)>::new());
        let properties = Properties::parse("p.properties".as_ref(), properties.as_bytes()).unwrap();
        let launch =
            DefaultLaunchData::from_parts(none, environment, properties, &Defaults::handler()).unwrap();
        external_pod(&launch)
    }

    #[test]
    fn properties_of_pop_define_the_pod_of_an_external_program() {
        let pod = read(
            "pop.kubernetes.podconfig.docker.imageName=media/ffmpeg:7\npop.kubernetes.podconfig.namePrefix=ffmpeg-\n\
             pop.kubernetes.podconfig.reapCompletedPods=true\npop.kubernetes.podconfig.timeout.scheduledMs=1000\n",
        )
        .unwrap();
        assert_eq!(
            (pod.image.as_deref(), pod.name_prefix.as_deref()),
            (Some("media/ffmpeg:7"), Some("ffmpeg-"))
        );
        assert_eq!((pod.reap_completed, pod.scheduled_timeout), (true, Duration::from_secs(1)));
        assert_eq!(pod.service_account, None);
        let bad = read("pop.kubernetes.podconfig.useTaintedNodes=true").unwrap_err();
        assert!(bad.message().contains("taintedSelector"), "{}", bad.message());
        assert!(read("pop.kubernetes.podconfig.timeout.scheduledMs=soon").is_err());
    }
}
