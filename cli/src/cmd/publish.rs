use crate::{
    args::Publish,
    report::{Failure, Output},
};
pub(crate) async fn run(_: &Publish, _: Output) -> Result<(), Failure> {
    Err(Failure::new("wip"))
}
