//! The client's end of a person's login: a listener on loopback that the browser is redirected to
//! (RFC 8252 section 7.3).

use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::console::line;
use super::oauth_client::Login;
use crate::StackError;

const LONGEST_REQUEST: usize = 16 * 1024;
const ONE_REQUEST: Duration = Duration::from_secs(30);

/// A bound listener.
#[derive(Debug)]
pub struct Callback {
    listener: TcpListener,
    origin: String,
}

impl Callback {
    /// Takes any free port.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub async fn bind() -> Result<Self, StackError> {
        let refuse = || StackError::io("a port for the client's callback");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(refuse())?;
        let address = listener.local_addr().map_err(refuse())?;
        Ok(Self { listener, origin: format!("http://{address}") })
    }

    /// What the client names as its `redirect_uri`.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}/callback", self.origin)
    }

    /// Answers redirects, one at a time, for as long as it is polled: redeems the code, makes one
    /// proxied call and prints it.
    ///
    /// # Errors
    ///
    /// When no more connections can be taken.
    pub async fn serve(&self, login: &Login) -> Result<(), StackError> {
        loop {
            let (mut connection, _client) =
                self.listener.accept().await.map_err(StackError::io("the client's callback"))?;
            // One slow or strange request is its own trouble; the next gets its answer.
            let _ = tokio::time::timeout(ONE_REQUEST, self.answer(&mut connection, login)).await;
        }
    }

    async fn answer(&self, connection: &mut TcpStream, login: &Login) -> std::io::Result<()> {
        let head = head(connection).await?;
        let (status, text) = match target(&head) {
            Some(target) if target.starts_with("/callback?") => {
                match self.finish(login, target).await {
                    Ok(()) => {
                        ("200 OK", "Logged in. The proxied call stands in the terminal.".into())
                    }
                    Err(error) => ("400 Bad Request", error.to_string()),
                }
            }
            Some(_) | None => ("404 Not Found", "No such path".into()),
        };
        let length = text.len();
        connection
            .write_all(
                format!(
                    "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
                     content-length: {length}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{text}"
                )
                .as_bytes(),
            )
            .await
    }

    async fn finish(&self, login: &Login, target: &str) -> Result<(), StackError> {
        let url = Url::parse(&format!("{}{target}", self.origin))
            .map_err(|error| StackError::exchange("the redirect to the client", error))?;
        let tokens = login.redeem(&url).await?;
        let call = login.call(&tokens).await?;
        line(format!("\n{}\n\n{}\n{}", call.request, call.status, call.body));
        Ok(())
    }
}

async fn head(connection: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while head.len() < LONGEST_REQUEST && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if connection.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

/// The target of a GET request.
fn target(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("GET ")?;
    line.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_request_has_a_target() {
        assert_eq!(
            target(b"GET /callback?code=c HTTP/1.1\r\nhost: x\r\n\r\n"),
            Some("/callback?code=c")
        );
        assert_eq!(target(b"POST /callback HTTP/1.1\r\n\r\n"), None);
        assert_eq!(target(b"\xff\xfe"), None);
        assert_eq!(target(b""), None);
    }
}
