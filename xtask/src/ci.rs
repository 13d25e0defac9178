pub(crate) fn run() -> crate::failure::Outcome<std::process::ExitCode> {
    crate::fresh::check()?;
    Ok(std::process::ExitCode::SUCCESS)
}
