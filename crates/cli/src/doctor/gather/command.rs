use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a program is waited for: while a host makes or removes many links, `ip` waits for its turn for seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Where programs are looked for: a user's PATH often lacks the sbin folders.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What `program` prints when it is run with `arguments`, in no language but English.
///
/// Errors: it is not installed, did not succeed or took longer than [`PATIENCE`]; in a part of a sentence.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match timeout(PATIENCE, command.output()).await {
        Err(_) => {
            return Err(format!(
                "{program} did not end within {} s",
                PATIENCE.as_secs()
            ));
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("{program} is not installed"));
        }
        Ok(Err(error)) => return Err(format!("{program} cannot be run: {error}")),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or_default().trim();
    Err(format!("{program} says: {first}"))
}
