#![doc = include_str!("../README.md")]

mod app;
pub mod auth;
mod body;
mod change;
mod items;
pub mod problem;
pub mod publish;
pub mod pulse;
mod purge;
pub mod replay;
pub mod routes;
pub mod scope;
pub mod skeleton;
mod spool;
mod standing;
pub mod state;
pub mod token;

pub use app::{ApiConfig, App, Bell, Clock};
pub use auth::{bootstrap_admin_key, recovery_admin_key};
pub use publish::fence::OpenPublishes;
pub use purge::KilledReleases;
pub use routes::router;
