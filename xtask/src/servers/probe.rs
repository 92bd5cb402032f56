//! Whether a server answers: the first words of each protocol, spoken by hand, so that
//! xtask needs no client library.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// One exchange of words.
const WORD_LIMIT: Duration = Duration::from_secs(2);
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1 << 20;

const POSTGRES_PROTOCOL: i32 = 3 << 16;
const KAFKA_METADATA: i16 = 3;
const KAFKA_METADATA_VERSION: i16 = 1;

/// The version of the PostgreSQL server that a URL names, as far as it tells.
pub(super) fn postgres_at(url: &str, limit: Duration) -> Result<String> {
    let (user, address) = postgres_parts(url)?;
    let version = crate::interrupt::wait_for(limit, || Ok(()), || postgres(&address, &user))?;
    Ok(format!("PostgreSQL {version}"))
}

/// That the first reachable one of the bootstrap servers knows a broker.
pub(super) fn kafka_at(servers: &str, limit: Duration) -> Result<String> {
    let ask = || {
        let mut last = None;
        for address in servers.split(',') {
            match kafka(address.trim()) {
                Ok(brokers) => return Ok(brokers),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no address")?)
    };
    let brokers = crate::interrupt::wait_for(limit, || Ok(()), ask)?;
    Ok(format!("Kafka with {brokers} broker(s)"))
}

/// User and `host:port` of a PostgreSQL URL.
pub(super) fn postgres_parts(url: &str) -> Result<(String, String)> {
    let rest = url.strip_prefix("postgres://").or(url.strip_prefix("postgresql://"));
    let rest = rest.context("not a postgres:// URL")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (login, host) = authority.rsplit_once('@').unwrap_or(("postgres", authority));
    let user = login.split(':').next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { host.to_owned() } else { format!("{host}:5432") };
    Ok((user.to_owned(), address))
}

fn connect(address: &str) -> Result<TcpStream> {
    let mut last = None;
    for socket in address.to_socket_addrs().with_context(|| address.to_owned())? {
        match TcpStream::connect_timeout(&socket, WORD_LIMIT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(WORD_LIMIT))?;
                stream.set_write_timeout(Some(WORD_LIMIT))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.context("no address")?).with_context(|| address.to_owned())
}

fn read_block(stream: &mut TcpStream, length: i32) -> Result<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|length| *length <= LARGEST_ANSWER);
    let mut block = vec![0; length.context("answer of an impossible size")?];
    stream.read_exact(&mut block)?;
    Ok(block)
}

fn read_i32(stream: &mut TcpStream) -> Result<i32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}

/// Logs in and returns `server_version`; a server that wants a password is alive, but
/// tells its version only to those who know it.
pub(super) fn postgres(address: &str, user: &str) -> Result<String> {
    let (_, version) = login(address, user, "postgres")?;
    Ok(version)
}

/// Runs statements, each by itself, as a user who needs no password; an error has the
/// server's words.
pub(super) fn postgres_run(
    address: &str,
    user: &str,
    database: &str,
    statements: &[String],
) -> Result<()> {
    let (mut stream, version) = login(address, user, database)?;
    if version == NEEDS_PASSWORD {
        bail!("the server asks for a password, which xtask does not know how to give");
    }
    for statement in statements {
        let length = i32::try_from(statement.len() + 5)?;
        stream
            .write_all(&[b"Q", &length.to_be_bytes()[..], statement.as_bytes(), b"\0"].concat())?;
        until_ready(&mut stream).with_context(|| statement.clone())?;
    }
    Ok(())
}

/// What is known of the version of a server that wants a password.
const NEEDS_PASSWORD: &str = "(asks for a password)";

fn login(address: &str, user: &str, database: &str) -> Result<(TcpStream, String)> {
    let mut stream = connect(address)?;
    let mut body = POSTGRES_PROTOCOL.to_be_bytes().to_vec();
    body.extend(format!("user\0{user}\0database\0{database}\0\0").as_bytes());
    let length = i32::try_from(body.len() + 4)?;
    stream.write_all(&[&length.to_be_bytes()[..], &body].concat())?;
    let version = until_ready(&mut stream)?;
    Ok((stream, version.context("the server did not tell its version")?))
}

/// Reads what the server says until it waits for the next words; the version, if it was told.
fn until_ready(stream: &mut TcpStream) -> Result<Option<String>> {
    let (mut version, mut failure) = (None, None);
    loop {
        let mut tag = [0];
        stream.read_exact(&mut tag)?;
        let length = read_i32(stream)?;
        let block = read_block(stream, length.saturating_sub(4))?;
        match tag[0] {
            b'R' if block != [0; 4] => return Ok(Some(NEEDS_PASSWORD.to_owned())),
            b'S' => version = parameter(&block, "server_version").or(version),
            b'E' => failure = Some(String::from_utf8_lossy(&block).replace('\0', " ")),
            b'Z' => break,
            _ => {}
        }
        // A failure of the login has no end but that of the connection.
        if let Some(failure) = failure.take_if(|it| it.contains("FATAL")) {
            bail!("{failure}");
        }
    }
    failure.map_or(Ok(version), |failure| bail!("{failure}"))
}

fn parameter(block: &[u8], wanted: &str) -> Option<String> {
    let text = std::str::from_utf8(block).ok()?;
    let (name, value) = text.trim_end_matches('\0').split_once('\0')?;
    (name == wanted).then(|| value.to_owned())
}

/// The number of brokers in the cluster's metadata. A broker is in it once it has
/// registered and is not fenced, so that clients can use it.
pub(super) fn kafka(address: &str) -> Result<usize> {
    let mut stream = connect(address)?;
    let client = b"xtask";
    let mut request = Vec::new();
    request.extend(KAFKA_METADATA.to_be_bytes());
    request.extend(KAFKA_METADATA_VERSION.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(client.len())?.to_be_bytes());
    request.extend(client);
    // An empty list: no topics.
    request.extend(0_i32.to_be_bytes());
    let length = i32::try_from(request.len())?;
    stream.write_all(&[&length.to_be_bytes()[..], &request].concat())?;
    let length = read_i32(&mut stream)?;
    let answer = read_block(&mut stream, length)?;
    let brokers = answer.get(4..8).and_then(|bytes| bytes.try_into().ok());
    match brokers.map(i32::from_be_bytes) {
        Some(brokers) if brokers > 0 => Ok(usize::try_from(brokers)?),
        _ => bail!("no broker is ready"),
    }
}

#[cfg(test)]
mod test {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let parts = |url| postgres_parts(url).unwrap();
        let own = |user: &str, address: &str| (user.to_owned(), address.to_owned());
        assert_eq!(parts("postgres://a:b@h:1/db?x=y"), own("a", "h:1"));
        assert_eq!(parts("postgresql://h/db"), own("postgres", "h:5432"));
        assert_eq!(parts("postgres://a@h"), own("a", "h:5432"));
        assert!(postgres_parts("mysql://h").is_err());
    }

    /// Answers one connection with these bytes and returns its address.
    fn answering(bytes: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(bytes).unwrap();
            // Until the other side has read and closed.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        address
    }

    #[test]
    fn a_postgres_that_lets_in_tells_its_version() {
        let bytes = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0017.1\0Z\0\0\0\x05I";
        assert_eq!(postgres(&answering(bytes), "me").unwrap(), "17.1");
    }

    #[test]
    fn a_postgres_that_starts_up_is_not_ready() {
        let bytes = b"E\0\0\0\x21SFATAL\0Mis starting up now\0\0\0";
        let error = postgres(&answering(bytes), "me").unwrap_err();
        assert!(error.to_string().contains("starting up"), "{error}");
    }

    #[test]
    fn a_kafka_without_brokers_is_not_ready() {
        assert!(kafka(&answering(b"\0\0\0\x08\0\0\0\x01\0\0\0\0")).is_err());
        assert_eq!(kafka(&answering(b"\0\0\0\x08\0\0\0\x01\0\0\0\x03")).unwrap(), 3);
    }
}
