pub(crate) fn run(_: &[String]) -> crate::failure::Outcome<std::process::ExitCode> {
    Ok(std::process::ExitCode::SUCCESS)
}
