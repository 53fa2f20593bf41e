//! Credentials of private registries, as `docker login` stores them in the Docker configuration.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Credentials of a registry: a name and a password, or a token.
#[derive(Debug, Clone, Default)]
pub(super) struct Credentials {
    username: Option<String>,
    password: Option<String>,
    identity_token: Option<String>,
    server: String,
}

impl Credentials {
    /// The value of the `X-Registry-Auth` header.
    pub(super) fn header(&self) -> String {
        let members = [
            ("username", &self.username),
            ("password", &self.password),
            ("identitytoken", &self.identity_token),
        ];
        let members =
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        let object: Value = members.chain([("serveraddress".to_owned(), json!(self.server))]).collect();
        URL_SAFE.encode(object.to_string())
    }
}

/// Key of Docker Hub in a Docker configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// The registry that an image is pulled from.
pub(super) fn registry_of(image: &str) -> &str {
    let first = image.split_once('/').map(|(first, _)| first);
    let is_host = |part: &&str| part.contains(['.', ':']) || *part == "localhost";
    first.filter(is_host).unwrap_or("docker.io")
}

/// The credentials for an image's registry, if the configuration has any. Blocks while a credential helper runs.
pub(super) fn find(folder: &Path, image: &str) -> Option<Credentials> {
    let text = std::fs::read_to_string(folder.join("config.json")).ok()?;
    let config: Value = serde_json::from_str(&text).ok()?;
    let registry = registry_of(image);
    let names = if registry == "docker.io" { vec![HUB, registry] } else { vec![registry] };
    names.iter().find_map(|name| {
        let helper = config["credHelpers"][name].as_str().or_else(|| config["credsStore"].as_str());
        helper.and_then(|helper| run_helper(helper, name)).or_else(|| stored(&config["auths"], name))
    })
}

/// Credentials stored in the configuration itself.
fn stored(auths: &Value, registry: &str) -> Option<Credentials> {
    let is_its = |name: &str| {
        let host = name.trim_start_matches("https://").trim_start_matches("http://");
        name == registry || host.split('/').next() == Some(registry)
    };
    let (_, auth) = auths.as_object()?.iter().find(|(name, _)| is_its(name))?;
    let token = auth["identitytoken"].as_str().map(str::to_owned);
    let pair = auth["auth"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
    let (user, password) = pair.as_deref().and_then(|pair| pair.split_once(':')).unzip();
    (user.is_some() || token.is_some()).then(|| Credentials {
        username: user.map(str::to_owned),
        password: password.map(|text| text.trim_end_matches('\0').to_owned()),
        identity_token: token,
        server: registry.to_owned(),
    })
}

/// Runs a credential helper.
fn run_helper(helper: &str, registry: &str) -> Option<Credentials> {
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(registry.as_bytes()).ok()?;
    let said = child.wait_with_output().ok().filter(|said| said.status.success())?;
    let said: Value = serde_json::from_slice(&said.stdout).ok()?;
    let (user, secret) = (said["Username"].as_str()?, said["Secret"].as_str()?.to_owned());
    let is_token = user == "<token>";
    Some(Credentials {
        username: (!is_token).then(|| user.to_owned()),
        password: (!is_token).then(|| secret.clone()),
        identity_token: is_token.then_some(secret),
        server: registry.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f52_registry_is_the_host_part_of_the_image_name() {
        for (image, registry) in [
            ("busybox", "docker.io"),
            ("media/ffmpeg:7", "docker.io"),
            ("localhost/x", "localhost"),
            ("example.org:5000/a/b@sha256:00", "example.org:5000"),
        ] {
            assert_eq!(registry_of(image), registry);
        }
    }

    #[test]
    fn f52_credentials_of_docker_login_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({"auths": {
            HUB: {"auth": STANDARD.encode("hub:h:1")}, "https://example.org/v2/": {"auth": STANDARD.encode("me:pw")},
            "token.example.org": {"identitytoken": "t"}, "empty.example.org": {}}});
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let found = |image: &str| {
            let found = find(folder.path(), image)?;
            Some((
                found.username.unwrap_or_default(),
                found.password.or(found.identity_token).unwrap_or_default(),
            ))
        };
        let pair = |user: &str, secret: &str| Some((user.to_owned(), secret.to_owned()));
        assert_eq!(found("media/ffmpeg"), pair("hub", "h:1"));
        assert_eq!(found("example.org/a"), pair("me", "pw"));
        assert_eq!(found("token.example.org/a"), pair("", "t"));
        assert_eq!(found("empty.example.org/a"), None);
        assert_eq!(found("other.example.org/a"), None);
    }
}
