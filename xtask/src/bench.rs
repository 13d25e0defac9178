fn placeholder() {}
pub(crate) fn build() -> crate::failure::Outcome<std::process::ExitCode> {
    placeholder();
    Ok(std::process::ExitCode::SUCCESS)
}
