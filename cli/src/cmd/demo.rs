use crate::{
    args::Demo,
    report::{Failure, Output},
};
pub(crate) async fn run(_: &Demo, _: Output) -> Result<std::process::ExitCode, Failure> {
    Err(Failure::new("wip"))
}
