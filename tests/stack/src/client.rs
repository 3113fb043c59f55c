//! A stack as a test sees it: a blocking handle on a supervisor process.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::protocol::{Answer, Request};
use crate::{Addresses, Part, StackError, StackOptions};

/// Above the sum of the supervisor's own deadlines, so that its message comes first.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);

/// A running stack. It ends when this is dropped, and also when the process that holds it ends.
#[derive(Debug)]
pub struct Stack {
    addresses: Addresses,
    conversation: Mutex<Conversation>,
}

#[derive(Debug)]
struct Conversation {
    child: Child,
    // Closing it is how the supervisor is told to end.
    requests: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Stack {
    /// Starts simulator, service and Envoy on free ports and waits until all are ready.
    ///
    /// The programs are taken from the folder that `IB_GATEWAY_BIN` names (`ib-stack`, `ib-oauth`,
    /// `ib-simulator`, `plugin.wasm`) and Envoy from `ENVOY`; `make test` sets both.
    ///
    /// # Errors
    ///
    /// When the programs are missing, an option cannot be used, or a part ends early or is not ready
    /// within 30 seconds; the message then holds the end of that part's log.
    pub fn start(options: StackOptions) -> Result<Self, StackError> {
        let mut conversation = Conversation::open()?;
        match conversation.ask(&Request::Start(Box::new(options)))? {
            Answer::Started(addresses) => {
                Ok(Self { addresses: *addresses, conversation: Mutex::new(conversation) })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Where the parts can be reached.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Kills a part (SIGKILL) and waits until the process is gone.
    ///
    /// # Errors
    ///
    /// When the part does not run.
    pub fn kill(&self, part: Part) -> Result<(), StackError> {
        self.command(&Request::Kill(part))
    }

    /// Starts a part that was killed, on the same addresses and files, and waits until it is ready.
    ///
    /// The simulator makes a new CA at each start, which a running service and Envoy do not know:
    /// whoever starts it again must start those two again as well.
    ///
    /// # Errors
    ///
    /// When the part runs already, ends early or is not ready within 30 seconds.
    pub fn start_part(&self, part: Part) -> Result<(), StackError> {
        self.command(&Request::StartPart(part))
    }

    /// Stops a part's execution (SIGSTOP): it keeps its connections and answers nothing.
    ///
    /// # Errors
    ///
    /// When the part does not run.
    pub fn pause(&self, part: Part) -> Result<(), StackError> {
        self.command(&Request::Pause(part))
    }

    /// Lets a paused part go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// When the part does not run.
    pub fn resume(&self, part: Part) -> Result<(), StackError> {
        self.command(&Request::Resume(part))
    }

    /// The part's process id; nothing when it does not run or the supervisor is gone.
    #[must_use]
    pub fn process_id(&self, part: Part) -> Option<u32> {
        match self.ask(&Request::ProcessId(part)) {
            Ok(Answer::ProcessId(process_id)) => process_id,
            Ok(_) | Err(_) => None,
        }
    }

    /// The file with everything that the part logged, over all its starts.
    #[must_use]
    pub fn log_file(&self, part: Part) -> PathBuf {
        crate::running::layout::log_file(&self.addresses.run_directory, part)
    }

    /// The file with Envoy's access log: one JSON object a line.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        crate::running::layout::access_log(&self.addresses.run_directory)
    }

    fn command(&self, request: &Request) -> Result<(), StackError> {
        match self.ask(request)? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn ask(&self, request: &Request) -> Result<Answer, StackError> {
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner).ask(request)
    }
}

impl Conversation {
    fn open() -> Result<Self, StackError> {
        const HINT: &str = "run the tests through `make test` or `make end-to-end`";
        let folder = std::env::var_os("IB_GATEWAY_BIN").ok_or_else(|| StackError::NotPrepared {
            what: "IB_GATEWAY_BIN, the folder of the built programs,".to_owned(),
            hint: HINT,
        })?;
        let program = Path::new(&folder).join("ib-stack");
        let mut child = Command::new(&program)
            .arg("supervise")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(StackError::io(format!("{} cannot be started ({HINT})", program.display())))?;
        let requests = child.stdin.take();
        let output = child
            .stdout
            .take()
            .ok_or_else(|| StackError::Protocol("its output is not a pipe".to_owned()))?;
        let (sender, answers) = sync_channel(1);
        // A thread reads, so that waiting for an answer can have a deadline. It ends with the pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, requests, answers })
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, StackError> {
        let protocol = |reason: String| StackError::Protocol(reason);
        let mut line =
            serde_json::to_string(request).map_err(|error| protocol(error.to_string()))?;
        line.push('\n');
        let pipe = self.requests.as_mut().ok_or_else(|| protocol("it was ended".to_owned()))?;
        pipe.write_all(line.as_bytes())
            .and_then(|()| pipe.flush())
            .map_err(|error| protocol(format!("it is gone: {error}")))?;
        let answer = self.answers.recv_timeout(ANSWER_DEADLINE).map_err(|error| {
            // An answer that comes later would be taken for the next request's: hang up.
            self.requests = None;
            protocol(match error {
                RecvTimeoutError::Timeout => {
                    format!("no answer within {} s", ANSWER_DEADLINE.as_secs())
                }
                RecvTimeoutError::Disconnected => "it ended without an answer".to_owned(),
            })
        })?;
        match serde_json::from_str(&answer).map_err(|error| protocol(error.to_string()))? {
            Answer::Failed(reason) => Err(StackError::Supervisor(reason)),
            answer => Ok(answer),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // End of input: the supervisor ends its children, then itself, within its own deadlines.
        self.requests = None;
        while self.answers.recv_timeout(ANSWER_DEADLINE).is_ok() {}
        // Gone already, but for a supervisor that hangs; there is nobody to tell if this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unexpected(answer: &Answer) -> StackError {
    StackError::Protocol(format!("an answer to another request: {answer:?}"))
}
