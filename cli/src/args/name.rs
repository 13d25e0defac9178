//! Plugins and releases as they are typed.

use stoa_core::{
    id::PluginId,
    version::{Version, VersionReq},
};

/// `ns:name@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReleaseName {
    pub(crate) id: PluginId,
    pub(crate) version: Version,
}

impl std::str::FromStr for ReleaseName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, version) = text.split_once('@').ok_or("name a version, as in `demo:markdown@1.0.0`")?;
        let id = id.parse().map_err(|e: stoa_core::id::IdError| e.to_string())?;
        Ok(Self { id, version: version.parse().map_err(|e: stoa_core::version::VersionError| e.to_string())? })
    }
}

/// `ns:name` or `ns:name@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PluginAt {
    pub(crate) id: PluginId,
    pub(crate) version: Option<Version>,
}

impl std::str::FromStr for PluginAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            let ReleaseName { id, version } = text.parse()?;
            return Ok(Self { id, version: Some(version) });
        }
        Ok(Self { id: text.parse().map_err(|e: stoa_core::id::IdError| e.to_string())?, version: None })
    }
}

/// `ns:name` or `ns:name@requirement`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: PluginId,
    pub(crate) version: VersionReq,
}

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, version) = text.split_once('@').unwrap_or((text, "*"));
        let id = id.parse().map_err(|e: stoa_core::id::IdError| e.to_string())?;
        Ok(Self { id, version: version.parse().map_err(|e: stoa_core::version::VersionError| e.to_string())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_wanted_with_or_without_a_requirement() {
        let wanted: Wanted = "demo:markdown@^1.2".parse().expect("a wish");
        assert_eq!((wanted.id.to_string().as_str(), wanted.version.to_string().as_str()), ("demo:markdown", "^1.2"));
        assert_eq!("demo:markdown".parse::<Wanted>().map(|w| w.version), Ok(VersionReq::ANY));
        let error = "markdown".parse::<Wanted>();
        assert_eq!(error, Err("`markdown` is not a plugin id: write it `namespace:name`".to_owned()));
    }
}
