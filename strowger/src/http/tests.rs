//! The server over real sockets.

use super::*;

fn server() -> Server {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let handler = |request: &Request| match (&*request.method, &*request.path) {
        ("GET" | "HEAD", "/") => Response::text(200, "hello\n"),
        (_, "/") => Response::method_not_allowed("GET, HEAD"),
        _ => Response::not_found(),
    };
    server.serve(Arc::new(handler)).unwrap();
    server
}

fn says(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.local()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn requests_are_answered() {
    let server = server();
    let get = |method: &str, path: &str| {
        says(&server, &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    };
    let text = get("GET", "/");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain"), "{text}");
    assert!(text.ends_with("\r\n\r\nhello\n") && text.contains("Content-Length: 6\r\n"), "{text}");
    assert!(get("HEAD", "/").ends_with("\r\n\r\n"));
    assert!(get("PUT", "/").contains("Allow: GET, HEAD\r\n"));
    assert!(get("GET", "/x").starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert!(says(&server, "rubbish\r\n\r\n").starts_with("HTTP/1.1 400 Bad Request\r\n"));
    // What was sent too much does not take the answer away.
    let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(200_000));
    assert!(says(&server, &long).starts_with("HTTP/1.1 431 "));
}

/// Whoever connects and says nothing gets no more than his place, and that not for long.
#[test]
fn too_many_connections_are_refused_and_slow_ones_end() {
    let server = server();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let begun = Instant::now();
    let mut slow: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(server.local()).unwrap()).collect();
    let mut one_more = TcpStream::connect(server.local()).unwrap();
    let mut refusal = String::new();
    one_more.read_to_string(&mut refusal).unwrap();
    assert!(refusal.starts_with("HTTP/1.1 503 "), "{refusal}");
    let mut first = slow.remove(0);
    let mut refusal = String::new();
    first.read_to_string(&mut refusal).unwrap();
    assert!(refusal.starts_with("HTTP/1.1 408 "), "{refusal}");
    assert!(begun.elapsed() >= PATIENCE, "{:?}", begun.elapsed());
    drop(slow);
    while !says(&server, request).starts_with("HTTP/1.1 200 ") {}
}

#[test]
fn a_server_that_is_dropped_listens_no_more() {
    let server = server();
    let local = server.local();
    drop(server);
    assert!(TcpStream::connect(local).is_err());
}
