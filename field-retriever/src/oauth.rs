//! Certificate and token to access a cluster from outside.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::field::{FieldName, Found, Origin};
use crate::file::{FileError, read_text};
use crate::names::launch_data;

/// The largest certificate or token file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A string that only [`expose`](Self::expose) shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a string.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The string itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Certificate and token to access a cluster from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oauth {
    /// Certificate of the cluster's authority.
    pub cert: Found<Secret>,
    /// File of the certificate, if it was read from a file.
    pub cert_file: Option<PathBuf>,
    /// Token of the service account, trimmed.
    pub token: Found<Secret>,
}

/// Error in certificate or token.
#[derive(Debug, Error)]
pub enum OauthError {
    /// The named file cannot be used.
    #[error("file named by {origin} is not usable")]
    File {
        /// Origin of the path.
        origin: Origin,
        /// Error of the file.
        #[source]
        source: FileError,
    },
    /// The file or variable is blank.
    #[error("certificate or token of {origin} is blank")]
    Blank {
        /// Origin of the value.
        origin: Origin,
    },
    /// The certificate is not in PEM form.
    #[error("{place} holds no certificate in PEM form")]
    NoCertificate {
        /// The file, or the origin of the text.
        place: String,
    },
    /// Only one of certificate and token is set.
    #[error("{origin} is given without {missing}")]
    Half {
        /// Origin of the one that is set.
        origin: Origin,
        /// Argument of the missing one.
        missing: &'static str,
    },
}

impl OauthError {
    /// How to fix the error.
    pub fn hint(&self) -> String {
        match self {
            Self::File { .. } => "name a readable file".to_owned(),
            Self::Blank { .. } => "set the text, or remove the setting".to_owned(),
            Self::NoCertificate { .. } => {
                "a PEM certificate begins with `-----BEGIN CERTIFICATE-----`".to_owned()
            }
            Self::Half { missing, .. } => format!("set {missing} too, or neither"),
        }
    }
}

impl Oauth {
    /// The certificate, or an error if the text contains none.
    pub fn certificate(&self) -> Result<&Secret, OauthError> {
        if self.cert.value.expose().contains("-----BEGIN CERTIFICATE-----") {
            return Ok(&self.cert.value);
        }
        let place = match &self.cert_file {
            Some(file) => format!("`{}` ({})", file.display(), self.cert.origin),
            None => self.cert.origin.to_string(),
        };
        Err(OauthError::NoCertificate { place })
    }
}

/// Finds certificate and token, each in a file or in the environment. Both may be missing.
pub(crate) fn find(field: impl Fn(&FieldName) -> Option<Found<String>>) -> Result<Option<Oauth>, OauthError> {
    let cert = find_one(&field, &launch_data::OAUTH_CERT_PATH, &launch_data::OAUTH_CERT)?;
    let token = find_one(&field, &launch_data::OAUTH_TOKEN_PATH, &launch_data::OAUTH_TOKEN)?;
    let (cert, cert_file) = cert.map_or((None, None), |(cert, file)| (Some(cert), file));
    let token = token.map(|(token, _)| token);
    match (cert, token) {
        (None, None) => Ok(None),
        (Some(cert), Some(token)) => {
            let token = token.map(|token| Secret::new(token.expose().trim().to_owned()));
            Ok(Some(Oauth { cert, cert_file, token }))
        }
        (Some(cert), None) => Err(OauthError::Half { origin: cert.origin, missing: "`oauthTokenPath`" }),
        (None, Some(token)) => Err(OauthError::Half { origin: token.origin, missing: "`oauthCertPath`" }),
    }
}

/// A value with its origin, and the file that it was read from, if it was read from one.
type FoundSecret = (Found<Secret>, Option<PathBuf>);

/// A path from an argument overrides data from the environment, which overrides a path from a property.
fn find_one(
    field: &impl Fn(&FieldName) -> Option<Found<String>>,
    path: &FieldName,
    data: &FieldName,
) -> Result<Option<FoundSecret>, OauthError> {
    let path = field(path);
    let by_argument = path.as_ref().is_some_and(|path| matches!(path.origin, Origin::Argument { .. }));
    let data = if by_argument { None } else { field(data) };
    let (found, file) = match (data, path) {
        (Some(data), _) => (data, None),
        (None, Some(Found { value, origin })) => {
            let file = PathBuf::from(value);
            match read_text(&file, MAX_FILE_BYTES) {
                Ok(text) => (Found::new(text, origin), Some(file)),
                Err(source) => return Err(OauthError::File { origin, source }),
            }
        }
        (None, None) => return Ok(None),
    };
    if found.value.trim().is_empty() {
        return Err(OauthError::Blank { origin: found.origin });
    }
    Ok(Some((found.map(Secret::new), file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch_data::{DefaultLaunchData, Defaults, LaunchDataWrapper};
    use crate::properties::Properties;
    use crate::{Arguments, Environment};
    use std::error::Error;
    use std::path::Path;

    fn oauth(
        argv: &[&str],
        environment: &[(&str, &str)],
        properties: &str,
    ) -> Result<Option<Oauth>, OauthError> {
        let properties = Properties::parse(Path::new("p.properties"), properties.as_bytes()).unwrap();
        DefaultLaunchData::from_parts(
            Arguments::parse(argv.iter().copied(), &[]).unwrap(),
            Environment::from_pairs(environment.iter().copied()),
            properties,
            &Defaults::handler(),
        )
        .unwrap()
        .oauth()
    }

    struct Files {
        _folder: tempfile::TempDir,
        cert: String,
        token: String,
    }

    fn files(cert_text: &str, token_text: &str) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (cert, token) = (write("cert", cert_text), write("token", token_text));
        Files { _folder: folder, cert, token }
    }

    #[test]
    fn oauth_files_are_read_and_the_token_is_trimmed() {
        let files = files("CERT\n", " TOKEN\n");
        let argv = ["--oauthCertPath", &files.cert, "--oauth-token-path", &files.token];
        let found = oauth(&argv, &[], "").unwrap().unwrap();
        assert_eq!((found.cert.value.expose(), found.token.value.expose()), ("CERT\n", "TOKEN"));
        assert_eq!(found.token.origin, Origin::Argument { name: "oauthTokenPath".into() });
        assert_eq!(oauth(&[], &[], "").unwrap(), None);
    }

    #[test]
    fn a_wrong_oauth_path_is_an_error_with_its_origin() {
        let files = files("CERT", "TOKEN");
        let argv = ["--oauthCertPath", &files.cert, "--oauthTokenPath", "/nowhere/token"];
        let error = oauth(&argv, &[("OAUTH_CERT", "C"), ("OAUTH_TOKEN", "T")], "").unwrap_err();
        assert_eq!(error.to_string(), "file named by argument `oauthTokenPath` is not usable");
        assert_eq!(error.source().unwrap().to_string(), "cannot read /nowhere/token");
    }

    #[test]
    fn certificate_or_token_alone_is_an_error() {
        let files = files("CERT", " \n");
        let error = oauth(&["--oauthCertPath", &files.cert], &[], "").unwrap_err();
        assert_eq!(error.to_string(), "argument `oauthCertPath` is given without `oauthTokenPath`");
        let error = oauth(&[], &[("OATH_TOKEN", "T")], "").unwrap_err();
        assert_eq!(error.to_string(), "environment variable `OATH_TOKEN` is given without `oauthCertPath`");
        let argv = ["--oauthCertPath", &files.cert, "--oauthTokenPath", &files.token];
        assert!(matches!(oauth(&argv, &[], ""), Err(OauthError::Blank { .. })));
    }

    #[test]
    fn oauth_variables_have_two_spellings() {
        for (cert, token) in [("OAUTH_CERT", "OAUTH_TOKEN"), ("OATH_CERT", "OATH_TOKEN")] {
            let found = oauth(&[], &[(cert, "C"), (token, "T")], "").unwrap().unwrap();
            assert_eq!((found.cert.value.expose(), found.token.value.expose()), ("C", "T"));
        }
    }

    #[test]
    fn oauth_argument_precedes_environment_precedes_property() {
        let files = files("CERT", "TOKEN");
        let properties = format!("oauthCertPath={}\noauthTokenPath={}", files.cert, files.token);
        let environment = [("OAUTH_CERT", "C"), ("OAUTH_TOKEN", "T")];
        let tokens = |argv: &[&str], environment: &[(&str, &str)]| {
            let found = oauth(argv, environment, &properties).unwrap().unwrap();
            (found.cert.value.expose().to_owned(), found.token.value.expose().to_owned())
        };
        assert_eq!(tokens(&[], &[]), ("CERT".into(), "TOKEN".into()));
        assert_eq!(tokens(&[], &environment), ("C".into(), "T".into()));
        assert_eq!(tokens(&["--oauthCertPath", &files.cert], &environment), ("CERT".into(), "T".into()));
    }

    #[test]
    fn fr_l13_an_invalid_certificate_names_its_file() {
        let pem = "# ours\n-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n";
        let (good, bad) = (files(pem, "T"), files("not a certificate", "T"));
        let found = |files: &Files| {
            oauth(&["--oauthCertPath", &files.cert, "--oauthTokenPath", &files.token], &[], "")
                .unwrap()
                .unwrap()
        };
        assert_eq!(found(&good).certificate().unwrap().expose(), pem);
        let error = found(&bad).certificate().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("`{}` (argument `oauthCertPath`) holds no certificate in PEM form", bad.cert)
        );
        let data = oauth(&[], &[("OAUTH_CERT", "x"), ("OAUTH_TOKEN", "T")], "").unwrap().unwrap();
        let error = data.certificate().unwrap_err().to_string();
        assert_eq!(error, "environment variable `OAUTH_CERT` holds no certificate in PEM form");
    }

    #[test]
    fn secrets_are_not_shown() {
        let found = oauth(&[], &[("OAUTH_CERT", "s3cret"), ("OAUTH_TOKEN", "s3cret")], "").unwrap();
        assert!(!format!("{found:?}").contains("s3cret"));
    }
}
