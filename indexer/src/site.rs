//! The marketplace: a front page and a page per plugin, static, without a request to anywhere else.
//!
//! Rendering is a pure function of the view: no clock, no randomness, everything sorted here. Pages lie
//! outside the signed index and say so.

use std::sync::Arc;

use minijinja::{
    Environment, UndefinedBehavior, context,
    syntax::SyntaxConfig,
    value::{Serde, Value},
};
use serde::Serialize;
use stoa_core::{digest::Digest, id::PluginId, path::PublicPath};

mod capability;
mod example;
mod format;
mod install;
mod mosaic;
mod page;
mod readme;
pub mod view;
mod wit;

pub use capability::Capabilities;
pub use example::example_call;
pub use readme::Readme;
use view::{FrontPage, PluginPage};

const TEMPLATES: [(&str, &str); 6] = [
    ("base.html", include_str!("../../site-templates/base.html")),
    ("parts.html", include_str!("../../site-templates/parts.html")),
    ("colonnade.html", include_str!("../../site-templates/colonnade.html")),
    ("front.html", include_str!("../../site-templates/front.html")),
    ("plugin.html", include_str!("../../site-templates/plugin.html")),
    ("404.html", include_str!("../../site-templates/404.html")),
];
const STYLE: &[u8] = include_bytes!("../../site-templates/stoa.css");
const SCRIPT: &[u8] = include_bytes!("../../site-templates/stoa.js");
const ICON: &[u8] = include_bytes!("../../site-templates/stoa.svg");

/// What all pages of a registry share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteConfig {
    /// What people call the registry, such as `Stoa`.
    pub name: String,
    /// What links begin with: `/`, a folder such as `/plugins/`, or an address. A missing last `/` is added.
    pub base: String,
    /// The address that hosts and the command line use, such as `https://plugins.example`. `None` leaves it
    /// out of the lines to copy, and pages name no canonical address.
    pub url: Option<String>,
    /// The address of the API that authors publish to; `None` for a mirror, which takes nothing.
    pub api: Option<String>,
    /// SHA-256 of the first root of trust, for hosts to pin.
    pub root: Option<Digest>,
}

/// Why a page can not be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// A template asks for something that its view does not have.
    #[error("the template `{template}` can not be rendered")]
    Template {
        /// The template's file name.
        template: &'static str,
        /// What it asked for.
        source: Box<minijinja::Error>,
    },
}

/// The templates, ready to render.
#[derive(Debug)]
pub struct Site {
    config: SiteConfig,
    engine: Environment<'static>,
    assets: Vec<(PublicPath, Vec<u8>)>,
}

impl Site {
    /// The pages of the registry `config`.
    ///
    /// # Panics
    /// Where an embedded template is not one, which every test of this module would show.
    pub fn new(mut config: SiteConfig) -> Self {
        if !config.base.ends_with('/') {
            config.base.push('/');
        }
        let assets = [("css", STYLE), ("js", SCRIPT), ("svg", ICON)].map(|(extension, bytes)| asset(extension, bytes));
        let mut engine = Environment::new();
        let syntax =
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the usual delimiters");
        engine.set_syntax(syntax);
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_formatter(format::formatter);
        add_filters(&mut engine, config.base.as_str().into());
        let href = |at: usize| format!("{}{}", config.base, assets[at].0);
        engine.add_global("site", Value::from(Serde(&config)));
        engine.add_global("assets", context! { style => href(0), script => href(1), icon => href(2) });
        for (name, source) in TEMPLATES {
            engine.add_template(name, source).expect("embedded templates parse");
        }
        Self { config, engine, assets: assets.into() }
    }

    /// What all pages share: the templates, the assets, the registry's own particulars. Pages made by another
    /// look are older than they seem.
    pub fn look(&self) -> Digest {
        let mut hasher = stoa_core::digest::Hasher::new();
        for part in TEMPLATES.iter().map(|(_, source)| source.as_bytes()).chain([STYLE, SCRIPT, ICON]) {
            hasher.update(Digest::of(part).as_bytes());
        }
        // What is rendered from the same templates may change with the program.
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.update(format!("{:?}", self.config).as_bytes());
        hasher.finish()
    }

    /// `.well-known/stoa.json`: where this registry's API is and which root it began with. A convenience for
    /// tools that meet the registry for the first time; nothing in it is to be trusted without comparing.
    pub fn well_known(&self) -> Vec<u8> {
        let SiteConfig { name, url, api, root, .. } = &self.config;
        let value = serde_json::json!({"format": 1, "name": name, "index": url, "api": api, "root-sha256": root});
        // Strings and an integer always have a canonical form.
        stoa_core::canonical::to_bytes(&value).unwrap_or_default()
    }

    /// The style sheet, the script and the icon. Their names carry a digest of their bytes, so pages written
    /// by an older program need theirs as well: never delete an asset.
    pub fn assets(&self) -> Vec<(PublicPath, Vec<u8>)> {
        self.assets.clone()
    }

    /// The front page.
    ///
    /// # Errors
    /// [`SiteError::Template`].
    pub fn front(&self, page: &FrontPage) -> Result<String, SiteError> {
        self.render("front.html", &page::Front::of(&self.config, page))
    }

    /// A plugin's page.
    ///
    /// # Errors
    /// [`SiteError::Template`].
    pub fn plugin(&self, page: &PluginPage) -> Result<String, SiteError> {
        self.render("plugin.html", &page::Plugin::of(&self.config, page))
    }

    /// The page for addresses that lead nowhere. Its links hold wherever it is served.
    ///
    /// # Errors
    /// [`SiteError::Template`].
    pub fn not_found(&self) -> Result<String, SiteError> {
        self.render("404.html", &())
    }

    fn render(&self, template: &'static str, page: &impl Serialize) -> Result<String, SiteError> {
        let found = self.engine.get_template(template);
        let page = Value::from(Serde(page));
        let html = found.and_then(|found| found.render(context! { page }));
        html.map_err(|source| SiteError::Template { template, source: Box::new(source) })
    }
}

/// `assets/stoa.DIGEST.EXTENSION`, with the first 8 digits: enough to tell the handful of revisions apart.
fn asset(extension: &str, bytes: &[u8]) -> (PublicPath, Vec<u8>) {
    let name = format!("stoa.{}.{extension}", Digest::of(bytes).short(8));
    (PublicPath::Asset(name), bytes.to_vec())
}

fn add_filters(engine: &mut Environment<'static>, base: Arc<str>) {
    let at_base = move |path: PublicPath| {
        let path = path.to_string();
        format!("{base}{}", path.strip_suffix("index.html").unwrap_or(&path))
    };
    let plugin_at = at_base.clone();
    engine.add_filter("size", format::size);
    engine.add_filter("date", |time: &str| format::date(time));
    engine.add_filter("breakable", |address: &str| format::breakable(address));
    engine.add_filter("count", |n: u64, noun: &str| format::count(n, noun));
    engine.add_filter("namespace", |id: &str| id.split(':').next().unwrap_or(id).to_owned());
    engine.add_filter("name", |id: &str| id.split(':').next_back().unwrap_or(id).to_owned());
    engine.add_filter("plugin_href", move |id: &str| parsed(id).map(|id| plugin_at(PublicPath::Plugin(id))));
    engine
        .add_filter("artifact_href", move |hex: &str| parsed(hex).map(|digest| at_base(PublicPath::Artifact(digest))));
    engine.add_filter("mosaic", |id: &str| parsed::<PluginId>(id).map(|id| Value::from_safe_string(mosaic::svg(&id))));
}

/// Views carry these as types, so only a template that passes something else can fail here.
fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, minijinja::Error> {
    text.parse().map_err(|e: T::Err| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, e.to_string()))
}
