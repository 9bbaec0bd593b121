//! Error numbers of system calls, by name. The standard library has no names for them; the values are those of the
//! platform's `errno.h`.

macro_rules! errnos {
    ($($name:ident $linux:literal $macos:literal;)*) => {
        $(
            #[cfg(not(target_os = "macos"))]
            pub const $name: i32 = $linux;
            #[cfg(target_os = "macos")]
            pub const $name: i32 = $macos;
        )*

        const NAMES: &[(i32, &str)] = &[$(($name, stringify!($name)),)*];
    };
}

errnos! {
    EPERM 1 1;
    ENOENT 2 2;
    EIO 5 5;
    ENOMEM 12 12;
    EACCES 13 13;
    EISDIR 21 21;
    EINVAL 22 22;
    ENFILE 23 23;
    EMFILE 24 24;
    EPIPE 32 32;
    EPROTO 71 100;
    EMSGSIZE 90 40;
    EPROTONOSUPPORT 93 43;
    EAFNOSUPPORT 97 47;
    EADDRINUSE 98 48;
    EADDRNOTAVAIL 99 49;
    ENETDOWN 100 50;
    ENETUNREACH 101 51;
    ENETRESET 102 52;
    ECONNABORTED 103 53;
    ECONNRESET 104 54;
    ENOBUFS 105 55;
    ENOTCONN 107 57;
    ETIMEDOUT 110 60;
    ECONNREFUSED 111 61;
    EHOSTDOWN 112 64;
    EHOSTUNREACH 113 65;
}

/// The symbol, such as `ECONNREFUSED`.
pub fn name(errno: i32) -> Option<&'static str> {
    NAMES
        .iter()
        .find_map(|(number, name)| (*number == errno).then_some(*name))
}

/// The connection was torn down by a RST (`EPIPE` and `ENOTCONN` are what the second call after one says).
pub fn is_reset(errno: i32) -> bool {
    matches!(errno, ECONNRESET | EPIPE | ECONNABORTED | ENETRESET | ENOTCONN)
}

/// What an ICMP message that says "unreachable" becomes.
pub fn is_unreachable(errno: i32) -> bool {
    matches!(
        errno,
        ENETUNREACH | EHOSTUNREACH | EHOSTDOWN | ECONNREFUSED | ENETDOWN | EPROTO | EACCES
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_this_platform_have_their_names() {
        let refused = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .and_then(std::net::TcpStream::connect)
            .expect_err("nothing listens there any more");
        assert_eq!(
            name(refused.raw_os_error().expect("an errno")),
            Some("ECONNREFUSED")
        );
        let missing = std::fs::File::open("/nonexistent/whyd").expect_err("no such file");
        assert_eq!(name(missing.raw_os_error().expect("an errno")), Some("ENOENT"));
        assert_eq!(name(-1), None);
    }
}
