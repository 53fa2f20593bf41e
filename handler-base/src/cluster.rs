//! The address and credentials of a cluster, from POP's arguments, variables and properties.

use pop_field_retriever::names::property;
use pop_field_retriever::{FieldName, LaunchDataWrapper, OauthError};
use pop_launchers::Cluster;

/// Reads the address and credentials of the cluster from launch data. Missing values are found as `kubectl` finds them.
pub fn cluster(launch: &dyn LaunchDataWrapper) -> Result<Cluster, OauthError> {
    let property = |name| {
        let found = launch.field(&FieldName::of_property(name)).map(|found| found.value.trim().to_owned());
        found.filter(|value| !value.is_empty())
    };
    let oauth = launch.oauth()?;
    Ok(Cluster {
        master_url: property(property::KUBERNETES_MASTER_URL),
        namespace: property(property::KUBERNETES_NAMESPACE),
        zone: property(property::KUBERNETES_ZONE),
        authority: match &oauth {
            Some(oauth) => Some(oauth.certificate()?.expose().to_owned()),
            None => None,
        },
        token: oauth.map(|oauth| oauth.token.value.expose().to_owned()),
        own_pod: launch.pod_name().map(|found| found.value),
    })
}
